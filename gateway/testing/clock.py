"""A clock that tests move by hand. It moves due times; sockets and their time-outs keep real time."""

from __future__ import annotations

import asyncio
import heapq
import itertools

from gateway.model.time import Instant


class ManualClock:
    """See `gateway.channel.Clock`. Starts at 2026-07-22T14:30:00+08:00 unless told otherwise."""

    def __init__(self, start: Instant = 1_784_701_800_000) -> None:
        self._now = start
        self._order = itertools.count()
        self._waiting: list[tuple[Instant, int, asyncio.Future[None]]] = []

    @property
    def skew(self) -> int:
        """It is right by definition."""
        return 0

    def sync(self, at: Instant, when: Instant) -> None:
        """Nobody but the test sets it."""

    def now(self) -> Instant:
        return self._now

    async def until(self, at: Instant) -> None:
        if at <= self._now:
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (at, next(self._order), wake))
        await wake

    def forward(self, seconds: float) -> None:
        """Let `seconds` pass: everything that was due by then wakes, in order."""
        self._now += round(seconds * 1000)
        while self._waiting and self._waiting[0][0] <= self._now:
            wake = heapq.heappop(self._waiting)[2]
            if not wake.done():
                wake.set_result(None)
