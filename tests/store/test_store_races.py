"""Two processes on one PostgreSQL store: what must happen once happens once, what is read on appears in order, and nobody is held
up for long by one who has fallen silent. (Each `SqlStore` has connections of its own, as if it stood in another process.)
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from postgres import PostgresServer
from sqlalchemy import func, select, update
from store_kit import NOW, alert_row, as_a_stranger, attempts, keep, new_batch, open_dispatch, opened

from gateway.errors import Unstorable
from gateway.ports.store import Turn
from gateway.store import SqlStore, SqlTransaction, migrate
from gateway.store.tables import alert, audit, pace

EACH = 40
"""Works that each of two stores gets."""

PATIENCE = 60.0
"""Seconds until a test gives up waiting; what is promised is far less."""


@pytest.fixture
def shared(postgres_server: PostgresServer, _migrated: str) -> Iterator[str]:
    """URL of an empty store on PostgreSQL."""
    postgres_server.start()
    with postgres_server.database(_migrated) as url:
        yield url


@asynccontextmanager
async def two(url: str) -> AsyncIterator[tuple[SqlStore, SqlStore]]:
    async with opened(url) as one, opened(url) as other:
        yield one, other


async def test_a_hundred_identical_posts_make_one_alert(shared: str) -> None:
    def accept(tx: SqlTransaction) -> int:
        known = tx.alerts.by_identity("met@example", "A-1", NOW)
        return known.n if known else keep(tx)

    async with two(shared) as stores:
        numbers = await asyncio.gather(*(stores[place % 2].write(accept) for place in range(100)))
        assert len(set(numbers)) == 1
        assert await stores[0].read(lambda tx: tx.connection.execute(select(func.count(alert.c.n))).scalar()) == 1


async def test_what_has_a_turn_sees_all_that_had_it_before(shared: str) -> None:
    def count_and_note(tx: SqlTransaction) -> int:
        seen = int(tx.connection.execute(select(func.count(audit.c.n))).scalar_one())
        time.sleep(0.002)
        tx.chronicle.audit("w", str(seen), NOW)
        return seen

    async with two(shared) as stores:
        works = (stores[place % 2].write(count_and_note, turn=Turn.LINEAGE) for place in range(2 * EACH))
        assert sorted(await asyncio.gather(*works)) == list(range(2 * EACH))


async def test_works_with_several_turns_do_not_lock_each_other_out(shared: str) -> None:
    async with two(shared) as stores:
        turns = itertools.cycle([Turn.REFERENCE, Turn.LINEAGE, None])
        works = [
            stores[place % 2].write(lambda tx: tx.chronicle.audit("w", "x", NOW), turn=turn)
            for place, turn in zip(range(2 * EACH), turns, strict=False)
        ]
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*works)


async def test_journal_and_events_appear_in_the_order_of_their_numbers(shared: str) -> None:
    """The reader goes on from the last row it saw: a row that appeared behind it would be missed for ever."""

    def write(number: int) -> Any:
        def work(tx: SqlTransaction) -> None:
            tx.journal.append(attempts(number))
            for place in range(25):
                tx.chronicle.tell("n", {"n": number, "place": place}, NOW)

        return work

    async def writes(store: SqlStore, numbers: range) -> None:
        for number in numbers:
            await store.write(write(number))

    rows: list[tuple[int, list[int]]] = []
    told: list[tuple[int, int]] = []

    async def follow(store: SqlStore) -> None:
        fresh = await store.read(lambda tx: tx.journal.after(rows[-1][0] if rows else 0, 100))
        rows.extend((row.seq, row.attempts["batch"].tolist()) for row in fresh)
        news = await store.read(lambda tx: tx.chronicle.told(0, told[-1][0] if told else 0, 1000))
        told.extend((id, payload["n"]) for id, _, _, _, payload in news)

    async with two(shared) as (one, other), opened(shared) as reader:
        writing = asyncio.gather(writes(one, range(100)), writes(other, range(100, 200)))
        while not writing.done():
            await follow(reader)
        await writing
        await follow(reader)
    assert sorted(number for _, batches in rows for number in batches) == list(range(200))
    assert sorted(number for _, number in told) == sorted(list(range(200)) * 25)


async def test_two_groups_that_lock_each_other_are_run_again_and_nobody_sees_it(shared: str) -> None:
    met = threading.Barrier(2)
    runs: list[str] = []

    def both(first: str, then: str) -> Any:
        def bump(tx: SqlTransaction, name: str) -> None:
            tx.connection.execute(update(pace).where(pace.c.channel == name).values(free_at=pace.c.free_at + 1))

        def work(tx: SqlTransaction) -> str:
            runs.append(first)
            bump(tx, first)
            if runs.count(first) == 1:
                met.wait(PATIENCE)
            bump(tx, then)
            return first

        return work

    async with two(shared) as (one, other):
        for name in ("x", "y"):
            await one.write(lambda tx, name=name: tx.paces.reserve(name, 0, 0))  # type: ignore[misc]
        done = await asyncio.gather(one.write(both("x", "y")), other.write(both("y", "x")))
    assert list(done) == ["x", "y"]
    assert len(runs) > 2, "PostgreSQL ended one of them, and it ran again"
    assert as_a_stranger(shared, "SELECT free_at FROM pace ORDER BY channel") == [(2,), (2,)]


async def test_an_office_is_taken_by_one_and_changes_hands_once(shared: str) -> None:
    async with two(shared) as stores:

        async def takers(now: int) -> dict[str, int]:
            """owner -> token of those who got it."""

            async def take(owner: str) -> tuple[str, int | None]:
                store = stores[int(owner) % 2]
                return owner, await store.write(lambda tx: tx.leases.take("watch", owner, now, now + 10_000))

            return {o: t for o, t in await asyncio.gather(*(take(str(n)) for n in range(20))) if t is not None}

        def holds(owner: str, token: int) -> Any:
            return stores[0].write(lambda tx: tx.leases.holds("watch", owner, token))

        [(first, token)] = (await takers(NOW)).items()
        assert token == 1
        assert await takers(NOW + 9_999) == {first: 1}
        last, second = await handed_on(takers, first, NOW + 25_000)
        assert second == 2
        assert not await holds(first, 1)
        assert await holds(last, 2)


async def handed_on(takers: Any, first: str, now: int) -> tuple[str, int]:
    """Who has the office after its term: whoever was quickest, be it the same again."""
    got: dict[str, int] = await takers(now)
    if list(got) == [first]:
        return await handed_on(takers, first, now + 25_000)
    [(owner, token)] = got.items()
    return owner, token


async def test_an_office_stays_in_the_hands_of_its_holder_until_what_it_writes_is_kept(shared: str) -> None:
    asked, order = threading.Event(), []

    def lead(tx: SqlTransaction) -> None:
        assert tx.leases.holds("watch", "a", 1)
        asked.set()
        time.sleep(0.5)
        order.append("a wrote")

    async with two(shared) as (one, other):
        await one.write(lambda tx: tx.leases.take("watch", "a", NOW, NOW + 10))
        leading = asyncio.create_task(one.write(lead))
        await asyncio.to_thread(asked.wait, PATIENCE)
        assert await other.write(lambda tx: tx.leases.take("watch", "b", NOW + 11, NOW + 20)) == 2
        order.append("b leads")
        await leading
    assert order == ["a wrote", "b leads"]


async def test_a_batch_is_begun_by_one_of_two(shared: str) -> None:
    def prepare(tx: SqlTransaction) -> None:
        tx.outbox.add(open_dispatch(tx, keep(tx)), [new_batch() for _ in range(EACH)], NOW)

    async with two(shared) as stores:
        await stores[0].write(prepare)

        async def begin(batch: int, place: int) -> tuple[int, bool]:
            work = stores[place].write(lambda tx: tx.outbox.begin(batch, f"w-{place}", 1, NOW, 10_000))
            return batch, await work

        begun = await asyncio.gather(*(begin(n, place) for n in range(1, EACH + 1) for place in (0, 1)))
    assert sorted(batch for batch, mine in begun if mine) == list(range(1, EACH + 1))


async def test_a_pace_is_kept_together(shared: str) -> None:
    async with two(shared) as stores:
        taken = await asyncio.gather(
            *(stores[place % 2].write(lambda tx: tx.paces.reserve("sms", NOW, 10)) for place in range(2 * EACH))
        )
    assert sorted(taken) == [NOW + 10 * place for place in range(2 * EACH)]


FROZEN = """
import asyncio, sys, time
from gateway.clock import SystemClock
from gateway.errors import Unstorable
from gateway.ports.store import Turn
from gateway.store import SqlStore

