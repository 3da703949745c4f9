"""The outbox: batches on their way to the channels. Embedded, it is the queue itself; with a broker, what the queue must carry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, RowMapping, Update, func, insert, select, update

from gateway.model.dispatch import Priority, WorkState
from gateway.model.time import Instant
from gateway.ports.store import BatchRow, Depth, NewBatch, Ordinals
from gateway.store.dispatches import OVER
from gateway.store.tables import batch, dispatch

WAITING = (WorkState.PENDING.value, WorkState.SENDING.value)

UNCLAIMED = 1000
"""Batches that are published again at a time."""


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

    def due(self, channel: str, owner: str, now: Instant, limit: int) -> list[BatchRow]:
        query = (
            select(batch)
            .where(batch.c.channel == channel, batch.c.state.in_(WAITING), batch.c.not_before <= now, _free(owner, now))
            .order_by(batch.c.priority, batch.c.expires_at, batch.c.n)
            .limit(limit)
        )
        return self._rows(query)

    def get(self, n: int) -> BatchRow:
        return _row(self._connection.execute(select(batch).where(batch.c.n == n)).mappings().one())

    def find(self, n: int) -> BatchRow | None:
        return next(iter(self._rows(select(batch).where(batch.c.n == n))), None)

    def begin(self, n: int, owner: str, attempts: int, now: Instant, lease: int) -> bool:
        untried = (batch.c.attempts < attempts) | (batch.c.lease_owner == owner)
        mine = update(batch).where(batch.c.n == n, batch.c.state.in_(WAITING), _free(owner, now), untried)
        begun = {"attempts": attempts, "state": WorkState.SENDING.value}
        return self._changed(mine.values(**begun, lease_owner=owner, lease_until=now + lease))

    def renew(self, owner: str, numbers: Sequence[int], until: Instant) -> None:
        mine = update(batch).where(batch.c.n.in_(list(numbers)), batch.c.lease_owner == owner)
        self._connection.execute(mine.values(lease_until=until))

    def advance(self, n: int, owner: str, remaining: Ordinals) -> bool:
        mine = update(batch).where(batch.c.n == n, batch.c.lease_owner == owner)
        return self._changed(mine.values(remaining=_blob(remaining)))

    def close(
        self,
        n: int,
        owner: str,
        state: WorkState,
        reason: str = "",
        remaining: Ordinals | None = None,
        doubtful: bool = False,
    ) -> bool:
        left = _blob(np.empty(0, np.int32) if remaining is None else remaining)
        ended = {"state": state.value, "reason": reason, "remaining": left, "doubtful": doubtful}
        return self._changed(self._mine(n, owner).values(**ended, lease_owner="", lease_until=0))

    def put_back(
        self,
        n: int,
        owner: str,
        not_before: Instant,
        attempts: int,
        remaining: Ordinals,
        reason: str,
        doubtful: bool = False,
    ) -> bool:
        waiting = {"state": WorkState.PENDING.value, "not_before": not_before, "published_at": 0}
        waiting |= {"attempts": attempts, "remaining": _blob(remaining), "reason": reason, "doubtful": doubtful}
        return self._changed(self._mine(n, owner).values(**waiting, lease_owner="", lease_until=0))

    def expire(self, now: Instant) -> int:
        overdue = update(batch).where(batch.c.state == WorkState.PENDING.value, batch.c.expires_at <= now)
        return self._connection.execute(overdue.values(state=WorkState.EXPIRED.value)).rowcount

    def any_overdue(self, now: Instant) -> bool:
        overdue = select(batch.c.n).where(batch.c.state == WorkState.PENDING.value, batch.c.expires_at <= now).limit(1)
        return self._connection.execute(overdue).first() is not None

    def withdraw(self, dispatches: Sequence[int]) -> int:
        waiting = update(batch).where(batch.c.dispatch.in_(list(dispatches)), batch.c.state == WorkState.PENDING.value)
        return self._connection.execute(waiting.values(state=WorkState.WITHDRAWN.value)).rowcount

    def release(self, owner: str | None = None) -> int:
        query = update(batch).where(batch.c.lease_until > 0)
        if owner is not None:
            query = query.where(batch.c.lease_owner == owner)
        return self._connection.execute(query.values(lease_owner="", lease_until=0, published_at=0)).rowcount

    def unpublished(self, now: Instant, limit: int) -> list[BatchRow]:
        query = (
            select(batch)
            .where(batch.c.published_at == 0, batch.c.state.in_(WAITING), batch.c.not_before <= now)
            .where(batch.c.lease_until <= now)
            .order_by(batch.c.priority, batch.c.expires_at, batch.c.n)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        found = self._rows(query)
        if found:
            carried = update(batch).where(batch.c.n.in_([row.n for row in found]))
            self._connection.execute(carried.values(published_at=now))
        return found

    def unpublish(self, numbers: Sequence[int]) -> None:
        self._connection.execute(update(batch).where(batch.c.n.in_(list(numbers))).values(published_at=0))

    def unclaimed(self, channel: str, priority: Priority, published_before: Instant, now: Instant) -> list[int]:
        query = select(batch.c.n).where(
            batch.c.channel == channel,
            batch.c.state.in_(WAITING),
            batch.c.priority == int(priority),
            batch.c.published_at.between(1, published_before),
            batch.c.not_before <= now,
            batch.c.lease_until <= now,
        )
        return list(self._connection.execute(query.limit(UNCLAIMED)).scalars())

    def reclaim(self, now: Instant) -> int:
        lapsed = update(batch).where(batch.c.lease_until.between(1, now), batch.c.state.in_(WAITING))
        return self._connection.execute(lapsed.values(lease_owner="", lease_until=0, published_at=0)).rowcount

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
        return self._rows(query)

    def dead_counts(self) -> dict[str, int]:
        given_up = select(batch.c.channel, func.count()).where(batch.c.state == WorkState.DEAD.value)
        return {row[0]: row[1] for row in self._connection.execute(given_up.group_by(batch.c.channel))}

    def revive(self, n: int, now: Instant) -> bool:
        dead = update(batch).where(batch.c.n == n, batch.c.state == WorkState.DEAD.value)
        anew = {
            "state": WorkState.PENDING.value,
            "not_before": now,
            "created_at": now,
            "attempts": 0,
            "published_at": 0,
        }
        return self._connection.execute(dead.values(**anew)).rowcount == 1

    def of_dispatch(self, number: int) -> list[BatchRow]:
        return self._rows(select(batch).where(batch.c.dispatch == number).order_by(batch.c.n))

    def planned(self, alert: int) -> list[Ordinals]:
        own = (dispatch.c.alert == alert) & (dispatch.c.roster == alert)
        query = select(batch).join(dispatch, dispatch.c.n == batch.c.dispatch).where(own)
        return [_row(row).whole for row in self._connection.execute(query).mappings()]

    def touched(self, roster: int) -> list[BatchRow]:
        warned = (dispatch.c.roster == roster) & dispatch.c.cause.not_in(OVER)
        query = select(batch).join(dispatch, dispatch.c.n == batch.c.dispatch).where(warned)
        return [row for row in self._rows(query) if len(row.handed)]

    def _mine(self, n: int, owner: str) -> Update:
        """A batch that is in `owner`'s hands, or in nobody's."""
        return update(batch).where(batch.c.n == n, batch.c.lease_owner.in_([owner, ""]), batch.c.state.in_(WAITING))

    def _changed(self, change: Update) -> bool:
        return self._connection.execute(change).rowcount == 1

    def _rows(self, query: Any) -> list[BatchRow]:
        return [_row(row) for row in self._connection.execute(query).mappings()]


def _free(owner: str, now: Instant) -> Any:
    """In nobody's hands, or in `owner`'s."""
    return (batch.c.lease_until <= now) | (batch.c.lease_owner == owner)


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
        lease_until=found["lease_until"],
    )
