"""Who is who: API keys, one-time sign-in tickets and sessions, over the store. See `ports.desk.Keys`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from sqlalchemy import RowMapping

from gateway.channel import Clock
from gateway.model.time import Instant
from gateway.ports.desk import Principal, Role
from gateway.store.credentials import KEY, SESSION, TICKET
from gateway.store.engine import SqlStore
from gateway.store.transaction import SqlTransaction

TICKET_LIFE = 15 * 60_000
SESSION_LIFE = 12 * 3_600_000
CACHE = 5_000


class StoreKeys:
    """Keys kept as digests. A key found good is believed for `CACHE` ms, so that a revocation takes effect within that time."""

    def __init__(self, store: SqlStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._seen: dict[str, tuple[Instant, Principal | None]] = {}

    async def principal(self, key: str) -> Principal | None:
        now = self._clock.now()
        believed = self._seen.get(key)
        if believed and now - believed[0] < CACHE:
            return believed[1]
        owner = await self._store.read(lambda tx: tx.credentials.owner(KEY, key, now))
        if len(self._seen) > 1000:
            self._seen.clear()
        if owner is not None:
            self._seen[key] = (now, owner)
        return owner

    async def sign_in(self, ticket: str) -> tuple[str, Principal] | None:
        now, token = self._clock.now(), secrets.token_urlsafe(32)

        def work(tx: SqlTransaction) -> Principal | None:
            owner = tx.credentials.owner(TICKET, ticket, now)
            if owner is None or not tx.credentials.end(TICKET, ticket, now):
                return None
            tx.credentials.add(SESSION, token, owner, now, now + SESSION_LIFE)
            tx.chronicle.audit(owner.name, "sign_in", now)
            return owner

        owner = await self._store.write(work)
        return (token, owner) if owner else None

    async def session(self, token: str) -> Principal | None:
        now = self._clock.now()
        return await self._store.read(lambda tx: tx.credentials.owner(SESSION, token, now))

    async def sign_out(self, token: str) -> None:
        now = self._clock.now()
        await self._store.write(lambda tx: tx.credentials.end(SESSION, token, now))

    async def create(
        self, who: Principal, secret: str | None = None, expires_at: Instant | None = None
    ) -> tuple[str, str]:
        """A new key for `who`, good until `expires_at` (None = until it is revoked): (id, key). It is shown once, never kept."""
        key, now = secret or f"tl_{secrets.token_urlsafe(32)}", self._clock.now()

        def work(tx: SqlTransaction) -> str:
            tx.chronicle.audit("console", "key_created", now, note=who.name)
            return tx.credentials.add(KEY, key, who, now, expires_at)

        return await self._store.write(work), key

    async def ticket(self, who: Principal) -> str:
        """A one-time sign-in ticket for `who`, good for 15 minutes."""
        ticket, now = secrets.token_urlsafe(32), self._clock.now()
        await self._store.write(lambda tx: tx.credentials.add(TICKET, ticket, who, now, now + TICKET_LIFE))
        return ticket

    async def all(self) -> Sequence[RowMapping]:
        """Every key, newest first, without its secret."""
        return await self._store.read(lambda tx: tx.credentials.keys())

    async def ending(self) -> list[tuple[str, Instant]]:
        """(name, end) of the keys in force that have an end."""
        return await self._store.read(lambda tx: tx.credentials.ending())

    async def revoke(self, id: str) -> bool:
        """End a key by its id; False if there was none."""
        now = self._clock.now()
        self._seen.clear()
        return await self._store.write(lambda tx: tx.credentials.revoke(id, now))


ADMIN = frozenset({Role.ADMIN, Role.SOURCE})
