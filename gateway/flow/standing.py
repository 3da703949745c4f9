"""How an alert comes into force and how it ends, as effects inside one transaction. Intake, release and watch apply them; none of
them knows another.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from gateway.flow.world import World
from gateway.model.alert import Alert, AlertState, CancelKind, Info, MsgType, Reference, Status
from gateway.model.dispatch import Cause
from gateway.model.time import Instant
from gateway.ports.store import AlertRow, Transaction
from gateway.rules.lineage import KnownAlert, Lineage, cancel_kind, dropped_regions, relation, update_kind
from gateway.rules.planning import Case, Choice, choose, effective_expiry, priority
from gateway.rules.targeting import Targets, resolve

EFFECTLESS = frozenset({AlertState.REJECTED, AlertState.DRAFT})
UNSPOKEN = frozenset({"ack", "error", "draft", "scope"})
"""Messages in these states, or stored for these reasons, are no part of any event."""

STANDING = frozenset({AlertState.RELEASED, AlertState.HELD})
"""States in which an alert can still be superseded or cancelled."""

NAMES = 200
"""Names of dropped regions kept for the all-clear; more are told as a count."""

KIN = 2000
"""How many messages of one event are looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """An alert that is about to take effect: its row (already stored), its content and its targets."""

    row: AlertRow
    alert: Alert
    targets: Targets


def lineage_of(tx: Transaction, world: World, alert: Alert, source: str) -> Lineage:
    """What this message does to what the store holds, and what of it has already ended this message."""
    known = [_known(tx, row) for row in _kin(tx, alert).values() if _has_effect(row)]
    return relation(alert, known, source=source, aliases=world.source(source).aliases)


def take_effect(tx: Transaction, world: World, subject: Subject, asked: CancelKind | None, now: Instant) -> AlertState:
    """Release an alert: end what it ends, open its dispatches, say so. Returns the state it is in then."""
    row, alert = subject.row, subject.alert
    lineage = lineage_of(tx, world, alert, row.source)
    ender = tx.alerts.by_id(lineage.ended_by) if lineage.ended_by else None
    if ender is not None and ender.state is not AlertState.HELD:
        state = AlertState.CANCELLED if lineage.ended_as is MsgType.CANCEL else AlertState.SUPERSEDED
        tx.alerts.set_state(row.n, state, why="ended_before_arrival", released_at=now, ended_at=now, ended_by=ender.n)
        tell(tx, row, state, now, "ended_before_arrival")
        _end_overtaken(tx, world, lineage, now)
        _end_all(tx, row, lineage, now)
        return state
    ended = _end_all(tx, row, lineage, now)
    _end_overtaken(tx, world, lineage, now)
    if alert.msg_type is MsgType.CANCEL:
        return _cancel(tx, world, subject, ended, asked, now)
    tx.alerts.set_state(row.n, AlertState.RELEASED, released_at=now)
    _open_release(tx, world, subject, ended, now)
    tell(tx, row, AlertState.RELEASED, now, row.why)
    return AlertState.RELEASED


def end(tx: Transaction, row: AlertRow, state: AlertState, now: Instant, why: str = "", by: int = 0) -> None:
    """End an alert: nothing of it that has not begun is sent any more. What a cancelled one has handed over is called back."""
    withdrawn = tx.dispatches.withdraw(row.n, now)
    tx.outbox.withdraw(withdrawn)
    if state is AlertState.CANCELLED:
        tx.dispatches.recall(withdrawn)
    tx.alerts.set_state(row.n, state, why=why, ended_at=now, ended_by=by)
    tell(tx, row, state, now, why)


def tell(tx: Transaction, row: AlertRow, state: AlertState, now: Instant, why: str = "") -> None:
    """An `alert` event: the pages and the folder learn of the new state."""
    payload = {"id": row.id, "state": state.value, "why": why, "headline": row.headline, "grade": row.grade}
    tx.chronicle.tell("alert", payload, now, row.n)


def _end_all(tx: Transaction, row: AlertRow, lineage: Lineage, now: Instant) -> list[AlertRow]:
    """End what the message replaces or cancels; returns the ones that had been in force, oldest first."""
    was_in_force = []
    for keys, state in ((lineage.supersedes, AlertState.SUPERSEDED), (lineage.cancels, AlertState.CANCELLED)):
        for earlier in (tx.alerts.by_id(key) for key in keys):
            if earlier is not None and earlier.state in STANDING:
                end(tx, earlier, state, now, f"by {row.identifier}", row.n)
                if earlier.state is AlertState.RELEASED:
                    was_in_force.append(earlier)
    return was_in_force


