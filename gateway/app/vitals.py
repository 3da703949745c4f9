"""Vitals: whether store and broker answer, and whether this machine's clock is right. Every process tells its own."""

from __future__ import annotations

import asyncio

from gateway.app.transport import Transport
from gateway.flow.presence import Presence
from gateway.ports.clock import SharedClock
from gateway.store import SqlStore
from gateway.telemetry import Metrics

EVERY = 1.0


class Vitals:
    """Sets the gauges once a second."""

    def __init__(
        self, transport: Transport, presence: Presence, clock: SharedClock, store: SqlStore, metrics: Metrics
    ) -> None:
        self._transport, self._presence, self._clock = transport, presence, clock
        self._store, self._metrics = store, metrics

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            self.tell()
            await asyncio.sleep(EVERY)

    def tell(self) -> None:
        """Tell once."""
        queue = self._transport.queue.state
        self._metrics.store_up.set(self._store.healthy and self._presence.answers)
        self._metrics.broker_up.set(queue.up)
        self._metrics.broker_blocked.set(queue.blocked)
        self._metrics.clock_skew.set(self._clock.skew / 1000)
