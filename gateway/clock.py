"""The clock of the running gateway. Tests use `gateway.testing.ManualClock` instead.

Due times, leases and cut-offs are of the store's clock. An embedded store lives on this machine, so its clock is ours; processes
that share a store are told its time every few seconds (`sync`). In between time follows the machine's uptime, which never steps: a
wall clock that somebody sets an hour ahead makes nothing expire and nothing start.
"""

from __future__ import annotations

import asyncio
import time

from gateway.model.time import Instant
from gateway.ports.clock import uptime

LONGEST_SLEEP = 1.0
"""Seconds. Due times are looked at again at least this often."""

STEP = 2_000
"""Milliseconds. The wall clock is followed through smaller differences (a machine that is being brought into step)."""

STEADY = 600_000
"""Milliseconds after which a step of the wall clock is believed: it was the clock before that was wrong."""


class SystemClock:
    """See `gateway.channel.Clock`."""

    def __init__(self) -> None:
        self._ahead = _wall() - uptime()
        self._synced = False
        self._stepped: tuple[Instant, int] | None = None
        self._latest: Instant = 0

    @property
    def skew(self) -> int:
        """How many milliseconds this machine's wall clock is ahead of the time we go by."""
        return _wall() - self.now()

    def sync(self, at: Instant, when: Instant) -> None:
        """The store's clock said `at` when `uptime()` was `when`: go by it."""
        self._ahead, self._synced = at - when, True

    def now(self) -> Instant:
        up = uptime()
        if not self._synced:
            self._follow(_wall() - up, up)
        at = up + self._ahead
        if self._latest - STEP < at < self._latest:
            at = self._latest  # set right by a little: it stands still for so long, and nothing ends before it began
        self._latest = at
        return at

    async def until(self, at: Instant) -> None:
        while (left := at - self.now()) > 0:
            await asyncio.sleep(min(left / 1000, LONGEST_SLEEP))

    def _follow(self, ahead: int, up: Instant) -> None:
        """Go along with a wall clock that is steady, and with one that has stepped once it has been steady for long."""
        stepped = self._stepped  # the store's writer asks for the time, too
        if abs(ahead - self._ahead) < STEP:
            self._ahead, self._stepped = ahead, None
        elif stepped is None or abs(ahead - stepped[1]) >= STEP:
            self._stepped = (up, ahead)
        elif up - stepped[0] >= STEADY:
            self._ahead, self._stepped = ahead, None


def _wall() -> Instant:
    return time.time_ns() // 1_000_000
