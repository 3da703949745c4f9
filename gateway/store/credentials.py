"""Keys, one-time tickets and sessions. Only digests are kept: a stolen database opens no door."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from sqlalchemy import Connection, RowMapping, insert, select, update

from gateway.model.ids import new_id
from gateway.model.time import Instant
from gateway.ports.desk import Principal, Role
from gateway.store.tables import credential

KEY, TICKET, SESSION = "key", "ticket", "session"


def digest(secret: str) -> str:
    """What is stored of a secret. Secrets are 256 random bits, so a plain hash is enough."""
    return sha256(secret.encode()).hexdigest()


class SqlCredentials:
    """Credentials of kind KEY, TICKET (spent once) and SESSION."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, kind: str, secret: str, who: Principal, now: Instant, expires_at: Instant | None = None) -> str:
        """Keep a credential for `who`; returns its id."""
        identity = new_id()
        row = {
            "id": identity,
            "kind": kind,
            "digest": digest(secret),
            "name": who.name,
            "source": who.source,
            "roles": sorted(role.value for role in who.roles),
            "regions": list(who.regions),
            "sandbox": who.sandbox,
            "created_at": now,
            "expires_at": expires_at,
        }
        self._connection.execute(insert(credential).values(**row))
        return identity

    def owner(self, kind: str, secret: str, now: Instant) -> Principal | None:
        """Who a credential belongs to; None if unknown, ended or past its time."""
        query = select(credential).where(credential.c.kind == kind, credential.c.digest == digest(secret))
        found = self._connection.execute(query.where(credential.c.ended_at.is_(None))).mappings().first()
        if found is None or (found["expires_at"] is not None and found["expires_at"] <= now):
            return None
        return _principal(found)

    def end(self, kind: str, secret: str, now: Instant) -> bool:
        """Spend or forget a credential; False if it was not there any more."""
        query = update(credential).where(credential.c.kind == kind, credential.c.digest == digest(secret))
        return self._connection.execute(query.where(credential.c.ended_at.is_(None)).values(ended_at=now)).rowcount == 1

    def revoke(self, id: str, now: Instant) -> bool:
        """End a credential by its id."""
        query = update(credential).where(credential.c.id == id, credential.c.ended_at.is_(None))
        return self._connection.execute(query.values(ended_at=now)).rowcount == 1

    def ending(self) -> list[tuple[str, Instant]]:
        """(name, end) of the keys in force that have an end."""
        query = select(credential.c.name, credential.c.expires_at).where(
            credential.c.kind == KEY, credential.c.ended_at.is_(None), credential.c.expires_at.is_not(None)
        )
        return [(row.name, row.expires_at) for row in self._connection.execute(query)]

    def keys(self) -> Sequence[RowMapping]:
        """All keys, newest first: `id, name, source, roles, sandbox, created_at, ended_at`."""
        query = select(credential).where(credential.c.kind == KEY).order_by(credential.c.created_at.desc())
        return self._connection.execute(query).mappings().all()


def _principal(found: RowMapping) -> Principal:
    roles = frozenset(Role(role) for role in found["roles"])
    return Principal(found["id"], found["name"], roles, found["source"], tuple(found["regions"]), found["sandbox"])
