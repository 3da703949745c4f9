"""The law of lineage: which earlier alerts a message replaces or ends, and whether something later already ended it.

Pure; `flow.intake` asks when a message arrives, `flow.release` again when it is released (only a released message has
effect). CAP 1.2 §3.2.1 <references>, <msgType>; the pitfalls each rule answers to are listed in docs/cap.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from gateway.model.alert import (
    Alert,
    CancelKind,
    Finding,
    MsgType,
    Reference,
    Status,
    UpdateKind,
    Weight,
)
from gateway.model.time import Instant

NOTES: dict[str, tuple[Weight, str, str]] = {
    "reference_dangling": (
        Weight.WARNING,
        "引用的预警 {what} 尚未收到，已记下，待其到达时生效。",
        "The alert {what} referred to is unknown here; kept until it arrives.",
    ),
    "reference_foreign": (
        Weight.WARNING,
        "引用的预警 {what} 属于另一发布单位，引用不生效。",
        "The alert {what} referred to belongs to another authority: no effect.",
    ),
    "reference_other_status": (
        Weight.WARNING,
        "引用的预警 {what} 状态（实发/演练/测试）不同，引用不生效。",
        "The alert {what} referred to has another status (Actual, Exercise, Test): no effect.",
    ),
    "reference_self": (
        Weight.INFO,
        "报文引用了自身 {what}，已忽略。",
        "The message refers to itself ({what}): ignored.",
    ),
}

Identity = tuple[str, str, Instant]
_SECOND = 1_000
_REPLACING = (MsgType.ALERT, MsgType.UPDATE)


@dataclass(frozen=True, slots=True)
class KnownAlert:
    """What lineage needs of an alert in the store. `key` is the store's id; `source` the configured authority ("" = any)."""

    key: str
    sender: str
    identifier: str
    sent: Instant
    status: Status
    msg_type: MsgType
    references: tuple[Reference, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a message does to the alerts before it, as keys of the store.

    supersedes: replaced by this Update or newer version; cancels: ended by this Cancel; linked: named without effect.
    ended_by: the later message that had replaced or cancelled this one when it arrived ("" = none); ended_as: its
    msgType. overtaken: (key, ender's key) of known alerts that known others end, now that this message shows they belong
    together (usually ended already: applying it again does no harm). chain: everything of the same event known so far,
    oldest first, for the all-clear text and the chain view. dangling: references to what is not known yet. findings:
    what to tell people.
    """

    supersedes: tuple[str, ...] = ()
    cancels: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    ended_by: str = ""
    ended_as: MsgType | None = None
    overtaken: tuple[tuple[str, str], ...] = ()
    chain: tuple[str, ...] = ()
    dangling: tuple[Reference, ...] = ()
    findings: tuple[Finding, ...] = ()


def identity(alert: Alert | KnownAlert) -> Identity:
    """(sender, identifier, sent): CAP's own identity, `sent` compared as an instant."""
    return alert.sender, alert.identifier, alert.sent


def precedes(earlier: Alert | KnownAlert, later: Alert | KnownAlert) -> bool:
    """`later` names `earlier`, or is of later date: whichever arrives first, `later` wins."""
    if identity(earlier) == identity(later):
        return False
    forth, back = names(later, earlier), names(earlier, later)
    return forth if forth != back else earlier.sent < later.sent


def names(alert: Alert | KnownAlert, other: Alert | KnownAlert) -> bool:
    """One of `alert`'s references is `other`."""
    return any(_matches(reference, alert, other) for reference in alert.references)


def _matches(reference: Reference, namer: Alert | KnownAlert, other: Alert | KnownAlert) -> bool:
    """Identifier and instant decide; who may speak for whom is decided by `_Authority`.

    A reference without a time means what was sent before the message that makes it.
    """
    if reference.identifier != other.identifier or identity(namer) == identity(other):
        return False
    if reference.sent is None:
        return other.sent <= namer.sent
    return other.sent // _SECOND == reference.sent // _SECOND  # CAP times are whole seconds, `sent` may not be


def relation(
    alert: Alert, earlier: Iterable[KnownAlert], *, source: str = "", aliases: Collection[str] = ()
) -> Lineage:
    """What `alert` does to `earlier` (and what of it already did to `alert`).

    `source` is the configured authority that posted it, `aliases` other senders that are the same authority. Feed what
    shares a sender, an alias or an identifier with the message; anything else is passed over.
    """
    ours = KnownAlert(
        "", alert.sender, alert.identifier, alert.sent, alert.status, alert.msg_type, alert.references, source
    )
    authority = _Authority(frozenset((alert.sender, *aliases)), source)
    known = [other for other in earlier if identity(other) != identity(ours)]
    named, dangling, findings = _resolve(ours, known, authority)
    kin = [other for other in known if other.status is alert.status and authority.owns(other)]
    chain = _chain(ours, kin, authority)
    ender = _ender(ours, chain)
    ended = _ended(ours, chain)
    return Lineage(
        supersedes=_keys(ended) if alert.msg_type in _REPLACING else (),
        cancels=_keys(ended) if alert.msg_type is MsgType.CANCEL else (),
        linked=_keys(other for other in named if other not in ended),
        ended_by=ender.key if ender else "",
        ended_as=ender.msg_type if ender else None,
        overtaken=tuple((other.key, by.key) for other in chain if (by := _ender(other, chain))),
        chain=_keys(chain),
        dangling=dangling,
        findings=findings,
    )


def _keys(alerts: Iterable[KnownAlert]) -> tuple[str, ...]:
    return tuple(other.key for other in sorted(alerts, key=lambda other: (other.sent, other.key)))


@dataclass(frozen=True, slots=True)
class _Authority:
    """One's own senders (with aliases) and configured source: what a message may speak for."""

    senders: frozenset[str]
    source: str

    def owns(self, other: KnownAlert) -> bool:
        same_source = not self.source or not other.source or other.source == self.source
        return other.sender in self.senders and same_source

    def accepts(self, reference: Reference) -> bool:
        return reference.sender in self.senders


def _resolve(
    ours: KnownAlert, known: Sequence[KnownAlert], authority: _Authority
) -> tuple[list[KnownAlert], tuple[Reference, ...], tuple[Finding, ...]]:
    """The known alerts that the references mean, those that mean none yet, and what was odd."""
    by_identifier: dict[str, list[KnownAlert]] = defaultdict(list)
    for other in known:
        by_identifier[other.identifier].append(other)
    named: dict[str, KnownAlert] = {}
    dangling, findings = [], []
    for reference in ours.references:
        meant = [other for other in by_identifier[reference.identifier] if _matches(reference, ours, other)]
        mine = [other for other in meant if authority.accepts(reference) and authority.owns(other)]
        named |= {other.key: other for other in mine or meant}
        if (code := _oddity(reference, ours, meant, mine)) is not None:
            findings.append(_finding(code, reference))
        if not meant and not _is_self(reference, ours):
            dangling.append(reference)
    return list(named.values()), tuple(dangling), tuple(findings)


def _oddity(
    reference: Reference, ours: KnownAlert, meant: Sequence[KnownAlert], mine: Sequence[KnownAlert]
) -> str | None:
    if not meant:
        return "reference_self" if _is_self(reference, ours) else "reference_dangling"
    if not mine:
        return "reference_foreign"
    return None if any(other.status is ours.status for other in mine) else "reference_other_status"


def _is_self(reference: Reference, ours: KnownAlert) -> bool:
    same_name = (reference.sender, reference.identifier) == (ours.sender, ours.identifier)
    return same_name and reference.sent in (None, ours.sent)


def _finding(code: str, reference: Reference) -> Finding:
    level, zh, en = NOTES[code]
    what = f"{reference.sender},{reference.identifier}"
    return Finding(code, level, "/alert/references", None, f"{zh} {en}".replace("{what}", what))


def _chain(ours: KnownAlert, kin: Sequence[KnownAlert], authority: _Authority) -> list[KnownAlert]:
    """All of the same event: bound by references of Updates and Cancels, or by a shared identifier, however far."""
    members, waiting = [], [ours]
    rest = [other for other in kin if other.msg_type in (*_REPLACING, MsgType.CANCEL)]
    while waiting:
        here = waiting.pop()
        near = [other for other in rest if _bound(here, other, authority)]
        rest = [other for other in rest if other not in near]
        members += near
        waiting += near
    return sorted(members, key=lambda other: (other.sent, other.key))


def _bound(one: KnownAlert, other: KnownAlert, authority: _Authority) -> bool:
    if (one.sender, one.identifier) == (other.sender, other.identifier):
        return True
    return _binds(one, other, authority) or _binds(other, one, authority)


def _binds(namer: KnownAlert, other: KnownAlert, authority: _Authority) -> bool:
    """An Alert's references link, they do not bind; Updates and Cancels bind, if the sender they name is of our authority."""
    if namer.msg_type not in (MsgType.UPDATE, MsgType.CANCEL):
        return False
    return any(authority.accepts(reference) and _matches(reference, namer, other) for reference in namer.references)


def _ended(ours: KnownAlert, chain: Sequence[KnownAlert]) -> list[KnownAlert]:
    """What of the chain this message replaces or cancels. A Cancel is never undone: the danger's return is a new Alert."""
    return [other for other in chain if other.msg_type in _REPLACING and precedes(other, ours) and _ends(ours, other)]


def _ender(ours: KnownAlert, chain: Sequence[KnownAlert]) -> KnownAlert | None:
    """The message of the chain that had ended this one before it arrived: a Cancel first, else the latest."""
    if ours.msg_type not in _REPLACING:
        return None
    after = [other for other in chain if precedes(ours, other) and _ends(other, ours)]
    return max(after, key=lambda other: (other.msg_type is MsgType.CANCEL, other.sent), default=None)


def _ends(later: KnownAlert, earlier: KnownAlert) -> bool:
    """Within one chain: a newer version of the same identifier, an Update or Cancel that names it, or one that means the
    whole event. An Update with exact references replaces those alone: a sibling that split off stays in force, since
    ending it would tell people that a danger is over which is not."""
    if (later.sender, later.identifier) == (earlier.sender, earlier.identifier):
        return True
    if later.msg_type not in (MsgType.UPDATE, MsgType.CANCEL):
        return False
    return _means_event(later) or names(later, earlier)


def _means_event(alert: KnownAlert) -> bool:
    """A Cancel ends the event; the national dialect names an event by its first message, without a time."""
    return alert.msg_type is MsgType.CANCEL or any(reference.sent is None for reference in alert.references)


def update_kind(
    old: Alert, new: Alert, old_regions: Collection[str] = frozenset(), new_regions: Collection[str] = frozenset()
) -> UpdateKind:
    """What `new` changes in `old`, the first that applies: raised, widened, lowered, extended, text."""
    if new.grade > old.grade:
        return UpdateKind.RAISED
    if set(new_regions) - set(old_regions):
        return UpdateKind.WIDENED
    if new.grade < old.grade:
        return UpdateKind.LOWERED
    return UpdateKind.EXTENDED if _last_hour(new) > _last_hour(old) > 0 else UpdateKind.TEXT


def _last_hour(alert: Alert) -> Instant:
    """The latest `expires` written; 0 without one (the default window is no extension that anyone announced)."""
    return max((info.expires for info in alert.infos if info.expires is not None), default=0)


def dropped_regions(old_regions: Collection[str], new_regions: Collection[str]) -> frozenset[str]:
    """Regions that an Update leaves out: they must be told that it is over for them."""
    return frozenset(old_regions) - frozenset(new_regions)


def cancel_kind(alert: Alert, *, asked: CancelKind | None = None, wrong_words: Sequence[str] = ()) -> CancelKind:
    """Lifted or withdrawn: what the operator asked for, else withdrawn if `note` holds one of `wrong_words`, else lifted."""
    if asked is not None:
        return asked
    wrong = any(word.casefold() in alert.note.casefold() for word in wrong_words if word)
    return CancelKind.WITHDRAWN if wrong else CancelKind.LIFTED
