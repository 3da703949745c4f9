"""Dispatches: decisions to send, how far they are planned, and their rendered words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, RowMapping, case, func, insert, select, update

from gateway.model.dispatch import Audio, Cause, Message, Priority
from gateway.model.ids import new_id
from gateway.model.time import Instant
from gateway.ports.store import DispatchRow
from gateway.store.statements import insert_numbered
from gateway.store.tables import dispatch, message

OPEN, PLANNED, RECALL = "open", "planned", "recall"
OVER = (Cause.LIFTED.value, Cause.WITHDRAWN.value)


class SqlDispatches:
    """See `ports.store.Dispatches`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def open(
        self,
        alert: int,
        roster: int,
        cause: Cause,
        priority: Priority,
        due_at: Instant,
        expires_at: Instant,
        targets: Mapping[str, Any],
    ) -> int:
        values = {
            "id": new_id(),
            "alert": alert,
            "roster": roster,
            "cause": cause.value,
            "priority": int(priority),
            "due_at": due_at,
            "expires_at": expires_at,
            "targets": dict(targets),
            "state": OPEN,
        }
        return insert_numbered(self._connection, insert(dispatch).values(**values))

    def claim(self, owner: str, now: Instant, lease: int, besides: Collection[int] = ()) -> DispatchRow | None:
        wanted = (dispatch.c.state == OPEN) & dispatch.c.n.not_in(list(besides))
        return self._claimed(wanted, owner, now, lease)

    def any_recall(self, now: Instant, besides: Collection[int]) -> bool:
        free = (dispatch.c.lease_until <= now) & (dispatch.c.due_at <= now)
        waiting = (dispatch.c.state == RECALL) & free & dispatch.c.n.not_in(list(besides))
        return self._connection.execute(select(dispatch.c.n).where(waiting).limit(1)).first() is not None

    def claim_recall(self, owner: str, now: Instant, lease: int) -> DispatchRow | None:
        return self._claimed((dispatch.c.state == RECALL) & (dispatch.c.lease_owner != owner), owner, now, lease)

    def get(self, n: int, *, hold: bool = False) -> DispatchRow:
        query = select(dispatch).where(dispatch.c.n == n)
        query = query.with_for_update(read=True) if hold else query
        return _row(self._connection.execute(query).mappings().one())

    def number(self, id: str) -> int | None:
        return self._connection.execute(select(dispatch.c.n).where(dispatch.c.id == id)).scalar()

    def of_alert(self, alert: int) -> list[DispatchRow]:
        query = select(dispatch).where(dispatch.c.alert == alert).order_by(dispatch.c.n)
        return [_row(found) for found in self._connection.execute(query).mappings()]

    def withdraw(self, alert: int, at: Instant) -> list[int]:
        standing = (dispatch.c.alert == alert) & dispatch.c.withdrawn_at.is_(None)
        numbers = list(self._connection.execute(select(dispatch.c.n).where(standing)).scalars())
        self._connection.execute(update(dispatch).where(standing).values(withdrawn_at=at, state=PLANNED))
        return numbers

    def recall(self, numbers: Sequence[int]) -> None:
        warned = dispatch.c.n.in_(list(numbers)) & dispatch.c.cause.not_in(OVER)
        self._connection.execute(update(dispatch).where(warned).values(state=RECALL, lease_owner="", lease_until=0))

    def recalled(self, n: int) -> None:
        self._set(n, {"state": PLANNED, "lease_owner": "", "lease_until": 0})

    def renew(self, owner: str, numbers: Sequence[int], until: Instant) -> None:
        mine = update(dispatch).where(dispatch.c.n.in_(list(numbers)), dispatch.c.lease_owner == owner)
        self._connection.execute(mine.values(lease_until=until))

    def holds(self, n: int, owner: str) -> bool:
        query = select(dispatch.c.lease_owner).where(dispatch.c.n == n).with_for_update()
        return self._connection.execute(query).scalar() == owner

    def set_stragglers(self, n: int, stragglers: Mapping[str, Sequence[Sequence[int]]]) -> None:
        self._set(n, {"targets": {**self.get(n).targets, "stragglers": dict(stragglers)}})

    def planned(self, n: int, planned_to: int, done: bool) -> None:
        values: dict[str, Any] = {"planned_to": planned_to}
        if done:
            values |= {"state": PLANNED, "lease_owner": "", "lease_until": 0}
        self._set(n, values)

    def release(self, owner: str | None = None) -> None:
        """Give up leases (see `Outbox.release`)."""
        query = update(dispatch).where(dispatch.c.lease_until > 0)
        if owner is not None:
            query = query.where(dispatch.c.lease_owner == owner)
        self._connection.execute(query.values(lease_owner="", lease_until=0))

    def postpone(self, n: int, until: Instant) -> None:
        self._set(n, {"due_at": until, "lease_owner": "", "lease_until": 0})

    def _claimed(self, wanted: Any, owner: str, now: Instant, lease: int) -> DispatchRow | None:
        free = (dispatch.c.lease_until <= now) | (dispatch.c.lease_owner == owner)
        query = (
            select(dispatch)
            .where(wanted, dispatch.c.due_at <= now, free)
            .order_by(dispatch.c.priority, dispatch.c.n)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        found = self._connection.execute(query).mappings().first()
        if found is None:
            return None
        self._set(found["n"], {"lease_owner": owner, "lease_until": now + lease})
        return _row(found)

    def next_due(self, owner: str, besides: Collection[int] = ()) -> Instant | None:
        elsewhere = (dispatch.c.lease_owner != owner) & (dispatch.c.lease_until > dispatch.c.due_at)
        due = case((elsewhere, dispatch.c.lease_until), else_=dispatch.c.due_at)
        wanted = (dispatch.c.state == OPEN) & dispatch.c.n.not_in(list(besides))
        return self._connection.execute(select(func.min(due)).where(wanted)).scalar()

    def put_message(self, n: int, channel: str, variant: int, body: Message, flags: Sequence[str]) -> None:
        row = {"dispatch": n, "channel": channel, "variant": variant, "body": asdict(body), "flags": list(flags)}
        self._connection.execute(insert(message).values(**row))

    def message(self, n: int, channel: str, variant: int) -> Message:
        query = select(message.c.body).where(
            message.c.dispatch == n, message.c.channel == channel, message.c.variant == variant
        )
        return _message(self._connection.execute(query).scalar_one())

    def messages(self, n: int) -> list[tuple[str, int, Message, list[str]]]:
        query = select(message).where(message.c.dispatch == n).order_by(message.c.channel, message.c.variant)
        return [(row.channel, row.variant, _message(row.body), row.flags) for row in self._connection.execute(query)]

    def flags(self, n: int) -> list[str]:
        found = self._connection.execute(select(message.c.flags).where(message.c.dispatch == n)).scalars()
        return sorted({flag for flags in found for flag in flags})

    def _set(self, n: int, values: Mapping[str, Any]) -> None:
        self._connection.execute(update(dispatch).where(dispatch.c.n == n).values(**values))


def _row(found: RowMapping) -> DispatchRow:
    return DispatchRow(
        n=found["n"],
        id=found["id"],
        alert=found["alert"],
        roster=found["roster"],
        cause=Cause(found["cause"]),
        round=found["round"],
        priority=Priority(found["priority"]),
        due_at=found["due_at"],
        expires_at=found["expires_at"],
        targets=found["targets"],
        planned_to=found["planned_to"],
        state=found["state"],
        withdrawn_at=found["withdrawn_at"],
    )


def _message(body: dict[str, Any]) -> Message:
    audio = Audio(**body["audio"]) if body["audio"] else None
    fields = tuple((name, value) for name, value in body["fields"])
    return Message(body["language"], body["text"], body["title"], fields, audio)
