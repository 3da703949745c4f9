"""The processes of this deployment, and the pace that they keep together on a channel."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, case, delete, select

from gateway.model.time import Instant
from gateway.ports.store import ProcessRow
from gateway.store.statements import upsert
from gateway.store.tables import pace, process


class SqlProcesses:
    """See `ports.store.Processes`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def tell(self, row: ProcessRow) -> None:
        values: dict[str, Any] = {
            "owner": row.owner,
            "roles": list(row.roles),
            "url": row.url,
            "at": row.at,
            "channels": {name: dict(told) for name, told in row.channels.items()},
        }
        self._connection.execute(upsert(self._connection, process, ("owner",), tuple(values)), values)

    def since(self, at: Instant) -> list[ProcessRow]:
        query = select(process).where(process.c.at >= at).order_by(process.c.owner)
        return [ProcessRow(**row) for row in self._connection.execute(query).mappings()]

    def forget(self, owner: str = "", before: Instant = 0) -> None:
        self._connection.execute(delete(process).where((process.c.owner == owner) | (process.c.at < before)))


class SqlPaces:
    """See `ports.store.Paces`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def reserve(self, channel: str, now_us: int, cost_us: int) -> int:
        statement = upsert(self._connection, pace, ("channel",), ())
        begins = case((pace.c.free_at > now_us, pace.c.free_at), else_=now_us)
        taken = statement.on_conflict_do_update(index_elements=["channel"], set_={"free_at": begins + cost_us})
        free_at = self._connection.execute(
            taken.values(channel=channel, free_at=now_us + cost_us).returning(pace.c.free_at)
        ).scalar_one()
        return int(free_at) - cost_us
