"""`Views`: everything that the API and the pages read, in one object behind `ports.desk.Reads` and `ports.desk.Feed`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from gateway.flow.coverage import Folder
from gateway.model.time import Instant
from gateway.ports.desk import Event, Json, Principal
from gateway.ports.store import AlertRow
from gateway.views.alerts import MOST, AlertViews, item
from gateway.views.coverage import CoverageViews
from gateway.views.deadletters import DeadLetterViews
from gateway.views.deliveries import DeliveryViews
from gateway.views.live import LiveFeed
from gateway.views.system import SystemViews


class Views:
    """See `ports.desk.Reads` and `ports.desk.Feed`."""

    def __init__(
        self,
        alerts: AlertViews,
        coverage: CoverageViews,
        deliveries: DeliveryViews,
        dead: DeadLetterViews,
        system: SystemViews,
        live: LiveFeed,
        folder: Folder,
    ) -> None:
        self._alerts, self._coverage, self._deliveries, self._dead = alerts, coverage, deliveries, dead
        self._system, self._live, self._folder = system, live, folder

    async def alerts(self, by: Principal, filters: Mapping[str, str], limit: int, cursor: str) -> Json:
        rows, following = await self._alerts.page(by, filters, limit, cursor)
        return {"items": [item(row, await self._coverage.summary(row)) for row in rows], "next": following}

    async def alert(self, by: Principal, alert: str) -> Json | None:
        row = await self._alerts.row(by, alert)
        if row is None:
            return None
        return item(row, await self._coverage.summary(row)) | await self._alerts.detail(row)

    async def raw(self, by: Principal, alert: str) -> bytes | None:
        row = await self._alerts.row(by, alert)
        return row.raw if row else None

    async def coverage(
        self, by: Principal, alert: str, region: str, depth: int, as_of: Instant | None, known_at: Instant | None
    ) -> Json | None:
        row = await self._alerts.row(by, alert)
        return await self._coverage.coverage(row, region, depth, as_of, known_at) if row else None

    async def curve(self, by: Principal, alert: str, region: str) -> Json | None:
        row = await self._alerts.row(by, alert)
        return await self._coverage.curve(row, region) if row else None

    async def channels_of(self, by: Principal, alert: str) -> list[Json] | None:
        row = await self._alerts.row(by, alert)
        return [self._with_state(each) for each in await self._coverage.channels(row)] if row else None

    async def deliveries(
        self, by: Principal, alert: str, filters: Mapping[str, str], limit: int, cursor: str
    ) -> Json | None:
        row = await self._alerts.row(by, alert)
        account = await self._folder.account(row.n) if row else None
        if row is None:
            return None
        if account is None:
            return {"items": [], "next": None}
        return await self._deliveries.page(row, account, filters, min(max(limit, 1), MOST), cursor)

    async def log(self, by: Principal, alert: str, limit: int, cursor: str) -> Json | None:
        row = await self._alerts.row(by, alert)
        return await self._alerts.log(row, limit, cursor) if row else None

    async def channels(self, by: Principal) -> list[Json]:
        return self._system.channels()

    async def dead_letters(self, by: Principal) -> list[Json]:
        return [] if by.regions else await self._dead.page()

    async def regions(self, by: Principal, parent: str) -> list[Json]:
        return self._system.regions(parent)

    async def readiness(self, by: Principal) -> Json:
        return self._system.readiness()

    async def ready(self) -> Json:
        return self._system.ready()

    async def follow(self, by: Principal, alert: str, region: str, depth: int, after: int) -> AsyncIterator[Event]:
        row: AlertRow | None = await self._alerts.row(by, alert) if alert else None
        stream = self._live.follow(row, region, depth, after) if row else self._live.follow_all(by, after)
        async for event in stream:
            yield event

    def _with_state(self, channel: Json) -> Json:
        name = channel["channel"]
        if not self._system.knows(name):
            return channel | {"type": "", "state": "down", "oldest_pending_s": None}
        state, age = self._system.state_of(name)
        return channel | {"type": self._system.type_of(name), "state": state, "oldest_pending_s": age}
