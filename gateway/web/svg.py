"""The geometry of the charts: where lines, marks and tiles stand. Templates draw them as SVG; nothing is decided here about colour.

Charts stretch with their box: positions are per cent of the width and of the plot's height, lines live in a square of 1000 units.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.web.format import duration
from gateway.web.shapes import Curve, RegionCoverage, RegionRow

UNITS = 1000.0
STEPS = 7
"""Classes of the colour scale."""

_TABLE_ROWS = 12
_LABEL_GAP = 7.5
_TILE_ASPECT = 1.7
_TICKS = (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the time axis: per cent of the width, and its words."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class CurveChart:
    """A coverage curve ready to be drawn: SVG paths in units, the band between lo and hi, marks in per cent.

    `ends` is where the labels of lo, est and hi stand: per cent from the top, kept apart.
    """

    lo: str
    est: str
    hi: str
    band: str
    goal_y: float | None
    deadline_x: float | None
    now_x: float
    ticks: tuple[Tick, ...]
    ends: Mapping[str, float]
    rows: tuple[tuple[float, float, float, float], ...]


def curve_chart(curve: Curve) -> CurveChart | None:
    """The chart of a curve, None without points."""
    if not curve.t:
        return None
    span = max(curve.t[-1], (curve.deadline_s or 0) * 1.08, 60.0)
    xs = [at / span * UNITS for at in curve.t]
    lines = {name: [(1 - value) * UNITS for value in getattr(curve, name)] for name in ("lo", "est", "hi")}
    return CurveChart(
        lo=_steps(xs, lines["lo"]),
        est=_steps(xs, lines["est"]),
        hi=_steps(xs, lines["hi"]),
        band=_band(xs, lines["lo"], lines["hi"]),
        goal_y=None if curve.goal_bp is None else 100 - curve.goal_bp / 100,
        deadline_x=None if curve.deadline_s is None else curve.deadline_s / span * 100,
        now_x=xs[-1] / UNITS * 100,
        ticks=_ticks(span),
        ends=_apart({name: ys[-1] / UNITS * 100 for name, ys in lines.items()}),
        rows=_rows(curve),
    )


def _steps(xs: Sequence[float], ys: Sequence[float]) -> str:
    """A right-continuous step line: a value holds until the next one."""
    moves = [f"M{xs[0]:.1f} {ys[0]:.1f}"]
    for x, y, before in zip(xs[1:], ys[1:], ys, strict=False):
        moves.append(f"H{x:.1f}" if y == before else f"H{x:.1f}V{y:.1f}")
    return "".join(moves)


def _band(xs: Sequence[float], low: Sequence[float], high: Sequence[float]) -> str:
    """The area between two step lines, closed."""
    forth = _steps(xs, high)
    back = "".join(f"V{y:.1f}H{x:.1f}" for x, y in zip(reversed(xs[:-1]), reversed(low[:-1]), strict=True))
    return f"{forth}V{low[-1]:.1f}{back}Z"


def _ticks(span: float) -> tuple[Tick, ...]:
    step = next((step for step in _TICKS if span / step <= 6), math.ceil(span / 6))
    return tuple(Tick(at / span * 100, duration(at)) for at in range(0, int(span * 0.97) + 1, step))


def _apart(positions: Mapping[str, float]) -> Mapping[str, float]:
    """Label positions pushed down from the top one and up again from the bottom, so that none covers another."""
    names = sorted(positions, key=lambda name: (positions[name], ("hi", "est", "lo").index(name)))
    placed = [positions[name] for name in names]
    for place in range(1, len(placed)):
        placed[place] = max(placed[place], placed[place - 1] + _LABEL_GAP)
    floor = 100.0
    for place in reversed(range(len(placed))):
        placed[place] = min(placed[place], floor)
        floor = placed[place] - _LABEL_GAP
    return dict(zip(names, placed, strict=True))


def _rows(curve: Curve) -> tuple[tuple[float, float, float, float], ...]:
    """At most a dozen points of the curve for its table, the last one always."""
    last = len(curve.t) - 1
    places = sorted({round(last * part / (_TABLE_ROWS - 1)) for part in range(_TABLE_ROWS)})
    return tuple((curve.t[at], curve.lo[at], curve.est[at], curve.hi[at]) for at in places)


@dataclass(frozen=True, slots=True)
class Tile:
    """One region on the schematic map. `shade` 0 (low) to 6 (high), None without target people."""

    region: RegionCoverage
    column: int
    row: int
    shade: int | None
    below: bool


@dataclass(frozen=True, slots=True)
class TileMap:
    """Tiles on a grid of `columns` by `rows`."""

    tiles: tuple[Tile, ...]
    columns: int
    rows: int


def tile_map(regions: Sequence[RegionCoverage], places: Mapping[str, RegionRow]) -> TileMap:
    """One tile per region: north to south in rows, west to east within each; without coordinates by code, at the end."""
    columns = min(len(regions), max(3, math.ceil(math.sqrt(len(regions) * _TILE_ASPECT)))) or 1
    southward = sorted(regions, key=lambda region: _north(region, places))
    bands = [southward[start : start + columns] for start in range(0, len(southward), columns)]
    tiles = (
        Tile(region, column, row, shade(region.est), below_goal(region))
        for row, band in enumerate(bands)
        for column, region in enumerate(sorted(band, key=lambda region: _west(region, places)))
    )
    return TileMap(tuple(tiles), columns, len(bands))


def shade(share: float | None) -> int | None:
    """The class of the colour scale for a share."""
    return None if share is None else min(STEPS - 1, int(share * STEPS))


def below_goal(region: RegionCoverage) -> bool:
    """Whether a region with target people has not met its goal."""
    return region.status in {"possible", "gap"}


def _north(region: RegionCoverage, places: Mapping[str, RegionRow]) -> tuple[float, str]:
    place = places.get(region.id)
    return (-place.lat if place and place.lat is not None else math.inf, region.id)


def _west(region: RegionCoverage, places: Mapping[str, RegionRow]) -> tuple[float, str]:
    place = places.get(region.id)
    return (place.lon if place and place.lon is not None else math.inf, region.id)
