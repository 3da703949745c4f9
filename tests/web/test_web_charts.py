"""The geometry of the charts and how numbers are written."""

from __future__ import annotations

import re
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_data import NOW

from gateway.web import format, svg
from gateway.web.shapes import Curve, RegionCoverage, RegionRow
from gateway.web.views import _by_gap

SHANGHAI = ZoneInfo("Asia/Shanghai")


def curve(**changes: object) -> Curve:
    plain = {
        "t": [0, 60, 120],
        "lo": [0, 0.5, 0.7],
        "est": [0, 0.6, 0.8],
        "hi": [1, 0.9, 0.9],
        "goal_bp": 9200,
        "deadline_s": 900,
    }
    return Curve.model_validate(plain | changes)


def region(code: str, est: float | None = 0.5, status: str = "gap", gap: int | None = 10) -> RegionCoverage:
    return RegionCoverage(id=code, name=code, lo=est, est=est, hi=est, status=status, gap_people=gap)


def place(code: str, lat: float | None, lon: float | None) -> RegionRow:
    return RegionRow(id=code, name=code, level="town", lat=lat, lon=lon)


def test_a_curve_is_a_step_line_that_holds_its_value() -> None:
    chart = svg.curve_chart(curve())
    assert chart
    assert chart.lo == "M0.0 1000.0H61.7V500.0H123.5V300.0"
    assert (chart.goal_y, round(chart.now_x, 1), round(chart.deadline_x or 0, 1)) == (8.0, 12.3, 92.6)
    assert chart.band.endswith("Z")
    assert chart.rows[-1] == (120, 0.7, 0.8, 0.9)


def test_a_curve_without_points_has_no_chart_and_without_goal_no_line() -> None:
    assert svg.curve_chart(curve(t=[], lo=[], est=[], hi=[])) is None
    chart = svg.curve_chart(curve(goal_bp=None, deadline_s=None))
    assert chart
    assert (chart.goal_y, chart.deadline_x) == (None, None)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)).map(sorted), min_size=1, max_size=400))
def test_every_curve_stays_in_its_box_and_its_labels_apart(points: list[list[float]]) -> None:
    lo, est, hi = (list(values) for values in zip(*points, strict=True))
    chart = svg.curve_chart(curve(t=list(range(len(points))), lo=lo, est=est, hi=hi))
    assert chart
    for path in (chart.lo, chart.est, chart.hi, chart.band):
        assert all(0 <= float(number) <= 1000 for number in re.findall(r"[\d.]+", path))
    places = [chart.ends[name] for name in ("hi", "est", "lo")]
    assert all(below - above >= 7.49 for above, below in pairwise(places))
    assert max(places) <= 100.01
    assert len(chart.rows) <= 12
    assert len(chart.ticks) <= 8


def test_tiles_stand_north_to_south_and_west_to_east() -> None:
    where = {"n3": (42, 124), "s2": (40, 123), "n1": (43, 122), "n2": (42.5, 123), "s1": (40.5, 122)}
    places = {code: place(code, *at) for code, at in where.items()} | {"lost": place("lost", None, None)}
    tiles = svg.tile_map([region(code) for code in (*where, "lost", "unheard")], places)
    assert (tiles.columns, tiles.rows) == (4, 2)
    assert [tile.region.id for tile in tiles.tiles] == ["n1", "s1", "n2", "n3", "s2", "lost", "unheard"]
    assert [(tile.column, tile.row) for tile in tiles.tiles[3:5]] == [(3, 0), (0, 1)]


def test_nothing_gives_an_empty_map() -> None:
    assert svg.tile_map([], {}).tiles == ()


@pytest.mark.parametrize(("share", "step"), [(None, None), (0, 0), (0.1428, 0), (0.143, 1), (0.99, 6), (1, 6)])
def test_shades(share: float | None, step: int | None) -> None:
    assert svg.shade(share) == step


def test_the_largest_gap_stands_first_and_regions_without_people_last() -> None:
    rows = [
        region("none", None, "no_target", None),
        region("met", 0.95, "met_estimated", 0),
        region("worst", 0.2),
        region("big", 0.5, "gap", 99),
    ]
    assert [row.id for row in sorted(rows, key=_by_gap)] == ["big", "worst", "met", "none"]


@pytest.mark.parametrize(
    ("share", "text"), [(0.91999, "91.9"), (0.92, "92.0"), (1, "100.0"), (0, "0.0"), (0.29, "29.0"), (None, "–")]
)
def test_shares_are_rounded_down(share: float | None, text: str) -> None:
    assert format.percent(share) == text


def test_other_numbers() -> None:
    assert [format.goal(9200), format.goal(9850), format.goal(None)] == ["92", "98.5", "–"]
    assert [format.people(41_200.9), format.people(0), format.people(None)] == ["41,200", "0", "–"]
    assert [format.duration(499.9), format.duration(3_753), format.duration(-4)] == ["08:19", "1:02:33", "00:00"]
    assert [format.latency(0.42), format.latency(21.2), format.latency(191)] == ["0.4 s", "21 s", "3 min"]


def test_times_are_local_and_as_long_as_needed() -> None:
    assert format.clock("2026-07-22T06:08:51.000Z", SHANGHAI, NOW) == "14:08:51"
    assert format.clock("2026-07-21T15:59:59.000Z", SHANGHAI, NOW) == "07-21 23:59:59"
    assert format.clock("2025-12-31T16:00:00.000Z", SHANGHAI, NOW) == "01-01 00:00:00"
    assert format.clock("2025-12-31T15:00:00.000Z", SHANGHAI, NOW) == "2025-12-31 23:00:00"
    assert format.clock(None, SHANGHAI, NOW) == "–"
