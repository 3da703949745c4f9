"""The tests of the tests, where several processes share the work: each promise is kept as things are, and seen to be broken when it
is broken on purpose.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aio_pika
import pytest
import structlog
from fleet import until
from rabbit import RabbitServer
from sqlalchemy import event, func, select, true
from store_kit import NOW, attempts, keep, new_batch, open_dispatch, opened
from wire import wire_to

from gateway.errors import Deposed
from gateway.flow.office import TERM, WATCH, Elected
from gateway.queue.broker import DEADLINE
from gateway.queue.press import Fate, Letter, Press
from gateway.queue.relay import Relay
from gateway.store import SqlStore, SqlTransaction, migrate, outbox, tables
from gateway.store.leases import SqlLeases
from gateway.testing.clock import ManualClock

Patch = pytest.MonkeyPatch
pytestmark = pytest.mark.faults
LOG = structlog.get_logger("faults")


@asynccontextmanager
async def two_leaders(folder: Path) -> AsyncIterator[tuple[ManualClock, Elected, Elected]]:
    """One who leads, and one who would like to."""
    clock = ManualClock(NOW)
    async with opened(folder, clock) as one, opened(folder, clock) as other:
        first, second = Elected(WATCH, one, clock, "a", LOG), Elected(WATCH, other, clock, "b", LOG)
        await first._stand()
        yield clock, first, second


async def zombie_writes(folder: Path) -> int:
    """How many writes of a frozen leader reach the store after another has taken over."""
    async with two_leaders(folder) as (clock, old, new):
        clock.forward(TERM / 1000 + 1)
        await new._stand()
        await new.write(lambda tx: tx.snapshots.put(0, 2, NOW, b"new"))
        try:
            await old.write(lambda tx: tx.snapshots.put(0, 1, NOW, b"old"))
        except Deposed:
            return 0
        return 1


async def leaders_too_many(folder: Path) -> int:
    """How many lead beside the one who does."""
    async with two_leaders(folder) as (_, old, new):
        await new._stand()
        return int(old.held and new.held)


async def sent_by_both(folder: Path) -> int:
    """How many workers too many begin a batch."""
    async with opened(folder) as store:
        number = await store.write(lambda tx: open_dispatch(tx, keep(tx)))
        await store.write(lambda tx: tx.outbox.add(number, [new_batch(0, 1)], NOW))
        begun = [await store.write(partial(_begin, *each)) for each in (("a", 1), ("b", 2))]
        return sum(begun) - 1


def _begin(who: str, attempt: int, tx: SqlTransaction) -> bool:
    return tx.outbox.begin(1, who, attempt, NOW, 1000)


def no_fence(patch: Patch) -> None:
    patch.setattr(SqlLeases, "holds", lambda *_: True)


def lease_for_everybody(patch: Patch) -> None:
    patch.setattr(SqlLeases, "take", lambda *_: 1)


def batches_free_for_all(patch: Patch) -> None:
    patch.setattr(outbox, "_free", lambda *_: true())


@pytest.mark.parametrize(
    ("count", "mutate"),
    [(zombie_writes, no_fence), (leaders_too_many, lease_for_everybody), (sent_by_both, batches_free_for_all)],
)
async def test_a_broken_lease_is_seen(
    tmp_path: Path, monkeypatch: Patch, count: Callable[[Path], Awaitable[int]], mutate: Callable[[Patch], None]
) -> None:
    kept, broken = tmp_path / "kept", tmp_path / "broken"
    for folder in (kept, broken):
        folder.mkdir()
    assert await count(kept) == 0
    mutate(monkeypatch)
    assert await count(broken) == 1


async def missed_by_the_reader(url: str) -> int:
    """Journal rows that a reader who reads on from its last row never sees, because one writer's commit takes long."""
    async with opened(url) as slow, opened(url) as quick, opened(url) as reader:
        before = await reader.read(lambda tx: tx.journal.since(2**62))
        event.listen(slow._writer, "commit", lambda _: time.sleep(0.5))
        writing = [asyncio.create_task(slow.write(lambda tx: tx.journal.append(attempts(1))))]
        await asyncio.sleep(0.2)
        writing.append(asyncio.create_task(quick.write(lambda tx: tx.journal.append(attempts(2)))))
        seen, last = 0, before
        while not all(task.done() for task in writing) or await _after(reader, last):
            for seq in await _after(reader, last):
                seen, last = seen + 1, seq
            await asyncio.sleep(0.01)
        return len(await _after(reader, before)) - seen


async def _after(reader: SqlStore, seq: int) -> list[int]:
    return [row.seq for row in await reader.read(lambda tx: tx.journal.after(seq, 100))]


async def test_rows_out_of_order_are_seen(postgres: str, monkeypatch: Patch) -> None:
    """The advisory lock out."""
    await asyncio.to_thread(migrate, postgres)
    assert await missed_by_the_reader(postgres) == 0
    monkeypatch.setattr(SqlStore, "_lock", lambda *_: None)
    assert await missed_by_the_reader(postgres) == 1


async def believed_and_not_there(folder: Path, server: RabbitServer) -> int:
    """Batches that the store calls published after the wire swallowed them, and that the broker does not have."""
    clock = ManualClock(NOW)
    with server.vhost() as vhost:
        async with wire_to("127.0.0.1", server.ports.amqp) as wire, opened(folder, clock) as store:
            relay = Relay(vhost.url.replace(str(server.ports.amqp), str(wire.port)), store, clock, LOG)
            running = asyncio.create_task(relay.run())
            number = await store.write(lambda tx: open_dispatch(tx, keep(tx)))
            await add(store, relay, number, 1)
            await until(lambda: _published(store), "the first to be published")
            await asyncio.sleep(1)
            wire.black_hole()
            await add(store, relay, number, 20)
            await asyncio.sleep(DEADLINE + 3)
            found = await _published(store)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        async with await aio_pika.connect(vhost.url) as connection:
            queue = await (await connection.channel()).declare_queue("tongluo.sms.orange", passive=True)
            return found - (queue.declaration_result.message_count or 0)


async def add(store: SqlStore, relay: Relay, number: int, count: int) -> None:
    """So many batches of work for a dispatch."""
    await store.write(lambda tx: tx.outbox.add(number, [new_batch(place, 1) for place in range(count)], NOW))
    relay.wake()


async def _published(store: SqlStore) -> int:
    query = select(func.count()).where(tables.batch.c.published_at > 0)
    return int(await store.read(lambda tx: tx.connection.execute(query).scalar_one()))


async def test_a_relay_that_does_not_wait_for_confirms_is_seen(
    tmp_path: Path, rabbit_server: RabbitServer, monkeypatch: Patch
) -> None:
    kept, broken = tmp_path / "kept", tmp_path / "broken"
    for folder in (kept, broken):
        folder.mkdir()

    send, sending = Press.send, list[asyncio.Task[list[Fate]]]()

    async def believe(self: Press, letters: Sequence[Letter]) -> list[Fate]:
        sending.append(asyncio.create_task(send(self, letters)))
        return [Fate.CONFIRMED] * len(letters)

    assert await believed_and_not_there(kept, rabbit_server) == 0
    monkeypatch.setattr(Press, "send", believe)
    assert await believed_and_not_there(broken, rabbit_server) >= 20
    await asyncio.gather(*sending, return_exceptions=True)
