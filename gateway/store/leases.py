"""Offices: which process leads. The token rises with every change of hands, so that a leader that was frozen and wakes up writes
nothing.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from gateway.model.time import Instant
from gateway.store.tables import lease


class SqlLeases:
    """See `ports.store.Leases`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(self, office: str, owner: str, now: Instant, until: Instant) -> int | None:
        held = self._connection.execute(select(lease).where(lease.c.office == office).with_for_update()).first()
        if held is None:
            self._connection.execute(insert(lease).values(office=office, owner=owner, token=1, until=until))
            return 1
        if held.owner != owner and held.until > now:
            return None
        token: int = held.token + (held.owner != owner)
        changed = update(lease).where(lease.c.office == office)
        self._connection.execute(changed.values(owner=owner, token=token, until=until))
        return token

    def holds(self, office: str, owner: str, token: int) -> bool:
        held = select(lease.c.token).where(lease.c.office == office, lease.c.owner == owner, lease.c.token == token)
        return self._connection.execute(held.with_for_update(read=True)).first() is not None

    def give_up(self, office: str, owner: str) -> None:
        mine = update(lease).where(lease.c.office == office, lease.c.owner == owner)
        self._connection.execute(mine.values(until=0))
