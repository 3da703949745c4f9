"""Snapshots of folds. A snapshot may be thrown away at any time: the journal gives the same numbers again."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from gateway.model.time import Instant
from gateway.store.tables import snapshot


class SqlSnapshots:
    """See `ports.store.Snapshots`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, alert: int, seq: int, at: Instant, fold: bytes) -> None:
        self.drop(alert)
        self._connection.execute(insert(snapshot).values(alert=alert, seq=seq, at=at, fold=fold))

    def get(self, alert: int) -> tuple[int, bytes] | None:
        found = self._connection.execute(
            select(snapshot.c.seq, snapshot.c.fold).where(snapshot.c.alert == alert)
        ).first()
        return (found.seq, found.fold) if found else None

    def drop(self, alert: int) -> None:
        self._connection.execute(delete(snapshot).where(snapshot.c.alert == alert))
