"""Live frames: what an event stream tells. Nothing is queued for a reader: it is told what differs from what it was told last."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gateway.flow.coverage import Folder
from gateway.model.time import Instant, rfc3339
from gateway.ports.desk import Event, Json, Principal
from gateway.ports.store import AlertRow, Store
from gateway.views.alerts import visible
from gateway.views.coverage import CoverageViews

PACE = 1.0
"""Seconds between two coverage frames at least."""

PAGE = 200

Told = tuple[int, int, Instant, str, Json]


class LiveFeed:
    """Follows alerts for pages. See `ports.desk.Feed`."""

    def __init__(self, store: Store, folder: Folder, coverage: CoverageViews) -> None:
        self._store, self._folder, self._coverage = store, folder, coverage

    async def follow_all(self, by: Principal, after: int) -> AsyncIterator[Event]:
        """The durable events of the whole gateway."""
        last = after or await self._store.read(lambda tx: tx.chronicle.last_event())
        while True:
            told = await self._told(0, last)
            for id, alert, at, name, payload in told:
                last = id
                if await self._visible(by, alert):
                    yield Event(id, name, payload | {"at": rfc3339(at)})
            if not told:
                await self._folder.news(0, 0, PACE)

    async def follow(self, row: AlertRow, region: str, depth: int, after: int) -> AsyncIterator[Event]:
        """The durable events of one alert since row `after`, one full frame of coverage and curve, then what changes."""
        last = after or await self._store.read(lambda tx: tx.chronicle.last_event())
        known: dict[str, Json] = {}
        version = -1
        while True:
            for id, _, at, name, payload in await self._told(row.n, last):
                last = id
                yield Event(id, name, payload | {"at": rfc3339(at)})
            if self._folder.version(row.n) != version or version < 0:
                version = self._folder.version(row.n)
                for frame in await self._frames(row, region, depth, known, last):
                    yield frame
            await self._folder.news(row.n, version, PACE)
            await self._folder.news(0, 0, PACE)

    async def _told(self, alert: int, after: int) -> list[Told]:
        return await self._store.read(lambda tx: tx.chronicle.told(alert, after, PAGE))

    async def _visible(self, by: Principal, alert: int) -> bool:
        row = await self._store.read(lambda tx: tx.alerts.by_number(alert))
        return row is None or visible(by, row)

    async def _frames(self, row: AlertRow, region: str, depth: int, known: dict[str, Json], last: int) -> list[Event]:
        full = await self._coverage.coverage(row, region, depth, None, None)
        if full is None:
            return []
        changed = [each for each in (full["region"], *full["children"]) if known.get(each["id"]) != each]
        if not changed:
            return []
        known |= {each["id"]: each for each in changed}
        here = full["region"]
        released = full["released_at"]
        point = {"t": full["as_of"], "released_at": released, "lo": here["lo"], "est": here["est"], "hi": here["hi"]}
        return [Event(last, "coverage", {"as_of": full["as_of"], "changed": changed}), Event(last, "curve", point)]
