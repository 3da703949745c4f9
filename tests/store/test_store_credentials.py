"""Keys, tickets and sessions: only digests are kept, a ticket opens the door once, and what is revoked stays out."""

from __future__ import annotations

import asyncio
from pathlib import Path

from store_kit import NOW, opened

from gateway.ports.desk import Principal, Role
from gateway.store import SqlStore, StoreKeys
from gateway.store.credentials import KEY
from gateway.store.keys import CACHE, SESSION_LIFE, TICKET_LIFE
from gateway.testing.clock import ManualClock

WANG = Principal("", "wang", frozenset({Role.APPROVER, Role.SOURCE}), "met", ("2104",), True)


def desk(store: SqlStore) -> tuple[StoreKeys, ManualClock]:
    clock = ManualClock(NOW)
    return StoreKeys(store, clock), clock


async def test_a_key_opens_as_whom_it_was_made_for(store_url: str) -> None:
    async with opened(store_url) as store:
        keys, _ = desk(store)
        identity, key = await keys.create(WANG)
        assert await keys.principal(key) == Principal(identity, WANG.name, WANG.roles, "met", ("2104",), True)
        assert await keys.principal(key + "x") is None
        assert await keys.session(key) is None, "a key is no session"
        assert await keys.sign_in(key) is None, "nor a ticket"


async def test_no_secret_stands_in_the_files(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        keys, _ = desk(store)
        _, key = await keys.create(WANG)
        ticket = await keys.ticket(WANG)
        signed_in = await keys.sign_in(ticket)
        assert signed_in is not None
        secrets = [key, ticket, signed_in[0]]
        content = await asyncio.to_thread(lambda: b"".join(path.read_bytes() for path in tmp_path.iterdir()))
        assert b"wang" in content
        assert not [secret for secret in secrets if secret.encode() in content]


async def test_a_ticket_is_spent_once_even_by_many_at_a_time(store_url: str) -> None:
    async with opened(store_url) as store:
        keys, _ = desk(store)
        ticket = await keys.ticket(WANG)
        opened_doors = await asyncio.gather(*(keys.sign_in(ticket) for _ in range(20)))
        (session,) = [door for door in opened_doors if door is not None]
        assert (await keys.session(session[0])) is not None
        assert await keys.sign_in(ticket) is None


async def test_tickets_and_sessions_have_their_time(store_url: str) -> None:
    async with opened(store_url) as store:
        keys, clock = desk(store)
        early, late = await keys.ticket(WANG), await keys.ticket(WANG)
        clock.forward(TICKET_LIFE / 1000 - 1)
        signed_in = await keys.sign_in(early)
        assert signed_in is not None
        clock.forward(1)
        assert await keys.sign_in(late) is None
        clock.forward(SESSION_LIFE / 1000 - 1.001)
        assert await keys.session(signed_in[0]) is not None
        clock.forward(1)
        assert await keys.session(signed_in[0]) is None


async def test_signing_out_ends_the_session(store_url: str) -> None:
    async with opened(store_url) as store:
        keys, _ = desk(store)
        signed_in = await keys.sign_in(await keys.ticket(WANG))
        assert signed_in is not None
        await keys.sign_out(signed_in[0])
        assert await keys.session(signed_in[0]) is None


async def test_a_revoked_key_opens_no_more(store_url: str) -> None:
    async with opened(store_url) as store:
        keys, clock = desk(store)
        identity, key = await keys.create(WANG)
        elsewhere = StoreKeys(store, clock)
        assert await elsewhere.principal(key) is not None
        assert await keys.revoke(identity)
        assert not await keys.revoke(identity)
        assert await keys.principal(key) is None
        clock.forward(CACHE / 1000)
        assert await elsewhere.principal(key) is None, "another process believes it no longer than its memory"


async def test_keys_are_listed_without_their_secrets(store_url: str) -> None:
    async with opened(store_url) as store:
        keys, clock = desk(store)
        first, secret = await keys.create(WANG)
        clock.forward(1)
        second, _ = await keys.create(WANG)
        await keys.ticket(WANG)
        listed = await keys.all()
        assert [row["id"] for row in listed] == [second, first]
        assert all(row["kind"] == KEY for row in listed)
        assert secret not in str(listed)
