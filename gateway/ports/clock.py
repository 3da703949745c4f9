"""A clock that can be told what time it is by the store, so that all processes of a deployment go by the same."""

from __future__ import annotations

import time
from typing import Protocol

from gateway.channel import Clock
from gateway.model.time import Instant


class SharedClock(Clock, Protocol):
    """See `gateway.channel.Clock`."""

    def sync(self, at: Instant, when: Instant) -> None:
        """The store's clock said `at` at the machine's uptime `when` (milliseconds)."""
        ...

    @property
    def skew(self) -> int:
        """How many milliseconds this machine's wall clock is ahead of the time we go by."""
        ...


UPTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def uptime() -> Instant:
    """Milliseconds since the machine started, sleep included; it never steps."""
    return time.clock_gettime_ns(UPTIME) // 1_000_000