def _end_overtaken(tx: Transaction, world: World, lineage: Lineage, now: Instant) -> None:
    """This message may show that others belong together: what one of them had ended is ended now."""
    for key, by in lineage.overtaken:
        earlier, ender = tx.alerts.by_id(key), tx.alerts.by_id(by)
        if earlier is None or ender is None or earlier.state not in STANDING or ender.state is AlertState.HELD:
            continue
        cancelled = ender.msg_type == MsgType.CANCEL
        end(
            tx,
            earlier,
            AlertState.CANCELLED if cancelled else AlertState.SUPERSEDED,
            now,
            f"by {ender.identifier}",
            ender.n,
        )
        if cancelled and earlier.state is AlertState.RELEASED:
            _tell_late(tx, world, ender, earlier, now)


def _tell_late(tx: Transaction, world: World, cancel: AlertRow, ended: AlertRow, now: Instant) -> None:
    """A Cancel that came before the link to what it ends: those whom that had reached are told now. If it had nothing to end so
    far, it comes into force itself; else the newly ended alert's own roster is told."""
    waited = cancel.state is AlertState.STORED
    if waited:
        tx.alerts.set_state(cancel.n, AlertState.RELEASED, released_at=now)
        tell(tx, cancel, AlertState.RELEASED, now, cancel.kind)
    alert, original = world.alert(cancel), world.alert(ended)
    cause = Cause.WITHDRAWN if cancel.kind == CancelKind.WITHDRAWN else Cause.LIFTED
    spoken = replace(alert, infos=alert.infos or original.infos)
    roster = cancel.n if waited else ended.n
    _open_over(tx, world, cancel, spoken, cause, roster, {"supersedes": ended.id}, now)


def _cancel(
    tx: Transaction, world: World, subject: Subject, ended: Sequence[AlertRow], asked: CancelKind | None, now: Instant
) -> AlertState:
    row, alert = subject.row, subject.alert
    kind = cancel_kind(alert, asked=asked, wrong_words=world.withdrawn_words)
    tx.alerts.set_kind(row.n, kind.value)
    if not ended:
        tx.alerts.set_state(row.n, AlertState.STORED, why="nothing_to_end", released_at=now)
        tell(tx, row, AlertState.STORED, now, "nothing_to_end")
        return AlertState.STORED
    tx.alerts.set_state(row.n, AlertState.RELEASED, released_at=now)
    cause = Cause.WITHDRAWN if kind is CancelKind.WITHDRAWN else Cause.LIFTED
    original = world.alert(ended[-1])
    infos = alert.infos or original.infos
    _open_over(tx, world, row, replace(alert, infos=infos), cause, row.n, {"supersedes": ended[-1].id}, now)
    tell(tx, row, AlertState.RELEASED, now, kind.value)
    return AlertState.RELEASED


def _open_release(tx: Transaction, world: World, subject: Subject, ended: Sequence[AlertRow], now: Instant) -> None:
    """The dispatch of a warning; for an Update also the all-clear for regions that it drops."""
    row, alert, targets = subject.row, subject.alert, subject.targets
    kind, added = None, frozenset[str]()
    extra: dict[str, Any] = {}
    if ended and alert.status not in (Status.TEST, Status.SYSTEM):
        old = world.alert(ended[-1])
        old_targets = resolve(old, world.tree, world.areas, ended[-1].source)
        old_codes = old_targets.codes
        kind, added = update_kind(old, alert, old_codes, targets.codes), targets.codes - old_codes
        tx.alerts.set_kind(row.n, kind.value)
        extra = {"kind": kind.value, "supersedes": ended[-1].id}
        dropped = dropped_regions(old_codes, targets.codes)
        if dropped:
            places = [region.name for region in _part(old_targets, dropped).summits()][:NAMES]
            lifted = {"leaves": sorted(dropped), "places": places, "supersedes": ended[-1].id}
            _open_over(tx, world, row, replace(old, infos=old.infos), Cause.LIFTED, ended[-1].n, lifted, now)
    regions = [region.code for region in targets.summits()]
    source = world.source(row.source)
    audiences = world.audiences(alert)
    case = Case(
        alert=alert,
        info=alert.infos[0],
        now=now,
        zone=world.zone,
        kind=kind,
        regions=regions,
        audiences=audiences,
        methods=source.methods,
    )
    cases = [replace(case, info=info) for info in alert.infos]
    choices = [choose(case, world.rules, world.channels, world.quiet) for case in cases]
    limited = sorted({name for choice in choices for name in choice.added_only})
    if limited:
        extra |= {"limited": limited, "leaves": sorted(added)}
    plan = {
        "choices": [_choice(choice, alert, info) for choice, info in zip(choices, alert.infos, strict=True)],
        "audiences": sorted(audiences),
        **extra,
    }
    tx.alerts.set_plan(row.n, plan)
    tx.alerts.add_findings(
        row.n, [_remark(code) for code in dict.fromkeys(code for c in choices for code in c.findings)]
    )
    delay = min((choice.after for choice in choices), default=0) * 1000
    most_urgent = min(priority(alert, info, Cause.RELEASE) for info in alert.infos)
    tx.dispatches.open(row.n, row.n, Cause.RELEASE, most_urgent, now + delay, row.expires_at, plan)


