"""Vitals: whether store and broker answer, and whether this machine's clock is right. Every process tells its own."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import count

from gateway.app.transport import Transport
from gateway.errors import Unstorable
from gateway.flow.office import Office
from gateway.flow.presence import Presence
from gateway.ports.clock import SharedClock
from gateway.store import SqlStore, StoreKeys
from gateway.telemetry import Metrics

EVERY = 1.0
KEYS_EVERY = 60
"""Seconds between two looks at which keys end."""


class Vitals:
    """Sets the gauges once a second."""

    def __init__(
        self,
        transport: Transport,
        presence: Presence,
        clock: SharedClock,
        store: SqlStore,
        keys: StoreKeys,
        office: Office,
        metrics: Metrics,
    ) -> None:
        self._transport, self._presence, self._clock = transport, presence, clock
        self._store, self._keys, self._office, self._metrics = store, keys, office, metrics

    async def run(self) -> None:
        """Tell until cancelled."""
        for second in count():
            self.tell()
            if second % KEYS_EVERY == 0:
                await self._tell_keys()
            await asyncio.sleep(EVERY)

    def tell(self) -> None:
        """Tell once."""
        queue = self._transport.queue.state
        self._metrics.store_up.set(self._store.healthy and self._presence.answers)
        self._metrics.broker_up.set(queue.up)
        self._metrics.broker_blocked.set(queue.blocked)
        self._metrics.clock_skew.set(self._clock.skew / 1000)

    async def _tell_keys(self) -> None:
        """When keys end, by the process that leads."""
        self._metrics.credential_expiry.clear()
        with contextlib.suppress(Unstorable):
            for name, at in await self._keys.ending() if self._office.held else ():
                self._metrics.credential_expiry.labels(name).set(at / 1000)
