"""Watch: what happens because time passes. Alerts and batches expire, stalled channels are noticed, figures are told.

Every process that shows the state of channels looks; only the holder of the watch office acts, and tells the figures of the store.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from structlog.stdlib import BoundLogger

from gateway.channel import Clock
from gateway.errors import Unstorable
from gateway.flow.office import Office
from gateway.flow.pulse import Pulse
from gateway.flow.standing import end
from gateway.model.alert import AlertState
from gateway.model.receipt import Level
from gateway.model.time import Instant
from gateway.ports.store import Depth, Store, Transaction, Turn
from gateway.telemetry import Metrics

TICK = 1000


class Watch:
    """Looks after everything that has a time, once a second. `channels`: what each proves; `pulses`: how each is doing."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        office: Office,
        metrics: Metrics,
        log: BoundLogger,
        channels: Mapping[str, Level],
        pulses: Mapping[str, Pulse],
    ) -> None:
        self._store, self._clock, self._office, self._metrics, self._log = store, clock, office, metrics, log
        self._channels, self._pulses = channels, pulses
        self._led = False
        self._since = clock.now()
        self.stalled: dict[str, Instant] = {}
        self.depths: dict[str, Depth] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            with contextlib.suppress(Unstorable):
                await self.tick()
            await self._clock.until(self._clock.now() + TICK)

    async def tick(self) -> None:
        """One look around."""
        now = self._clock.now()
        if self._office.held:
            await self._expire(now)
        self.depths = {depth.channel: depth for depth in await self._store.read(lambda tx: tx.outbox.depths())}
        for name, proves in self._channels.items():
            self._look_at(name, proves, now)
        if self._office.held:
            self._tell(list(self.depths.values()), now)
        elif self._led:
            self._fall_silent()
        self._led = self._office.held

    async def _expire(self, now: Instant) -> None:
        overdue = await self._store.read(lambda tx: bool(tx.alerts.overdue(now)) or tx.outbox.any_overdue(now))
        if overdue:
            await self._office.write(lambda tx: expire(tx, now), turn=Turn.LINEAGE)

    def _look_at(self, name: str, proves: Level, now: Instant) -> None:
        depth, pulse = self.depths.get(name), self._pulses.get(name, Pulse())
        waiting = max(depth.oldest, self._since) if depth and depth.oldest is not None else None
        stuck = pulse.stuck(now, waiting)
        stalled = stuck or (proves > Level.ACCEPTED and pulse.silent(now))
        if stalled and name not in self.stalled:
            self.stalled[name] = now
            self._log.warning("channel_stalled", channel=name, silent=not stuck)
        elif not stalled and self.stalled.pop(name, None) is not None:
            self._log.info("channel_recovered", channel=name)

    def _tell(self, depths: Sequence[Depth], now: Instant) -> None:
        waiting = [depth.oldest for depth in depths if depth.oldest is not None]
        self._metrics.outbox_pending.set(sum(depth.batches for depth in depths))
        self._metrics.outbox_oldest_age.set((now - min(waiting)) / 1000 if waiting else 0)
        for name in self._channels:
            depth = self.depths.get(name)
            since = depth.oldest if depth else None
            self._metrics.queue_depth.labels(name).set(depth.batches if depth else 0)
            self._metrics.channel_oldest_pending.labels(name).set((now - since) / 1000 if since else 0)
            self._metrics.channel_stalled.labels(name).set(name in self.stalled)

    def _fall_silent(self) -> None:
        """Another process leads now: the figures of the store are its to tell."""
        self._metrics.outbox_pending.set(0)
        self._metrics.outbox_oldest_age.set(0)
        for gauge in (self._metrics.queue_depth, self._metrics.channel_oldest_pending, self._metrics.channel_stalled):
            gauge.clear()


def expire(tx: Transaction, now: Instant) -> None:
    """End what is over: released alerts past their time, waiting batches past theirs."""
    tx.outbox.expire(now)
    for row in tx.alerts.overdue(now):
        end(tx, row, AlertState.EXPIRED, now, "expired")
