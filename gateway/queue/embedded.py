"""The embedded queue: a few lines over the outbox. One process, no broker; the outbox's leases are the queue."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable

from gateway.channel import Clock
from gateway.model.time import Instant
from gateway.ports.store import BatchRow, Store

LEASE = 3_600_000
"""Milliseconds. One process owns the data folder, and a new one gives up all leases: this only bounds a forgotten batch."""

PREFETCH = 8
"""Batches claimed at once. When new work appears, those not begun are given back, so that a red one overtakes."""


class EmbeddedQueue:
    """See `ports.queue.Queue`."""

    def __init__(self, store: Store, clock: Clock, owner: str) -> None:
        self._store, self._clock, self._owner = store, clock, owner
        self._claimed: dict[str, deque[BatchRow]] = defaultdict(deque)
        self._awake: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._fresh: set[str] = set()
        self._claiming: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def take(self, channel: str) -> BatchRow:
        async with self._claiming[channel]:
            if channel in self._fresh:
                await self._give_back(channel)
            while not self._claimed[channel]:
                self._awake[channel].clear()
                self._claimed[channel].extend(await self._claim(channel))
                if not self._claimed[channel]:
                    await self._rest(channel)
            return self._claimed[channel].popleft()

    def wake(self, channels: Iterable[str] | None = None) -> None:
        for channel in list(self._awake) if channels is None else channels:
            self._fresh.add(channel)
            self._awake[channel].set()

    async def _give_back(self, channel: str) -> None:
        self._fresh.discard(channel)
        numbers = [row.n for row in self._claimed[channel]]
        if numbers:
            await self._store.write(lambda tx: tx.outbox.unclaim(numbers))
            self._claimed[channel].clear()

    async def _claim(self, channel: str) -> list[BatchRow]:
        now = self._clock.now()
        waiting = await self._store.read(lambda tx: tx.outbox.next_due(channel, now))
        if waiting is None or waiting > now:
            return []
        return await self._store.write(lambda tx: tx.outbox.claim(channel, self._owner, now, LEASE, PREFETCH))

    async def _rest(self, channel: str) -> None:
        due: Instant | None = await self._store.read(lambda tx: tx.outbox.next_due(channel, self._clock.now()))
        alarm = asyncio.create_task(self._awake[channel].wait())
        waits: set[asyncio.Task[object]] = {alarm}
        if due is not None:
            waits.add(asyncio.create_task(self._clock.until(due)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
