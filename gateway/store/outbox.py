"""The outbox: batches on their way to the channels. Embedded, it is the queue itself, by leases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, RowMapping, case, func, insert, select, update

from gateway.model.dispatch import Priority, WorkState
from gateway.model.time import Instant
from gateway.ports.store import BatchRow, Depth, NewBatch, Ordinals
from gateway.store.tables import batch, dispatch

WAITING = (WorkState.PENDING.value, WorkState.SENDING.value)


class SqlOutbox:
    """See `ports.store.Outbox`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, number: int, batches: Sequence[NewBatch], now: Instant) -> None:
        rows = [
            {
                "dispatch": number,
                "channel": new.channel,
                "variant": new.variant,
                "priority": int(new.priority),
                "first": new.first,
                "count": new.count,
                "expires_at": new.expires_at,
                "state": WorkState.PENDING.value,
                "not_before": now,
                "only": None if new.only is None else _blob(new.only),
                "created_at": now,
            }
            for new in batches
        ]
        if rows:
            self._connection.execute(insert(batch), rows)

    def due(self, channel: str, now: Instant, limit: int) -> list[BatchRow]:
        free = (batch.c.not_before <= now) & (batch.c.lease_until <= now)
        query = (
            select(batch)
            .where(batch.c.channel == channel, batch.c.state.in_(WAITING), free)
            .order_by(batch.c.priority, batch.c.expires_at, batch.c.n)
            .limit(limit)
        )
        return [_row(row) for row in self._connection.execute(query).mappings()]

    def claim(self, channel: str, owner: str, now: Instant, lease: int, limit: int) -> list[BatchRow]:
        found = self.due(channel, now, limit)
        if found:
            leased = update(batch).where(batch.c.n.in_([row.n for row in found]))
            self._connection.execute(leased.values(lease_owner=owner, lease_until=now + lease))
        return found

    def get(self, n: int) -> BatchRow:
        return _row(self._connection.execute(select(batch).where(batch.c.n == n)).mappings().one())

    def close(
        self, n: int, state: WorkState, reason: str = "", remaining: Ordinals | None = None, doubtful: bool = False
    ) -> None:
        left = _blob(np.empty(0, np.int32) if remaining is None else remaining)
        ended = {"state": state.value, "reason": reason, "remaining": left, "doubtful": doubtful}
        self._set(n, **ended, lease_owner="", lease_until=0)

    def started(self, n: int, attempts: int) -> None:
        self._set(n, attempts=attempts, state=WorkState.SENDING.value)

    def advance(self, n: int, remaining: Ordinals) -> None:
        self._set(n, remaining=_blob(remaining))

    def expire(self, now: Instant) -> int:
        overdue = update(batch).where(batch.c.state == WorkState.PENDING.value, batch.c.expires_at <= now)
        return self._connection.execute(overdue.values(state=WorkState.EXPIRED.value)).rowcount

    def any_overdue(self, now: Instant) -> bool:
        overdue = select(batch.c.n).where(batch.c.state == WorkState.PENDING.value, batch.c.expires_at <= now).limit(1)
        return self._connection.execute(overdue).first() is not None

    def withdraw(self, dispatches: Sequence[int]) -> int:
        waiting = update(batch).where(batch.c.dispatch.in_(list(dispatches)), batch.c.state == WorkState.PENDING.value)
        return self._connection.execute(waiting.values(state=WorkState.WITHDRAWN.value)).rowcount

    def put_back(
        self, n: int, not_before: Instant, attempts: int, remaining: Ordinals, reason: str, doubtful: bool = False
    ) -> None:
        self._set(
            n,
            state=WorkState.PENDING.value,
            not_before=not_before,
            attempts=attempts,
            remaining=_blob(remaining),
            reason=reason,
            doubtful=doubtful,
            lease_owner="",
            lease_until=0,
        )

    def unclaim(self, numbers: Sequence[int]) -> None:
        self._connection.execute(
            update(batch).where(batch.c.n.in_(list(numbers))).values(lease_owner="", lease_until=0)
        )

    def release(self, owner: str | None = None) -> int:
        query = update(batch).where(batch.c.lease_until > 0)
        if owner is not None:
            query = query.where(batch.c.lease_owner == owner)
        return self._connection.execute(query.values(lease_owner="", lease_until=0)).rowcount

    def next_due(self, channel: str, now: Instant) -> Instant | None:
        waiting = select(func.min(batch.c.not_before)).where(
            batch.c.channel == channel, batch.c.state.in_(WAITING), batch.c.not_before > now
        )
        return self._connection.execute(waiting).scalar()

    def depths(self) -> list[Depth]:
        query = (
            select(batch.c.channel, func.count(), func.sum(batch.c.count), func.min(batch.c.created_at))
            .where(batch.c.state.in_(WAITING))
            .group_by(batch.c.channel)
        )
        return [Depth(*row) for row in self._connection.execute(query)]

    def dead(self, limit: int) -> list[BatchRow]:
        query = select(batch).where(batch.c.state == WorkState.DEAD.value).order_by(batch.c.n.desc()).limit(limit)
        return [_row(row) for row in self._connection.execute(query).mappings()]

    def dead_counts(self) -> dict[str, int]:
        given_up = select(batch.c.channel, func.count()).where(batch.c.state == WorkState.DEAD.value)
        return {row[0]: row[1] for row in self._connection.execute(given_up.group_by(batch.c.channel))}

    def revive(self, n: int, now: Instant) -> bool:
        dead = update(batch).where(batch.c.n == n, batch.c.state == WorkState.DEAD.value)
        anew = {"state": WorkState.PENDING.value, "not_before": now, "created_at": now, "attempts": 0}
        return self._connection.execute(dead.values(**anew)).rowcount == 1

    def of_dispatch(self, number: int) -> list[BatchRow]:
        query = select(batch).where(batch.c.dispatch == number).order_by(batch.c.n)
        return [_row(row) for row in self._connection.execute(query).mappings()]

    def planned(self, alert: int) -> list[Ordinals]:
        own = (dispatch.c.alert == alert) & (dispatch.c.roster == alert)
        query = select(batch).join(dispatch, dispatch.c.n == batch.c.dispatch).where(own)
        return [_row(row).whole for row in self._connection.execute(query).mappings()]

    def newer(self, n: int, limit: int) -> list[tuple[int, int, Ordinals]]:
        own = case((dispatch.c.roster == dispatch.c.alert, dispatch.c.alert), else_=0)
        query = (
            select(batch, own.label("counts_for"))
            .join(dispatch, dispatch.c.n == batch.c.dispatch)
            .where(batch.c.n > n)
            .order_by(batch.c.n)
            .limit(limit)
        )
        rows = self._connection.execute(query).mappings()
        return [(row["n"], row["counts_for"], _row(row).whole) for row in rows]

    def newest(self) -> int:
        return self._connection.execute(select(func.max(batch.c.n))).scalar() or 0

    def touched(self, roster: int) -> list[Ordinals]:
        query = select(batch).join(dispatch, dispatch.c.n == batch.c.dispatch).where(dispatch.c.roster == roster)
        handed = [_row(row).handed for row in self._connection.execute(query).mappings()]
        return [ordinals for ordinals in handed if len(ordinals)]

    def _set(self, n: int, **values: Any) -> None:
        self._connection.execute(update(batch).where(batch.c.n == n).values(**values))


def _ordinals(blob: bytes | None) -> Ordinals | None:
    return None if blob is None else np.frombuffer(blob, "<i4")


def _blob(ordinals: Ordinals) -> bytes:
    return np.asarray(ordinals, "<i4").tobytes()


def _row(found: RowMapping) -> BatchRow:
    return BatchRow(
        n=found["n"],
        dispatch=found["dispatch"],
        channel=found["channel"],
        variant=found["variant"],
        priority=Priority(found["priority"]),
        first=found["first"],
        count=found["count"],
        expires_at=found["expires_at"],
        state=WorkState(found["state"]),
        not_before=found["not_before"],
        attempts=found["attempts"],
        remaining=_ordinals(found["remaining"]),
        reason=found["reason"],
        only=_ordinals(found["only"]),
        doubtful=found["doubtful"],
    )
