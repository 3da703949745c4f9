"""May this source say this, here, at this grade? And what becomes of the message: released, held or stored.

`intake` and `preview` call `authorise` before anything is stored and `verdict` after the areas have become regions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gateway.model.alert import Alert, AlertState, Grade, Info, MsgType, Scope, Status
from gateway.model.policy import Source
from gateway.model.time import Instant
from gateway.rules.divisions import significant, within
from gateway.rules.wording import CODE_NAMES, EVENT_CODE

SHOWN = 5
ANY = "*"
OF_CODES = re.compile(r"[1-4][0-9A-Z*?\[]")


@dataclass(frozen=True, slots=True)
class Denial:
    """What a source may not do: `what` is `event`, `region` or `grade`, `values` the offending ones; a sentence in zh and en."""

    what: str
    values: tuple[str, ...]
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where an alert goes before anything leaves, and why: a stable word and a sentence in zh and en."""

    state: AlertState
    reason: str
    zh: str
    en: str


def authorise(alert: Alert, source: Source, regions: AbstractSet[str], original: Alert | None = None) -> list[Denial]:
    """Everything that `source` may not do with this message; an empty list permits it. Deny by default.

    regions: codes of all leaf regions it targets, after polygons, circles and names have become regions. A Cancel without info
    is judged by the infos of `original`.
    """
    infos = alert.infos or (original.infos if original else ())
    return [
        *_denied("event", sorted(_foreign_events(infos, source)), "事件类型", "the event"),
        *_denied("grade", sorted(_foreign_grades(alert, infos, original, source)), "预警级别", "the grade"),
        *_denied("region", sorted(_foreign_regions(regions, source)), "行政区", "the region"),
    ]


def _denied(what: str, values: Sequence[str], zh: str, en: str) -> list[Denial]:
    if not values:
        return []
    more = len(values) - SHOWN
    shown = "、".join(values[:SHOWN]) + (f" 等 {len(values)} 个" if more > 0 else "")
    listed = ", ".join(values[:SHOWN]) + (f" and {more} more" if more > 0 else "")
    zh_text = f"该发布单位无权发布{zh} {shown}；消息未入库。请用有权限的密钥，或请管理员放行。"
    en_text = (
        f"This source may not post {en} {listed}; nothing was stored. Use a key that may, or ask an administrator."
    )
    return [Denial(what, tuple(values), zh_text, en_text)]


def _foreign_events(infos: Sequence[Info], source: Source) -> set[str]:
    return {name for info in infos for name in events_of(info) if not _permitted_event(name, source)}


def events_of(info: Info) -> tuple[str, ...]:
    """The names by which authority is judged: all national codes of `info`; where it has none, every code and word it gives.

    All of them must be permitted, so that a permitted code cannot carry another one through.
    """
    named = (
        code.value for code in info.event_codes if CODE_NAMES.search(code.name) or EVENT_CODE.fullmatch(code.value)
    )
    national = dict.fromkeys([*named, *([info.event] if EVENT_CODE.fullmatch(info.event) else [])])
    return tuple(national) or (*(code.value for code in info.event_codes), info.event)


def _permitted_event(name: str, source: Source) -> bool:
    """A pattern of national codes says nothing about words: `11B*` does not permit an event called "11B and more"."""
    if EVENT_CODE.fullmatch(name):
        return any(fnmatchcase(name, pattern) for pattern in source.events)
    return any(
        pattern == ANY or (not OF_CODES.match(pattern) and fnmatchcase(name, pattern)) for pattern in source.events
    )


def _foreign_grades(alert: Alert, infos: Sequence[Info], original: Alert | None, source: Source) -> set[str]:
    """A Cancel of unknown severity is judged by what it ends."""
    grades = {info.grade for info in infos}
    if alert.msg_type is MsgType.CANCEL and original:
        grades = (grades - {Grade.UNKNOWN}) | {info.grade for info in original.infos}
    return {grade.label for grade in grades if grade not in source.grades}


def _foreign_regions(regions: AbstractSet[str], source: Source) -> set[str]:
    if ANY in source.regions:
        return set()
    scopes = [scope for scope in source.regions if significant(scope)]
    return {code for code in regions if not any(within(code, scope) for scope in scopes)}


def verdict(alert: Alert, source: Source, *, resolved: bool, now: Instant, addressable: bool = False) -> Verdict:
    """What becomes of a message that its source may post.

    resolved: every area came to a region of ours (for a Cancel: of the alert it ends). addressable: the <addresses> of a Private
    or Restricted message name endpoints we hold. A Cancel never waits for approval and is never too late.
    """
    never = _never_sent(alert, now, addressable)
    if never:
        return never
    if alert.status in (Status.TEST, Status.SYSTEM):
        return Verdict(
            AlertState.RELEASED, "sinks", "测试消息，只发往测试收件箱。", "A test: it goes to the sinks only."
        )
    if alert.msg_type is MsgType.CANCEL:
        return RELEASED
    return _held(alert, source, resolved) or RELEASED


RELEASED = Verdict(AlertState.RELEASED, "released", "已发布。", "Released.")


def _never_sent(alert: Alert, now: Instant, addressable: bool) -> Verdict | None:
    if alert.msg_type in (MsgType.ACK, MsgType.ERROR):
        return _stored(
            alert.msg_type.value.lower(), "回执类消息只存档，不发布。", "Acknowledgements are kept, never sent out."
        )
    if alert.status is Status.DRAFT:
        return _stored("draft", "草稿只存档，不发布。", "A draft is kept, never sent out.")
    if alert.scope is not Scope.PUBLIC and not (alert.addresses and addressable):
        return _stored(
            "scope",
            "非公开消息没有我方收件人，不发布。",
            "It is not public and names nobody we know; it is never sent out.",
        )
    if expired(alert, now):
        return _stored("expired", "到达时已过有效期，不发布。", "It had expired on arrival; nothing is sent.")
    return None


def _stored(reason: str, zh: str, en: str) -> Verdict:
    return Verdict(AlertState.STORED, reason, zh, en)


def expired(alert: Alert, now: Instant) -> bool:
    """Whether every info of a warning has expired. A Cancel is told even then."""
    return alert.msg_type is not MsgType.CANCEL and bool(alert.infos) and not live_infos(alert, now)


def live_infos(alert: Alert, now: Instant) -> tuple[Info, ...]:
    """The infos that may still be sent at `now`."""
    return tuple(info for info in alert.infos if info.expires is None or info.expires > now)


def _held(alert: Alert, source: Source, resolved: bool) -> Verdict | None:
    if not resolved or not alert.infos:
        return Verdict(
            AlertState.HELD,
            "unresolved",
            "目标区域没有对应到我方行政区，待人工确认；尚未发出。",
            "Its area resolves to no region of ours; it waits for a person and nothing was sent.",
        )
    if any(info.grade in source.needs_approval for info in alert.infos):
        return Verdict(
            AlertState.HELD,
            "needs_approval",
            "该级别须经签发，已转待签发；尚未发出。",
            "This grade needs approval; it waits for a person and nothing was sent.",
        )
    return None
