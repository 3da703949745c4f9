"""The embedded queue: the most urgent due batch, to one hand at a time, and nobody spins while nothing is due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from store_kit import LATER, NOW, keep, new_batch, open_dispatch, opened

from gateway.model.dispatch import Priority, WorkState
from gateway.ports.store import BatchRow, Turn
from gateway.queue.embedded import EmbeddedQueue
from gateway.store import SqlStore, SqlTransaction
from gateway.testing.clock import ManualClock


class Desk:
    """A queue over a store with one dispatch, and how often the store was read."""

    def __init__(self, store: SqlStore, clock: ManualClock) -> None:
        self.store, self.clock, self.reads = store, clock, 0
        self.queue = EmbeddedQueue(self, clock, "me")

    async def read(self, work: Callable[[SqlTransaction], Any]) -> Any:
        self.reads += 1
        return await self.store.read(work)

    async def write(self, work: Callable[[SqlTransaction], Any], *, turn: Turn | None = None) -> Any:
        return await self.store.write(work, turn=turn)

    async def add(self, *firsts: int, **changes: Any) -> None:
        """Batches of one endpoint each, known to the queue."""
        await self.write(lambda tx: tx.outbox.add(1, [new_batch(first, 1, **changes) for first in firsts], NOW))
        self.queue.wake(["sms"])

    async def take(self) -> BatchRow:
        return await asyncio.wait_for(self.queue.take("sms"), 5)

    async def waiting(self) -> asyncio.Task[BatchRow]:
        """A hand that waits for work, asleep."""
        task = asyncio.create_task(self.queue.take("sms"))
        for _ in range(50):
            await asyncio.sleep(0.002)
        assert not task.done()
        return task


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    clock = ManualClock(NOW)
    async with opened(folder, clock) as store:
        await store.write(lambda tx: open_dispatch(tx, keep(tx)))
        yield Desk(store, clock)


async def test_the_most_urgent_first_and_none_twice(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.add(*range(20))
        taken = [(await it.take()).first for _ in range(20)]
        assert taken == list(range(20))
        nobody = await it.waiting()
        nobody.cancel()


async def test_many_hands_share_the_work(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.add(*range(30))
        taken = await asyncio.gather(*(it.take() for _ in range(30)))
        assert sorted(row.first for row in taken) == list(range(30))


async def test_a_graver_batch_overtakes_what_was_looked_up(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.add(*range(10), priority=Priority.BLUE)
        assert (await it.take()).first == 0
        await it.add(99, priority=Priority.RED)
        assert (await it.take()).first == 99
        assert (await it.take()).first == 1


async def test_sleeps_until_work_is_told_or_due(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        hand = await it.waiting()
        asleep_at = it.reads
        for _ in range(50):
            await asyncio.sleep(0.002)
        assert it.reads == asleep_at, "nobody looks again and again"
        await it.add(1)
        row = await asyncio.wait_for(hand, 5)
        await it.write(lambda tx: tx.outbox.put_back(row.n, "me", NOW + 5000, 1, row.ordinals, "timeout"))
        it.queue.done(row)
        hand = await it.waiting()
        it.clock.forward(5)
        again = await asyncio.wait_for(hand, 5)
        assert (again.n, again.attempts, again.reason) == (row.n, 1, "timeout")


async def test_nobody_spins_while_a_due_batch_is_in_hand(tmp_path: Path) -> None:
    """A slow hand has not begun yet: in the store its batch is due all the while."""
    async with desk(tmp_path) as it:
        await it.add(1)
        row = await it.take()
        hand = await it.waiting()
        asleep_at = it.reads
        for _ in range(50):
            await asyncio.sleep(0.002)
        assert it.reads == asleep_at
        it.queue.done(row)
        it.queue.wake(["sms"])
        assert (await asyncio.wait_for(hand, 5)).n == row.n


async def test_a_batch_laid_down_while_another_hand_looks_is_not_taken_as_it_was(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.add(0)
        row = await it.take()
        await it.write(lambda tx: tx.outbox.begin(row.n, "me", 1, NOW, 1000))
        real, looked, go_on = it.store.read, asyncio.Event(), asyncio.Event()

        async def slow(work: Callable[[SqlTransaction], Any]) -> Any:
            found = await real(work)
            looked.set()
            await go_on.wait()
            return found

        it.read = slow  # type: ignore[method-assign]
        hand = asyncio.create_task(it.queue.take("sms"))
        await looked.wait()
        left = np.empty(0, np.int32)
        await it.write(lambda tx: tx.outbox.put_back(row.n, "me", NOW + 1, 1, left, "unavailable"))
        it.queue.done(row)
        go_on.set()
        it.clock.forward(1)
        again = await asyncio.wait_for(hand, 5)
        assert (again.state, again.ordinals.tolist()) == (WorkState.PENDING, [])


async def test_a_hand_that_is_cancelled_takes_nothing_with_it(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        hand = await it.waiting()
        hand.cancel()
        await it.add(1)
        assert (await it.take()).first == 1


async def test_what_a_dead_process_had_in_hand_is_due_again(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.add(1, 2)
        row = await it.take()
        await it.write(lambda tx: tx.outbox.begin(row.n, "me", 1, NOW, 1000))
        it.queue = EmbeddedQueue(it, it.clock, "me")
        assert [(r.first, r.state) for r in (await it.take(), await it.take())] == [
            (1, WorkState.SENDING),
            (2, WorkState.PENDING),
        ]


async def test_channels_do_not_wait_for_each_other(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        idle = await it.waiting()
        await it.write(lambda tx: tx.outbox.add(1, [new_batch(5, 1, channel="wechat", expires_at=LATER)], NOW))
        assert (await asyncio.wait_for(it.queue.take("wechat"), 5)).first == 5
        idle.cancel()
