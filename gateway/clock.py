"""The clock of the running gateway. Tests use `gateway.testing.ManualClock` instead."""

from __future__ import annotations

import asyncio
import time

from gateway.model.time import Instant

LONGEST_SLEEP = 1.0
"""Seconds. Due times are looked at again at least this often, so that a step of the wall clock is noticed."""


class SystemClock:
    """See `gateway.channel.Clock`."""

    def now(self) -> Instant:
        return time.time_ns() // 1_000_000

    async def until(self, at: Instant) -> None:
        while (left := at - self.now()) > 0:
            await asyncio.sleep(min(left / 1000, LONGEST_SLEEP))
