"""Gauges: the figures of live alerts, held alerts, readiness and reference data for Prometheus. Series of an alert go with it."""

from __future__ import annotations

import contextlib
from collections import Counter

from gateway.channel import Clock
from gateway.errors import Unstorable
from gateway.flow.canary import VIA
from gateway.flow.coverage import Folder
from gateway.flow.office import Office
from gateway.model.alert import AlertState, Grade, Status
from gateway.model.time import Instant
from gateway.ports.desk import Json
from gateway.ports.store import AlertRow, Store
from gateway.telemetry import Metrics
from gateway.views.coverage import CoverageViews
from gateway.views.system import SystemViews

EVERY = 5_000
MOST_SERIES = 2000
BOUNDS = ("lo", "est", "hi")


class Gauges:
    """Refreshes the gauges every five seconds."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        folder: Folder,
        coverage: CoverageViews,
        system: SystemViews,
        metrics: Metrics,
        office: Office,
    ) -> None:
        self._store, self._clock, self._folder, self._coverage = store, clock, folder, coverage
        self._system, self._metrics, self._office = system, metrics, office
        self._met: set[int] = set()

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            if self._office.held:
                with contextlib.suppress(Unstorable):
                    await self.refresh()
            else:
                self._fall_silent()
            await self._clock.until(self._clock.now() + EVERY)

    async def refresh(self) -> None:
        """Look once."""
        now = self._clock.now()
        live, held, dead, imports, backed_up = await self._store.read(
            lambda tx: (
                tx.alerts.released(),
                tx.alerts.page({"states": [AlertState.HELD]}, None, 1000),
                Counter(tx.outbox.dead_counts()) + Counter(tx.strays.counts()),
                tx.chronicle.imports(),
                tx.chronicle.last_done("backup"),
            )
        )
        await self._tell_live([row for row in live if row.via != VIA])
        self._tell_held(held, now)
        for channel in self._system.names():
            self._metrics.dead_letters.labels(channel).set(dead[channel])
        self._metrics.backup_last_success.set((backed_up or 0) / 1000)
        self._metrics.directory_age.set((now - min(imports)) / 1000 if imports else 0)
        self._tell_readiness()

    def _fall_silent(self) -> None:
        """Another process leads now: the figures of live alerts are its to tell."""
        metrics = self._metrics
        for gauge in (metrics.alert_info, metrics.coverage, metrics.coverage_goal, metrics.alerts_held):
            gauge.clear()
        for gauge in (metrics.held_oldest_age, metrics.dead_letters, metrics.readiness, metrics.endpoints_online):
            gauge.clear()

    async def _tell_live(self, live: list[AlertRow]) -> None:
        """The figures are gathered first and told at once: a scrape in between sees the old ones or the new ones, never half.
        Goals are told of real warnings alone: a drill that falls short wakes nobody."""
        counties = {row.n: await self._counties(row) for row in live}
        metrics = self._metrics
        for gauge in (metrics.alert_info, metrics.coverage, metrics.coverage_goal):
            gauge.clear()
        left = MOST_SERIES // len(BOUNDS)
        for row in live:
            metrics.alert_info.labels(row.id, Grade(row.grade).label, row.event_code, row.source).set(1)
            for county in counties[row.n][:left]:
                left -= 1
                for bound in BOUNDS:
                    metrics.coverage.labels(row.id, county["id"], bound).set(county[bound])
                if row.status == Status.ACTUAL:
                    metrics.coverage_goal.labels(row.id, county["id"]).set(county["goal_bp"] / 10_000)
        for row in live:
            await self._tell_goal(row)

    async def _counties(self, row: AlertRow) -> list[Json]:
        """The counties of an alert whose coverage is known, the worst gaps first."""
        account = await self._folder.account(row.n)
        found = self._coverage.counties(row, account) if account else []
        known = (county for county in found if county["target"] is not None)
        return sorted(known, key=lambda county: -(county["gap_people"] or 0))

    async def _tell_goal(self, row: AlertRow) -> None:
        """The time to the goal of the whole target, once it is met by receipts."""
        if row.n in self._met:
            return
        frame = await self._coverage.coverage(row, "", 0, None, None)
        taken = frame["region"]["time_to_goal_s"] if frame else None
        if taken is not None:
            self._met.add(row.n)
            self._metrics.time_to_goal.labels(Grade(row.grade).label).observe(taken)

    def _tell_held(self, held: list[AlertRow], now: Instant) -> None:
        metrics = self._metrics
        metrics.alerts_held.clear()
        oldest = dict.fromkeys((grade.label for grade in Grade), now)
        for (why, grade), count in Counter((row.why, Grade(row.grade).label) for row in held).items():
            metrics.alerts_held.labels(why, grade).set(count)
        for row in held:
            label = Grade(row.grade).label
            oldest[label] = min(oldest[label], row.received_at)
        for label, since in oldest.items():
            metrics.held_oldest_age.labels(label).set((now - since) / 1000)

    def _tell_readiness(self) -> None:
        metrics = self._metrics
        for county in self._system.readiness()["counties"]:
            for k in ("k1", "k2"):
                metrics.readiness.labels(county["id"], k[1:]).set(county[k])
        for channel, region, ratio in self._system.online():
            metrics.endpoints_online.labels(channel, region).set(ratio)
