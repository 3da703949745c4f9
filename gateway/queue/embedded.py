"""The embedded queue: a few lines over the outbox. One process, no broker: what is in hand is known in memory, what is due stands
in the store, and a new process simply finds everything due again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any

from gateway.channel import Clock
from gateway.ports.queue import QueueState
from gateway.ports.store import BatchRow, Store

PREFETCH = 8
"""Batches looked up at once. When new work appears they are looked up again, so that a red one overtakes."""

LOOK_AGAIN = 1.0
"""Seconds. Work may also come from another process: `tongluo deadletters replay` beside a running gateway."""


class EmbeddedQueue:
    """See `ports.queue.Queue`."""

    state = QueueState(up=True, detail="embedded")

    def __init__(self, store: Store, clock: Clock, owner: str) -> None:
        self._store, self._clock, self._owner = store, clock, owner
        self._found: dict[str, deque[BatchRow]] = defaultdict(deque)
        self._in_hand: dict[str, set[int]] = defaultdict(set)
        self._awake: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._looking: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def take(self, channel: str) -> BatchRow:
        async with self._looking[channel]:
            while not self._found[channel] or self._awake[channel].is_set():
                self._awake[channel].clear()
                self._found[channel] = deque(await self._due(channel))
                if not self._found[channel] and not self._awake[channel].is_set():
                    await self._rest(channel)
            row = self._found[channel].popleft()
            self._in_hand[channel].add(row.n)
            return row

    def done(self, row: BatchRow) -> None:
        self._in_hand[row.channel].discard(row.n)

    def wake(self, channels: Iterable[str] | None = None) -> None:
        for channel in list(self._awake) if channels is None else channels:
            self._awake[channel].set()

    async def _due(self, channel: str) -> list[BatchRow]:
        now = self._clock.now()
        in_hand = frozenset(self._in_hand[channel])  # who lays one down meanwhile has changed it
        due = await self._store.read(lambda tx: tx.outbox.due(channel, self._owner, now, PREFETCH + len(in_hand)))
        return [row for row in due if row.n not in in_hand]

    async def _rest(self, channel: str) -> None:
        now = self._clock.now()
        due = await self._store.read(lambda tx: tx.outbox.next_due(channel, now))
        waits: list[asyncio.Task[Any]] = [asyncio.create_task(self._awake[channel].wait())]
        if due is not None:
            waits.append(asyncio.create_task(self._until(due)))
        try:
            await asyncio.wait(waits, timeout=LOOK_AGAIN, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()

    async def _until(self, due: int) -> None:
        await self._clock.until(due)
