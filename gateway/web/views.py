"""What each page shows, gathered from the same reads as the API and checked into typed shapes. Called by `gateway.web.pages`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from gateway.model.time import rfc3339
from gateway.ports import Principal, Reads
from gateway.rules.divisions import within
from gateway.web import svg
from gateway.web.reading import failures, known
from gateway.web.shapes import (
    AlertDetail,
    AlertItem,
    ChannelFigures,
    ChannelState,
    Coverage,
    Curve,
    Failure,
    LogEntry,
    Readiness,
    RegionCoverage,
    RegionRow,
)
from gateway.web.site import Site

_FIGURES = TypeAdapter(list[ChannelFigures])
_STATES = TypeAdapter(list[ChannelState])
_FAILURES = TypeAdapter(list[Failure])
_ROWS = TypeAdapter(list[RegionRow])
_ITEMS = TypeAdapter(list[AlertItem])
_LOG = TypeAdapter(list[LogEntry])

LOG_LINES = 12
DAY = 86_400_000
WATCHED = 200


@dataclass(frozen=True, slots=True)
class LiveView:
    """The Live page: one alert, the region looked at and its children, the largest gap first.

    `coverage` is None for an alert that was never released; `path` leads from the province down to the region.
    """

    alert: AlertDetail
    coverage: Coverage | None
    children: Sequence[RegionCoverage]
    curve: svg.CurveChart | None
    tiles: svg.TileMap
    path: Sequence[RegionRow]
    channels: Sequence[ChannelFigures]
    failures: Sequence[Failure]
    log: Sequence[LogEntry]
    info: dict[str, Any]


async def live(site: Site, by: Principal, alert: str, region: str, language: str) -> LiveView:
    """Gather the Live page; the alert's own text in `language` if it has one. Raises Refused (404)."""
    reads = site.reads
    found = AlertDetail.model_validate(known(await reads.alert(by, alert)))
    whole, line, figures, entries = await asyncio.gather(
        reads.coverage(by, alert, region, 1, None, None),
        reads.curve(by, alert, region),
        reads.channels_of(by, alert),
        reads.log(by, alert, LOG_LINES, ""),
    )
    coverage = Coverage.model_validate(whole) if whole else None
    children = sorted(coverage.children, key=_by_gap) if coverage else []
    places, path = await _surroundings(reads, by, coverage)
    return LiveView(
        alert=found,
        coverage=coverage,
        children=children,
        curve=svg.curve_chart(Curve.model_validate(line)) if line else None,
        tiles=svg.tile_map(children, places),
        path=path,
        channels=_FIGURES.validate_python(figures or []),
        failures=_FAILURES.validate_python(failures(figures or [])),
        log=_LOG.validate_python((entries or {"items": []})["items"]),
        info=_info(found.cap, language),
    )


def _by_gap(region: RegionCoverage) -> tuple[int, float, str]:
    """The largest gap first, then the lowest estimate; regions without target people last."""
    if region.est is None:
        return (1, 0.0, region.id)
    return (-(region.gap_people or 0), region.est, region.id)


async def _surroundings(
    reads: Reads, by: Principal, coverage: Coverage | None
) -> tuple[dict[str, RegionRow], list[RegionRow]]:
    """Where the children of the region stand, and the way down to it."""
    if coverage is None:
        return {}, []
    rows, path = await asyncio.gather(_children(reads, by, coverage.region.id), way(reads, by, coverage.region.id))
    return {row.id: row for row in rows}, path


async def way(reads: Reads, by: Principal, target: str) -> list[RegionRow]:
    """The regions from the root of the tree down to `target`, as far as its code leads."""
    path: list[RegionRow] = []
    while not path or path[-1].id != target:
        rows = await _children(reads, by, path[-1].id if path else "")
        below = next((row for row in rows if within(target, row.id)), None)
        if below is None or below in path:
            break
        path.append(below)
    return path


async def _children(reads: Reads, by: Principal, parent: str) -> list[RegionRow]:
    return _ROWS.validate_python(await reads.regions(by, parent))


def _info(cap: dict[str, Any], language: str) -> dict[str, Any]:
    """The info block to show: the first in the reader's language, else the first, {} if there is none."""
    infos = cap.get("info", [])
    spoken = (info for info in infos if info.get("language", "").lower().startswith(language))
    return next(spoken, infos[0] if infos else {})


@dataclass(frozen=True, slots=True)
class WatchView:
    """The Watch page: what is live, what waits, and whether everything works."""

    active: Sequence[AlertItem]
    held: Sequence[AlertItem]
    recent: Sequence[AlertItem]
    received_today: int
    channels: Sequence[ChannelState]
    readiness: Readiness

    @property
    def troubles(self) -> int:
        """How many things ask for a look: held alerts, gaps, channels that are not well."""
        gaps = sum(1 for item in self.active if item.coverage and item.coverage.status == "gap")
        return len(self.held) + gaps + sum(1 for channel in self.channels if channel.state != "ok")


async def watch(site: Site, by: Principal) -> WatchView:
    """Gather the Watch page."""
    reads, since = site.reads, rfc3339(site.settings.clock() - DAY)
    active, held, today, recent, channels, readiness = await asyncio.gather(
        reads.alerts(by, {"state": "active"}, WATCHED, ""),
        reads.alerts(by, {"state": "held"}, WATCHED, ""),
        reads.alerts(by, {"since": since}, WATCHED, ""),
        reads.alerts(by, {}, 8, ""),
        reads.channels(by),
        reads.readiness(by),
    )
    return WatchView(
        active=_ITEMS.validate_python(active["items"]),
        held=_ITEMS.validate_python(held["items"]),
        recent=_ITEMS.validate_python(recent["items"]),
        received_today=len(today["items"]),
        channels=_STATES.validate_python(channels),
        readiness=Readiness.model_validate(readiness),
    )
