"""Which channels, when, how urgently; batches in order; nothing but Actual reaches the public."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.alert import Alert, Grade, Info, Method, MsgType, NameValue, Scope, Status, UpdateKind
from gateway.model.dispatch import Cause, Priority
from gateway.model.policy import ChannelProfile, Moment, PlanRule, QuietHours
from gateway.model.time import Instant, instant
from gateway.rules.batching import MAX_BATCH, Stretch, batches
from gateway.rules.planning import (
    DEFAULT_WINDOW,
    Case,
    Choice,
    Route,
    choose,
    effective_expiry,
    in_quiet_hours,
    next_audible,
    priority,
)

ZONE = ZoneInfo("Asia/Shanghai")
SMS = ChannelProfile("sms", "sms", "addressed", audible=False, sink="10000000000", methods=("SMS",))
WECHAT = ChannelProfile("wechat", "wechat", "addressed", audible=False)
PAGER = ChannelProfile("pager", "webhook", "addressed", audible=False, sink="sink")
SPEAKERS = ChannelProfile("village-speakers", "loudspeaker", "device", audible=True, methods=("SPEAKER",))
AIR = ChannelProfile(
    "county-broadcast", "broadcast", "area", audible=True, sink="http://127.0.0.1/", methods=("BROADCAST", "TV")
)
CHANNELS = (SMS, WECHAT, PAGER, SPEAKERS, AIR)
SILENT, LOUD = ("sms", "wechat", "pager"), ("village-speakers", "county-broadcast")
QUIET = QuietHours(
    21 * 60 + 30,
    5 * 60 + 30,
    (
        Moment(grades=(Grade.RED, Grade.ORANGE)),
        Moment(grades=(Grade.YELLOW,), events=("11A51", "12*")),
        Moment(urgency="Immediate"),
    ),
)
EVERYTHING = (PlanRule("everything", ("*",)),)


def at(hour: int, minute: int = 0, day: int = 22) -> Instant:
    return instant(datetime(2026, 7, day, hour, minute, tzinfo=ZONE))


def plan(
    grade: Grade = Grade.ORANGE,
    *,
    hour: int = 14,
    minute: int = 0,
    event: str = "11B03",
    urgency: str = "Unknown",
    status: Status = Status.ACTUAL,
    msg_type: MsgType = MsgType.ALERT,
    named: tuple[str, ...] = (),
    rules: tuple[PlanRule, ...] = (),
    channels: tuple[ChannelProfile, ...] = CHANNELS,
    cause: Cause = Cause.RELEASE,
    kind: UpdateKind | None = None,
    reached: frozenset[str] | None = None,
    methods: str = "restrict",
    regions: tuple[str, ...] = ("210423001000",),
) -> Choice:
    info = Info("zh-CN", "", grade, urgency=urgency, event_codes=(NameValue("CN-12379", event),))
    ways = tuple(Method(name) for name in named)
    alert = Alert("i", "s", at(hour), status, msg_type, Scope.PUBLIC, "cn-12379", infos=(info,), methods=ways)
    case = Case(
        alert=alert,
        info=info,
        now=at(hour, minute),
        zone=ZONE,
        cause=cause,
        kind=kind,
        regions=regions,
        reached=reached,
        methods=methods,
    )
    return choose(case, rules, channels, QUIET)


@pytest.mark.parametrize(
    ("grade", "expected"),
    [
        (Grade.RED, SILENT + LOUD),
        (Grade.ORANGE, SILENT + LOUD),
        (Grade.YELLOW, SILENT),
        (Grade.BLUE, SILENT),
        (Grade.UNKNOWN, SILENT),
    ],
)
def test_defaults_by_grade(grade: Grade, expected: tuple[str, ...]) -> None:
    assert plan(grade).first == expected


def test_first_matching_rule_wins() -> None:
    rules = (
        PlanRule("night", ("sms",), hours=(22 * 60, 6 * 60)),
        PlanRule("flood", ("loudspeaker",), grades=(Grade.BLUE,), events=("11A*",), regions=("210400",)),
        PlanRule("rest", ("wechat",), grades=(Grade.BLUE,)),
    )
    assert plan(Grade.BLUE, event="11A01", rules=rules).first == ("village-speakers",)
    assert plan(Grade.BLUE, event="11A01", rules=rules, regions=("210106001000",)).first == ("wechat",)
    assert plan(Grade.BLUE, event="11B03", rules=rules).first == ("wechat",)
    assert plan(Grade.BLUE, hour=23, rules=rules).first == ("sms",)
    assert plan(Grade.RED, rules=rules).rule == "default-red-orange"


def test_audible_channels_keep_quiet_hours_until_they_end() -> None:
    choice = plan(Grade.YELLOW, hour=0, minute=30, rules=EVERYTHING)
    assert choice.first == SILENT
    assert {(q.channel, q.why, q.until) for q in choice.quieted} == {(name, "quiet_hours", at(5, 30)) for name in LOUD}


@pytest.mark.parametrize(
    ("grade", "event", "urgency", "loud"),
    [
        (Grade.RED, "11B03", "Unknown", True),
        (Grade.YELLOW, "11A51", "Unknown", True),
        (Grade.YELLOW, "12A01", "Unknown", True),
        (Grade.YELLOW, "11B03", "Unknown", False),
        (Grade.BLUE, "11A51", "Unknown", False),
        (Grade.BLUE, "11B03", "Immediate", True),
    ],
)
def test_audible_if_lets_the_grave_sound_at_night(grade: Grade, event: str, urgency: str, loud: bool) -> None:
    choice = plan(grade, hour=23, event=event, urgency=urgency, rules=EVERYTHING)
    assert (set(LOUD) <= set(choice.first)) is loud


@pytest.mark.parametrize(
    ("hour", "minute", "quiet"), [(21, 29, False), (21, 30, True), (0, 0, True), (5, 29, True), (5, 30, False)]
)
def test_edges_of_quiet_hours(hour: int, minute: int, quiet: bool) -> None:
    assert in_quiet_hours(QUIET, hour * 60 + minute) is quiet


def test_next_audible_is_the_coming_morning() -> None:
    assert next_audible(QUIET, at(22), ZONE) == at(5, 30, day=23)
    assert next_audible(QUIET, at(3), ZONE) == at(5, 30)
    assert next_audible(QUIET, at(12, 1), ZONE) == at(12, 1)
    assert not in_quiet_hours(QuietHours(0, 0), 0)


@pytest.mark.parametrize("status", [Status.TEST, Status.SYSTEM])
def test_tests_go_to_sinks_only(status: Status) -> None:
    choice = plan(Grade.RED, status=status, named=("SPEAKER",))
    assert (choice.route, choice.first) == (Route.SINK, ("sms", "pager", "county-broadcast"))
    assert {q.why for q in choice.quieted} == {"no_sink"}


def test_drills_drafts_and_canaries() -> None:
    assert plan(status=Status.EXERCISE).route is Route.DRILL
    assert plan(status=Status.EXERCISE).first == SILENT + LOUD
    assert (plan(status=Status.DRAFT).route, plan(status=Status.DRAFT).first) == (Route.NOWHERE, ())
    assert plan(cause=Cause.CANARY).route is Route.SINK


@given(st.sampled_from(list(Status)), st.sampled_from(list(Grade)), st.sampled_from(list(Cause)), st.integers(0, 23))
def test_only_actual_has_the_public_route(status: Status, grade: Grade, cause: Cause, hour: int) -> None:
    choice = plan(grade, status=status, cause=cause, hour=hour, rules=EVERYTHING)
    assert (choice.route is Route.PUBLIC) <= (status is Status.ACTUAL)
    if choice.route is Route.SINK:
        assert set(choice.first) == {c.name for c in CHANNELS if c.sink}


def test_named_methods_restrict_the_first_dispatch() -> None:
    choice = plan(named=("SMS", "SPEAKER"))
    assert (choice.first, choice.reserve) == (("sms", "village-speakers"), ("wechat", "pager", "county-broadcast"))
    assert plan(named=("SMS",), methods="hint").first == SILENT + LOUD
    assert plan(named=("SMS",), cause=Cause.REINFORCEMENT).first == SILENT + LOUD


def test_methods_beyond_the_plan_and_unserved_ones_are_found() -> None:
    beyond = plan(Grade.BLUE, named=("SPEAKER",))
    assert (beyond.first, beyond.reserve, beyond.findings) == (("village-speakers",), SILENT, ("methods_beyond_plan",))
    unserved = plan(Grade.BLUE, named=("FAX",))
    assert (unserved.first, unserved.findings) == (SILENT, ("methods_unserved",))


def test_lifted_is_silent_by_night_whatever_the_grade() -> None:
    choice = plan(
        Grade.RED, hour=23, cause=Cause.LIFTED, msg_type=MsgType.CANCEL, reached=frozenset({"sms", "village-speakers"})
    )
    assert choice.first == ("sms",)
    assert [(q.channel, q.until) for q in choice.quieted] == [("village-speakers", at(5, 30, day=23))]
    day = plan(Grade.BLUE, cause=Cause.LIFTED, reached=frozenset({"village-speakers"}))
    assert day.first == ("village-speakers",)


def test_withdrawn_goes_by_every_channel_that_reached_people_at_any_hour() -> None:
    choice = plan(
        Grade.BLUE, hour=2, cause=Cause.WITHDRAWN, reached=frozenset({"sms", "village-speakers"}), named=("TV",)
    )
    assert (choice.first, choice.quieted) == (("sms", "village-speakers"), ())


@pytest.mark.parametrize(
    ("kind", "loud", "added_only"),
    [
        (UpdateKind.RAISED, LOUD, ()),
        (UpdateKind.WIDENED, LOUD, LOUD),
        (UpdateKind.LOWERED, (), ()),
        (UpdateKind.EXTENDED, (), ()),
        (UpdateKind.TEXT, (), ()),
        (None, LOUD, ()),
    ],
)
def test_audible_repeats(kind: UpdateKind | None, loud: tuple[str, ...], added_only: tuple[str, ...]) -> None:
    choice = plan(msg_type=MsgType.UPDATE, kind=kind)
    assert (choice.first, choice.added_only) == (SILENT + loud, added_only)


def test_priority() -> None:
    info = Info("zh-CN", "", Grade.RED)
    alert = Alert("i", "s", 0, Status.ACTUAL, MsgType.ALERT, Scope.PUBLIC, "cap-1.2")
    drill = Alert("i", "s", 0, Status.EXERCISE, MsgType.ALERT, Scope.PUBLIC, "cap-1.2")
    assert priority(alert, info, Cause.RELEASE) is Priority.RED
    assert priority(alert, info, Cause.WITHDRAWN) is Priority.CANCEL
    assert priority(drill, info, Cause.WITHDRAWN) is Priority.TEST
    assert priority(alert, Info("zh-CN", "", Grade.UNKNOWN), Cause.RELEASE) is Priority.BLUE


def test_expiry_is_never_endless() -> None:
    without, past = Info("zh-CN", "", Grade.RED), Info("zh-CN", "", Grade.RED, expires=5)
    assert effective_expiry(without, 1000) == 1000 + DEFAULT_WINDOW
    assert effective_expiry(past, 1000) == 5
    assert effective_expiry(past, 1000, Cause.LIFTED) == 1000 + DEFAULT_WINDOW


STRETCHES = st.lists(
    st.builds(
        Stretch,
        channel=st.integers(0, 3),
        variant=st.integers(0, 2),
        first=st.integers(0, 10**6),
        count=st.integers(0, 1700),
        priority=st.sampled_from(list(Priority)),
        expires_at=st.integers(1, 3),
        max_batch=st.sampled_from([1000, 500, 100]),
    ),
    max_size=6,
)


@given(STRETCHES, st.integers(0, 12))
def test_batches_cover_every_endpoint_once_in_order_and_resume(stretches: list[Stretch], planned_to: int) -> None:
    made = list(batches(stretches))
    told = sorted((b.channel, b.variant, o) for b in made for o in range(b.first, b.first + b.count))
    assert told == sorted((s.channel, s.variant, o) for s in stretches for o in range(s.first, s.first + s.count))
    assert all(0 < b.count <= MAX_BATCH for b in made)
    assert all((a.priority, a.expires_at) <= (b.priority, b.expires_at) for a, b in pairwise(made))
    assert list(batches(stretches, planned_to)) == made[planned_to:]


def test_channels_take_turns() -> None:
    made = batches([Stretch(0, 0, 0, 2000, Priority.RED, 9), Stretch(1, 0, 2000, 700, Priority.RED, 9)])
    assert [(b.channel, b.count) for b in made] == [(0, 500), (1, 500), (0, 500), (1, 200), (0, 500), (0, 500)]


def test_batching_draws_lazily() -> None:
    first = next(batches([Stretch(0, 0, 0, 10**12, Priority.RED, 9)]))
    assert first.count == MAX_BATCH