def work(tx):
    tx.chronicle.audit("frozen", "x", 0)
    print("inside", flush=True)
    time.sleep(1)

async def main():
    store = SqlStore(sys.argv[1], SystemClock())
    try:
        await store.write(work, turn=Turn.LINEAGE)
        print("kept", flush=True)
    except Unstorable:
        print("unstorable", flush=True)
    await store.aclose()

asyncio.run(main())
"""


async def test_a_frozen_process_holds_others_up_for_seconds_and_writes_nothing_when_it_wakes(shared: str) -> None:
    frozen = await asyncio.create_subprocess_exec(sys.executable, "-c", FROZEN, shared, stdout=asyncio.subprocess.PIPE)
    assert frozen.stdout is not None
    try:
        assert await frozen.stdout.readline() == b"inside\n"
        frozen.send_signal(signal.SIGSTOP)
        async with opened(shared) as store:
            waited = await written_again(store)
        print(f"held up for {waited:.1f} s")
        frozen.send_signal(signal.SIGCONT)
        assert await frozen.stdout.readline() == b"unstorable\n"
    finally:
        if frozen.returncode is None:
            frozen.kill()
        await frozen.wait()
    assert as_a_stranger(shared, "SELECT who FROM audit") == [("w",)]


async def written_again(store: SqlStore) -> float:
    """Seconds until a write is taken; what is refused before is `Unstorable`."""
    begun = time.monotonic()
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await store.write(lambda tx: tx.chronicle.audit("w", "x", NOW), turn=Turn.LINEAGE)
            except Unstorable:
                await asyncio.sleep(0.05)
            else:
                return time.monotonic() - begun


@pytest.fixture(scope="module")
def durable_server() -> Iterator[PostgresServer]:
    """A server that keeps what it has confirmed, whatever ends it."""
    server = PostgresServer.booted(durable=True)
    yield server
    server.discard()


@pytest.mark.parametrize("end", ["stop", "crash"])
async def test_a_server_that_is_restarted_is_used_again_at_once(durable_server: PostgresServer, end: str) -> None:
    url = durable_server.url(durable_server.create())
    await asyncio.to_thread(migrate, url)
    async with opened(url) as store:
        await store.write(lambda tx: keep(tx, "A-1"))
        await store.read(lambda tx: tx.alerts.by_number(1))
        await asyncio.to_thread(getattr(durable_server, end))
        with pytest.raises(Unstorable):
            await store.write(lambda tx: keep(tx, "A-2"))
        with pytest.raises(Unstorable):
            await store.read(lambda tx: tx.alerts.by_number(1))
        healthy = [store.healthy]
        await asyncio.to_thread(durable_server.start)
        print(f"written again after {await written_again(store):.2f} s")
        assert [*healthy, store.healthy] == [False, True]
        assert await store.read(lambda tx: [row.identifier for row in tx.alerts.page({}, None, 10)]) == ["A-1"]


async def test_a_session_that_the_server_ends_in_mid_work_keeps_nothing(shared: str) -> None:
    def work(tx: SqlTransaction) -> None:
        tx.alerts.insert(alert_row("A-1"), [], {})
        as_a_stranger(
            shared, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        )
        tx.alerts.insert(alert_row("A-2"), [], {})

    async with opened(shared) as store:
        with pytest.raises(Unstorable):
            await store.write(work)
        await written_again(store)
        assert await store.read(lambda tx: tx.alerts.page({}, None, 10)) == []
