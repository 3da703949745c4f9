"""Watch: what happens because time passes. Alerts and batches expire, stalled channels are noticed, figures are told."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from structlog.stdlib import BoundLogger

from gateway.channel import Channel, Clock
from gateway.errors import Unstorable
from gateway.flow.standing import end
from gateway.model.alert import AlertState
from gateway.model.receipt import Level
from gateway.model.time import Instant
from gateway.ports.store import Depth, Store, Transaction
from gateway.telemetry import Metrics

TICK = 1000
STALLED_AFTER = 30_000
SILENT_WINDOW = 300_000
SILENT_HANDOVERS = 50


class Carrier(Protocol):
    """What watch looks at in a channel at work."""

    channel: Channel
    last_progress: Instant
    handed: int
    fault: str


@dataclass(slots=True)
class Silence:
    """What a channel that proves more than `accepted` handed over lately, and when its last receipt came."""

    handed: list[tuple[Instant, int]] = field(default_factory=list)
    heard_at: Instant = 0
    heard: float = 0.0

    def note(self, now: Instant, handed: int, heard: float) -> None:
        """Take the running totals in."""
        if not self.handed or self.handed[-1][1] != handed:
            self.handed.append((now, handed))
        self.handed = [entry for entry in self.handed if entry[0] > now - SILENT_WINDOW] or self.handed[-1:]
        if heard != self.heard:
            self.heard, self.heard_at = heard, now

    def silent(self, now: Instant) -> bool:
        """50 hand-overs in five minutes and no receipt for 30 s (docs/architecture.md, words)."""
        lately = self.handed[-1][1] - self.handed[0][1] if self.handed else 0
        since = self.handed[0][0] if self.handed else now
        return lately >= SILENT_HANDOVERS and now - max(self.heard_at, since) >= STALLED_AFTER


class Watch:
    """Looks after everything that has a time, once a second."""

    def __init__(
        self, store: Store, clock: Clock, metrics: Metrics, log: BoundLogger, couriers: Mapping[str, Carrier]
    ) -> None:
        self._store, self._clock, self._metrics, self._log, self._couriers = store, clock, metrics, log, couriers
        self._silences = {name: Silence() for name in couriers}
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
        overdue = await self._store.read(lambda tx: bool(tx.alerts.overdue(now)) or tx.outbox.any_overdue(now))
        if overdue:
            await self._store.write(lambda tx: expire(tx, now))
        depths = await self._store.read(lambda tx: tx.outbox.depths())
        self.depths = {depth.channel: depth for depth in depths}
        self._tell_depths(depths, now)
        for name, courier in self._couriers.items():
            self._look_at(name, courier, now)

    def _look_at(self, name: str, courier: Carrier, now: Instant) -> None:
        depth = self.depths.get(name)
        waiting_since = depth.oldest if depth else None
        moved = max(courier.last_progress, waiting_since or 0)
        stuck = waiting_since is not None and now - moved >= STALLED_AFTER
        silence = self._silences[name]
        silence.note(now, courier.handed, self._heard(name))
        stalled = stuck or (courier.channel.traits.proves > Level.ACCEPTED and silence.silent(now))
        if stalled and name not in self.stalled:
            self.stalled[name] = now
            self._log.warning("channel_stalled", channel=name, silent=not stuck, why=courier.fault)
        elif not stalled and self.stalled.pop(name, None) is not None:
            self._log.info("channel_recovered", channel=name)
        self._metrics.channel_stalled.labels(name).set(stalled)
        self._metrics.channel_oldest_pending.labels(name).set((now - waiting_since) / 1000 if waiting_since else 0)

    def _heard(self, name: str) -> float:
        """Receipts of this channel that prove delivery, or its failure, so far."""
        levels = {"delivered", "read", "ack", "failed"}
        samples = (sample for metric in self._metrics.receipts.collect() for sample in metric.samples)
        return sum(
            sample.value
            for sample in samples
            if sample.name.endswith("_total") and sample.labels["channel"] == name and sample.labels["level"] in levels
        )

    def _tell_depths(self, depths: Sequence[Depth], now: Instant) -> None:
        waiting = [depth.oldest for depth in depths if depth.oldest is not None]
        self._metrics.outbox_pending.set(sum(depth.batches for depth in depths))
        self._metrics.outbox_oldest_age.set((now - min(waiting)) / 1000 if waiting else 0)
        for name in self._couriers:
            self._metrics.queue_depth.labels(name).set(self.depths[name].batches if name in self.depths else 0)


def expire(tx: Transaction, now: Instant) -> None:
    """End what is over: released alerts past their time, waiting batches past theirs."""
    tx.outbox.expire(now)
    for row in tx.alerts.overdue(now):
        end(tx, row, AlertState.EXPIRED, now, "expired")
