"""Stray messages: what came by the queue and nobody could read."""

from __future__ import annotations

from collections import Counter
from urllib.parse import unquote

from sqlalchemy import Connection, delete, insert, select, update

from gateway.model.time import Instant
from gateway.ports.store import StrayRow
from gateway.store.statements import insert_numbered
from gateway.store.tables import stray

LONGEST = 1024 * 1024
"""Bytes kept of a message."""


class SqlStrays:
    """See `ports.store.Strays`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def keep(self, route: str, reason: str, body: bytes, at: Instant) -> int:
        row = {"route": route, "reason": reason, "body": body[:LONGEST], "at": at, "replay": False}
        return insert_numbered(self._connection, insert(stray).values(**row))

    def page(self, limit: int) -> list[StrayRow]:
        return self._rows(select(stray).order_by(stray.c.n.desc()).limit(limit))

    def counts(self) -> dict[str, int]:
        routes = self._connection.execute(select(stray.c.route)).scalars()
        return dict(Counter(unquote(route.rpartition(".")[0].replace("@", "%")) for route in routes))

    def get(self, n: int) -> StrayRow | None:
        return next(iter(self._rows(select(stray).where(stray.c.n == n))), None)

    def ask_replay(self, n: int) -> bool:
        return self._connection.execute(update(stray).where(stray.c.n == n).values(replay=True)).rowcount == 1

    def to_replay(self, limit: int) -> list[StrayRow]:
        return self._rows(select(stray).where(stray.c.replay).order_by(stray.c.n).limit(limit))

    def drop(self, n: int) -> None:
        self._connection.execute(delete(stray).where(stray.c.n == n))

    def _rows(self, query: object) -> list[StrayRow]:
        return [StrayRow(**row) for row in self._connection.execute(query).mappings()]  # type: ignore[call-overload]
