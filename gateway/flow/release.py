"""Release: what people do to alerts. Approve or reject what is held, stop what is under way, cancel what has been said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from gateway.cap import as_cap
from gateway.channel import Clock
from gateway.errors import Refused
from gateway.flow.refusals import not_yours, unknown_alert, wrong_state
from gateway.flow.standing import Subject, end, take_effect, tell
from gateway.flow.world import World
from gateway.model.alert import Alert, AlertState, CancelKind, MsgType, Reference, Scope, Status
from gateway.model.time import Instant, moment
from gateway.ports.desk import Json, Principal, Role
from gateway.ports.store import AlertRow, Store, Transaction, Turn
from gateway.rules.divisions import within
from gateway.rules.targeting import resolve


class Release:
    """People's deeds on alerts, each one transaction with its audit row."""

    def __init__(self, store: Store, clock: Clock, world: World, opened: Callable[[], None]) -> None:
        self._store, self._clock, self._opened = store, clock, opened
        self.world = world

    async def approve(self, id: str, by: Principal, note: str = "") -> Json:
        """Release a held alert. What resolves to no region of ours cannot be sent to anybody and stays held."""
        row = await self._row(id, by, "approve", Role.APPROVER)
        alert = self.world.alert(row)
        targets = await asyncio.to_thread(resolve, alert, self.world.tree, self.world.areas, row.source)
        if not targets.codes:
            zh = "目标区域没有对应到任何行政区，无法发布；请发布单位补充区划代码后以 Update 重发。"
            en = "Its areas resolve to no region of ours, so nobody would be told. Ask for an Update with division codes."
            raise Refused("unresolved_area", 409, zh, en)
        now = self._clock.now()

        def work(tx: Transaction) -> AlertState:
            self._in_state(tx, row, "approve", AlertState.HELD)
            if row.expires_at <= now:
                tx.alerts.set_state(row.n, AlertState.STORED, why="expired")
                tell(tx, row, AlertState.STORED, now, "expired")
                return AlertState.STORED
            tx.chronicle.audit(by.name, "approved", now, row.n, note)
            return take_effect(tx, self.world, Subject(replace(row, why="approved"), alert, targets), None, now)

        state = await self._store.write(work, turn=Turn.LINEAGE)
        self._opened()
        return {"id": row.id, "state": state.value}

    async def reject(self, id: str, by: Principal, note: str = "") -> Json:
        """Refuse a held alert for good."""
        row = await self._row(id, by, "reject", Role.APPROVER, Role.REVIEWER)
        return await self._ended(row, by, "reject", AlertState.HELD, AlertState.REJECTED, note)

    async def stop(self, id: str, by: Principal, note: str = "") -> Json:
        """Stop what has not been sent yet; nobody is told."""
        row = await self._row(id, by, "stop", Role.APPROVER)
        return await self._ended(row, by, "stop", AlertState.RELEASED, AlertState.STOPPED, note)

    async def cancellation(self, id: str, by: Principal, kind: CancelKind, note: str = "") -> tuple[bytes, AlertRow]:
        """The CAP Cancel that an operator's wish amounts to, and the alert it ends. Intake takes it like any other message."""
        row = await self._row(id, by, "cancel", Role.APPROVER)
        if row.state is not AlertState.RELEASED:
            raise wrong_state("cancel", row.state)
        return as_cap(cancel_of(self.world.alert(row), self._clock.now(), kind, note)), row

    async def _row(self, id: str, by: Principal, deed: str, *roles: Role) -> AlertRow:
        row = await self._store.read(lambda tx: tx.alerts.by_id(id))
        if row is None:
            raise unknown_alert()
        if not by.may(*roles):
            raise not_yours(deed)
        if by.regions and not all(any(within(code, scope) for scope in by.regions) for code in row.scope):
            raise unknown_alert()
        return row

    def _in_state(self, tx: Transaction, row: AlertRow, deed: str, state: AlertState) -> None:
        """Two people may press at once: only the first finds the state it asked for."""
        current = tx.alerts.by_number(row.n)
        if current is None or current.state is not state:
            raise wrong_state(deed, current.state if current else row.state)

    async def _ended(
        self, row: AlertRow, by: Principal, deed: str, before: AlertState, after: AlertState, note: str
    ) -> Json:
        now = self._clock.now()

        def work(tx: Transaction) -> None:
            self._in_state(tx, row, deed, before)
            end(tx, row, after, now, note)
            tx.chronicle.audit(by.name, after.value, now, row.n, note)

        await self._store.write(work, turn=Turn.LINEAGE)
        return {"id": row.id, "state": after.value}


def cancel_of(alert: Alert, now: Instant, kind: CancelKind, note: str) -> Alert:
    """A Cancel of `alert` in the name of its sender (CAP 1.2 §3.2.1), without infos: the words are made from what was said.

    `sent` has whole seconds in CAP, so the cancelled message is never of a later time.
    """
    sent = max(now // 1000 * 1000, alert.sent)
    stamp = moment(sent).strftime("%Y%m%d%H%M%S")
    return Alert(
        identifier=f"{alert.identifier[:200]}-{kind.value}-{stamp}",
        sender=alert.sender,
        sent=sent,
        status=alert.status if alert.status is not Status.DRAFT else Status.TEST,
        msg_type=MsgType.CANCEL,
        scope=Scope.PUBLIC,
        dialect="cap-1.2",
        note=note,
        references=(Reference(alert.sender, alert.identifier, alert.sent),),
    )