def _part(targets: Targets, codes: Collection[str]) -> Targets:
    """Those of the targets whose leaves are among `codes`."""
    meant = np.isin([leaf.code for leaf in targets.tree.leaves], list(codes))
    return replace(targets, union=np.where(meant, targets.union, 0).astype(np.int32))


def _open_over(
    tx: Transaction,
    world: World,
    row: AlertRow,
    alert: Alert,
    cause: Cause,
    roster: int,
    extra: dict[str, Any],
    now: Instant,
) -> None:
    """Tell those who were reached that it is over: silent channels now, audible ones when they may speak."""
    info = max(alert.infos, key=lambda info: info.grade)
    everywhere = frozenset(channel.name for channel in world.channels)
    case = Case(alert=alert, info=info, now=now, zone=world.zone, cause=cause, reached=everywhere)
    choice = choose(case, world.rules, world.channels, world.quiet)
    expires_at = max(effective_expiry(info, now, cause, world.validity), now + 1)
    urgency = priority(alert, info, cause)
    waves = {now: choice.first}
    for quieted in choice.quieted:
        if quieted.until is not None:
            waves[quieted.until] = (*waves.get(quieted.until, ()), quieted.channel)
    for due_at, channels in waves.items():
        if channels and due_at < expires_at:
            targets = {"choices": [_choice(replace(choice, first=channels), alert, info)], **extra}
            tx.dispatches.open(row.n, roster, cause, urgency, due_at, expires_at, targets)


REMARKS = {
    "methods_unserved": "报文指定的发布方式没有对应渠道,已按预案发布 / no channel serves the methods named; sent by the plan",
    "methods_beyond_plan": "报文指定的发布方式不在预案内,已按报文发布 / the methods named are beyond the plan; sent by them",
}
"""What the choice of channels remarks about an alert."""


def _remark(code: str) -> dict[str, Any]:
    return {"code": code, "level": "warning", "xpath": "/alert/code/method", "line": None, "message": REMARKS[code]}


def _choice(choice: Choice, alert: Alert, info: Info) -> dict[str, Any]:
    return {
        "rule": choice.rule,
        "first": list(choice.first),
        "reserve": list(choice.reserve),
        "quieted": [asdict(quieted) for quieted in choice.quieted],
        "findings": list(choice.findings),
        "priority": int(priority(alert, info, Cause.RELEASE)),
    }


def _has_effect(row: AlertRow) -> bool:
    return row.state not in EFFECTLESS and not (row.state is AlertState.STORED and row.why in UNSPOKEN)


def _kin(tx: Transaction, alert: Alert) -> dict[int, AlertRow]:
    """Stored messages that share an identifier with this one, directly or over references, however far."""
    names = {alert.identifier, *(reference.identifier for reference in alert.references)}
    seen: set[str] = set()
    kin: dict[int, AlertRow] = {}
    while (fresh := names - seen) and len(kin) < KIN:
        seen |= fresh
        referring = {reference.by for name in fresh for reference in tx.alerts.referring(name)} - kin.keys()
        rows = [*tx.alerts.named(fresh), *(row for n in referring if (row := tx.alerts.by_number(n)) is not None)]
        kin |= {row.n: row for row in rows}
        names |= {row.identifier for row in rows}
        names |= {reference.identifier for row in rows for reference in tx.alerts.references(row.n)}
    return kin


def _known(tx: Transaction, row: AlertRow) -> KnownAlert:
    references = tuple(Reference(each.sender, each.identifier, each.sent) for each in tx.alerts.references(row.n))
    return KnownAlert(
        row.id, row.sender, row.identifier, row.sent, Status(row.status), MsgType(row.msg_type), references, row.source
    )
