"""By which channels, when, how urgently and until when: the plan of one dispatch, and the quiet hours.

`fanout` and `preview` call `choose`, then `batching.batches`. What is a test or a drill is decided here by its status, not by
anybody's plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import timedelta, tzinfo
from enum import StrEnum
from fnmatch import fnmatchcase

from gateway.model.alert import Alert, Grade, Info, MsgType, Status, UpdateKind
from gateway.model.dispatch import Cause, Priority
from gateway.model.policy import ChannelProfile, Moment, PlanRule, QuietHours
from gateway.model.time import Instant, instant, moment
from gateway.rules.divisions import within
from gateway.rules.wording import event_code

DAY = 24 * 60
DEFAULT_WINDOW = DAY * 60_000
"""Milliseconds that an alert without <expires> stays valid (the national platform's 24 h)."""

DEFAULT_RULES = (
    PlanRule("default-red-orange", ("*",), grades=(Grade.RED, Grade.ORANGE)),
    PlanRule("default", ("sms", "wechat", "webhook", "screens")),
)
"""What stands behind the last line of every `plan:`."""


class Route(StrEnum):
    """Which endpoints a dispatch may have at all. `sink` = one synthetic endpoint per channel, the channel's own `sink`."""

    PUBLIC = "public"
    DRILL = "drill"
    SINK = "sink"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Quieted:
    """A channel that stays silent now and why (`quiet_hours`, `no_sink`, `not_repeated`); `until` = when it may speak."""

    channel: str
    why: str
    until: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The plan of one info's dispatch.

    rule: the line of `plan:` that chose; route: which endpoints; first: channels that go now; added_only: those of `first` that
    speak to newly added regions alone; reserve: channels left to reinforcement; quieted: who is silent, why, until when;
    after: seconds to wait; findings: codes for the alert (`methods_unserved`, `methods_beyond_plan`).
    """

    rule: str
    route: Route
    first: tuple[str, ...]
    added_only: tuple[str, ...] = ()
    reserve: tuple[str, ...] = ()
    quieted: tuple[Quieted, ...] = ()
    after: int = 0
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the plan depends on.

    regions: codes of the targeted regions; audiences: names the dispatch is for; reached: for a Cancel the channels that took the
    warning out (None = unknown, as planned); methods: `restrict` or `hint`, the source's word on methods the message names.
    """

    alert: Alert
    info: Info
    now: Instant
    zone: tzinfo
    cause: Cause = Cause.RELEASE
    kind: UpdateKind | None = None
    regions: Sequence[str] = ()
    audiences: AbstractSet[str] = frozenset()
    reached: AbstractSet[str] | None = None
    methods: str = "restrict"


def choose(
    case: Case, rules: Sequence[PlanRule], channels: Sequence[ChannelProfile], quiet: QuietHours | None
) -> Choice:
    """The channels of one dispatch, in the order they are configured."""
    route = Route.SINK if case.cause is Cause.CANARY else route_of(case.alert.status)
    if route is Route.SINK:
        return _to_sinks(channels)
    if route is Route.NOWHERE:
        return Choice(rule="", route=route, first=())
    rule = matching_rule(case, rules)
    planned = [channel for channel in channels if _named(channel, rule.channels)]
    choice = Choice(rule=rule.name, route=route, first=(), after=rule.after)
    if case.cause in (Cause.LIFTED, Cause.WITHDRAWN):
        planned = (
            [channel for channel in channels if channel.name in case.reached] if case.reached is not None else planned
        )
        return _hushed(choice, case, planned, quiet)
    return _hushed(*_by_methods(choice, case, planned, channels), quiet)


def route_of(status: Status) -> Route:
    """CAP 1.2 §3.2.1 <status>: only Actual reaches the public; Exercise the audience `drill`; Test and System the sinks."""
    return {
        Status.ACTUAL: Route.PUBLIC,
        Status.EXERCISE: Route.DRILL,
        Status.TEST: Route.SINK,
        Status.SYSTEM: Route.SINK,
    }.get(status, Route.NOWHERE)


def _to_sinks(channels: Sequence[ChannelProfile]) -> Choice:
    first = tuple(channel.name for channel in channels if channel.sink)
    dumb = tuple(Quieted(channel.name, "no_sink") for channel in channels if not channel.sink)
    return Choice(rule="sinks", route=Route.SINK, first=first, quieted=dumb)


def matching_rule(case: Case, rules: Sequence[PlanRule]) -> PlanRule:
    """The first line of `plan:` that matches, the defaults behind it."""
    return next(rule for rule in (*rules, *DEFAULT_RULES) if _matches(rule, case))


def _matches(rule: PlanRule, case: Case) -> bool:
    return (
        (not rule.grades or case.info.grade in rule.grades)
        and (not rule.events or matches_event(case.info, rule.events))
        and (not rule.regions or any(within(region, scope) for region in case.regions for scope in rule.regions))
        and (not rule.hours or _between(minute_of_day(case.now, case.zone), *rule.hours))
        and (not rule.audiences or not case.audiences.isdisjoint(rule.audiences))
    )


def matches_event(info: Info, patterns: Sequence[str]) -> bool:
    """Whether the national code of `info`, or where it has none any word for its event, fits a pattern such as `11B*`."""
    code = event_code(info)
    words = [code] if code else [info.event, *(named.value for named in info.event_codes)]
    return any(fnmatchcase(word, pattern) for word in words for pattern in patterns)


def _named(channel: ChannelProfile, wanted: Sequence[str]) -> bool:
    return "*" in wanted or channel.name in wanted or channel.type in wanted


def _by_methods(
    choice: Choice, case: Case, planned: list[ChannelProfile], channels: Sequence[ChannelProfile]
) -> tuple[Choice, Case, list[ChannelProfile]]:
    """Methods that the message names restrict its first dispatch; the plan's other channels stay for reinforcement."""
    wanted = {method.name.upper() for method in case.alert.methods}
    if not wanted or case.methods != "restrict" or case.cause is Cause.REINFORCEMENT:
        return choice, case, planned
    serving = [channel for channel in channels if wanted & set(channel.methods)]
    kept = [channel for channel in planned if channel in serving]
    if not serving:
        return replace(choice, findings=("methods_unserved",)), case, planned
    if not kept:
        choice = replace(choice, findings=("methods_beyond_plan",))
    reserve = tuple(channel.name for channel in planned if channel not in serving)
    return replace(choice, reserve=reserve), case, kept or serving


def _hushed(choice: Choice, case: Case, planned: list[ChannelProfile], quiet: QuietHours | None) -> Choice:
    """`choice` with the channels that may speak now; audible ones ask the hour and what is new."""
    first, added, quieted = [], [], []
    for channel in planned:
        silence = _silence(channel, case, quiet)
        if silence:
            quieted.append(silence)
            continue
        first.append(channel.name)
        if channel.audible and _repeats_for_added_only(case):
            added.append(channel.name)
    return replace(choice, first=tuple(first), added_only=tuple(added), quieted=tuple(quieted))


def _silence(channel: ChannelProfile, case: Case, quiet: QuietHours | None) -> Quieted | None:
    """Why an audible channel must not speak now; None if it may. A withdrawal speaks at any hour."""
    if not channel.audible or case.cause is Cause.WITHDRAWN:
        return None
    if _is_update(case) and case.kind not in (UpdateKind.RAISED, UpdateKind.WIDENED):
        return Quieted(channel.name, "not_repeated")
    if quiet is None or not in_quiet_hours(quiet, minute_of_day(case.now, case.zone)):
        return None
    if case.cause is not Cause.LIFTED and speaks_at_night(quiet, case.info):
        return None
    return Quieted(channel.name, "quiet_hours", next_audible(quiet, case.now, case.zone))


def _is_update(case: Case) -> bool:
    return case.cause is Cause.RELEASE and case.alert.msg_type is MsgType.UPDATE and case.kind is not None


def _repeats_for_added_only(case: Case) -> bool:
    """Audible channels repeat an Update for a raised grade everywhere, for a wider area in the added regions."""
    return _is_update(case) and case.kind is UpdateKind.WIDENED


def minute_of_day(at: Instant, zone: tzinfo) -> int:
    """Minutes since local midnight."""
    local = moment(at, zone)
    return local.hour * 60 + local.minute


def _between(minute: int, start: int, end: int) -> bool:
    """From `start` on, before `end`; may wrap midnight; equal ends = the whole day."""
    return start <= minute < end if start < end else minute >= start or minute < end


def in_quiet_hours(quiet: QuietHours, minute: int) -> bool:
    """Whether `minute` of the local day is quiet. `from` = `to` means that no hour is."""
    return quiet.start != quiet.end and _between(minute, quiet.start, quiet.end)


def speaks_at_night(quiet: QuietHours, info: Info) -> bool:
    """Whether one line of `audible_if` lets `info` sound in quiet hours."""
    return any(_permits(condition, info) for condition in quiet.audible_if)


def _permits(condition: Moment, info: Info) -> bool:
    return (
        bool(condition.grades or condition.events or condition.urgency)
        and (not condition.grades or info.grade in condition.grades)
        and (not condition.events or matches_event(info, condition.events))
        and (not condition.urgency or info.urgency == condition.urgency)
    )


def next_audible(quiet: QuietHours, at: Instant, zone: tzinfo) -> Instant:
    """`at` itself, or the end of the quiet hours it lies in (wall clock of `zone`)."""
    if not in_quiet_hours(quiet, minute_of_day(at, zone)):
        return at
    local = moment(at, zone).replace(second=0, microsecond=0)
    end = local.replace(hour=quiet.end // 60 % 24, minute=quiet.end % 60)
    return instant(end if end > local else end + timedelta(days=1))


def priority(alert: Alert, info: Info, cause: Cause) -> Priority:
    """The class of a dispatch. Whatever is not Actual comes last, so that a drill never delays a warning."""
    if alert.status is not Status.ACTUAL or cause is Cause.CANARY:
        return Priority.TEST
    if cause in (Cause.LIFTED, Cause.WITHDRAWN):
        return Priority.CANCEL
    return {
        Grade.RED: Priority.RED,
        Grade.ORANGE: Priority.ORANGE,
        Grade.YELLOW: Priority.YELLOW,
    }.get(info.grade, Priority.BLUE)


def effective_expiry(
    info: Info, released_at: Instant, cause: Cause = Cause.RELEASE, window: int = DEFAULT_WINDOW
) -> Instant:
    """After which nothing of this info may be sent: its <expires>, else `window` ms after release; never endless.

    The news that a warning is over outlives the warning: a Cancel whose <expires> has passed is told for `window`.
    """
    over = cause in (Cause.LIFTED, Cause.WITHDRAWN)
    if info.expires is None or (over and info.expires <= released_at):
        return released_at + window
    return info.expires
