"""A small made-up county for the tests of tree, targeting and enrolling: two counties in one city, one of them with villages."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.model.alert import Alert, Area, Circle, Grade, Info, MsgType, NameValue, Polygon, Scope, Status
from gateway.model.region import DirectoryRow, Region, RegionLevel

PROVINCE, CITY, COUNTY = RegionLevel.PROVINCE, RegionLevel.CITY, RegionLevel.COUNTY
TOWN, VILLAGE = RegionLevel.TOWN, RegionLevel.VILLAGE

EAST, WEST, NORTH, UPPER = "210401001001", "210401001002", "210401002001", "210401002002"
"""Villages: EAST and WEST in the first town (populations 100 and 200), NORTH (300) and UPPER (unknown) in the second."""

REGIONS = [
    Region("210000", "辽宁省", PROVINCE, None, 42_591_407, 41.3, 122.6, languages=("zh-CN",)),
    Region("210400", "甲市", CITY, "210000", None, 41.9, 123.9, goal_bp=9500),
    Region("210401", "甲县", COUNTY, "210400", None, 41.90, 123.90, aliases=("210499",)),
    Region("210401001000", "河东镇", TOWN, "210401000000", 330, 41.90, 123.95, languages=("ko", "zh-CN")),
    Region(EAST, "东村", VILLAGE, "210401001000", 100, 41.90, 123.96),
    Region(WEST, "西村", VILLAGE, "210401001000", 200, 41.90, 123.94, goal_bp=9000),
    Region("210401002000", "河北乡", TOWN, "210401", None, 41.99, 123.90),
    Region(NORTH, "北村", VILLAGE, "210401002000", 300, 42.00, 123.90),
    Region(UPPER, "上村", VILLAGE, "210401002000"),
    Region("210402", "铁西区", COUNTY, "210400", 5000, 41.80, 123.80),
]


def codes(*values: str, name: str = "CN-GB2260") -> Area:
    """An area of geocodes."""
    return Area("某地", geocodes=tuple(NameValue(name, value) for value in values))


def square(south: float, west: float, north: float, east: float) -> Polygon:
    """A closed ring of (latitude, longitude)."""
    return ((south, west), (south, east), (north, east), (north, west), (south, west))


def shaped(*polygons: Polygon, circles: Sequence[Circle] = ()) -> Area:
    """An area of shapes."""
    return Area("某流域", polygons=polygons, circles=tuple(circles))


def info(*areas: Area, language: str = "zh-CN", grade: Grade = Grade.RED) -> Info:
    """An info with those areas."""
    return Info(language, "暴雨", grade, areas=areas)


def alert(*infos: Info) -> Alert:
    """An alert with those infos."""
    return Alert("a1", "s", 0, Status.ACTUAL, MsgType.ALERT, Scope.PUBLIC, "cap-1.2", infos=infos)


def person(name: str, region: str, channel: str = "sms", covers: int = 1, **more: object) -> DirectoryRow:
    """One address of a recipient."""
    return DirectoryRow(f"{name}/{channel}", channel, f"{channel}:{name}", region, name, covers, **more)  # type: ignore[arg-type]


def device(name: str, region: str, covers: int, channel: str = "speaker", **more: object) -> DirectoryRow:
    """One device."""
    return DirectoryRow(name, channel, f"dev:{name}", region, "", covers, **more)  # type: ignore[arg-type]
