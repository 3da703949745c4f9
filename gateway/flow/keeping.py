"""Keeping leases: what a process has in hand stays its own for as long as it lives, however long the work takes. One that is dead
or frozen loses it to another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence

from gateway.channel import Clock
from gateway.errors import Unstorable
from gateway.model.time import Instant
from gateway.ports.store import Store, Transaction

LEASE = 15_000
"""Milliseconds that a lease lasts unless it is kept."""

KEEP = 4.0
"""Seconds between two times that leases are kept."""

Renew = Callable[[Transaction, Sequence[int], Instant], None]


async def keep_leases(store: Store, clock: Clock, in_hand: Collection[int], renew: Renew) -> None:
    """Renew the leases of whatever is in `in_hand` at the time, until cancelled."""
    while True:
        await asyncio.sleep(KEEP)
        if in_hand:
            with contextlib.suppress(Unstorable):
                await _renew(store, sorted(in_hand), clock.now() + LEASE, renew)


async def _renew(store: Store, numbers: Sequence[int], until: Instant, renew: Renew) -> None:
    await store.write(lambda tx: renew(tx, numbers, until))
