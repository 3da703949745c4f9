"""Regions from a table and back: `tongluo regions check|import|export` and the composition root call this.

Columns: code, name, level, parent, population, lat, lon, goal_bp, languages, valid_from, valid_to; also name_en, aliases and
datum; every other column is kept in `Region.extra`. Only code and name are required: an empty level follows from the code's
length, an empty parent is the deepest region whose code holds this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from gateway.model.region import Region, RegionLevel
from gateway.reference import fields
from gateway.reference.datum import wgs84
from gateway.reference.tables import Loaded, Row, csv_text, open_table
from gateway.rules.divisions import level_of, shorter
from gateway.rules.tree import key

HEADING: Mapping[str, tuple[str, ...]] = {
    "code": ("代码", "区划代码", "行政区划代码", "统计用区划代码", "编码", "区划编码"),
    "name": ("名称", "区划名称", "行政区划名称", "name_zh"),
    "level": ("级别", "层级", "行政级别"),
    "parent": ("上级", "上级代码", "上级区划", "上级区划代码", "父级代码", "parent_code"),
    "population": ("人口", "常住人口", "人口数", "总人口"),
    "lat": ("纬度", "latitude"),
    "lon": ("经度", "lng", "longitude"),
    "goal_bp": ("目标", "覆盖率目标", "goal"),
    "languages": ("语言", "语种", "language"),
    "valid_from": ("生效日期", "启用日期", "有效期起"),
    "valid_to": ("失效日期", "停用日期", "有效期止"),
    "name_en": ("英文名称",),
    "aliases": ("别名", "曾用代码", "曾用名"),
    "datum": ("坐标系",),
}
"""Our columns and the other headings they may bear."""

COLUMNS = (
    "code",
    "name",
    "level",
    "parent",
    "population",
    "lat",
    "lon",
    "goal_bp",
    "languages",
    "valid_from",
    "valid_to",
    "name_en",
    "aliases",
)
"""What an export writes, before the extra columns."""

_DATUMS = {"": False, "wgs84": False, "wgs-84": False, "cgcs2000": False, "gcj02": True, "gcj-02": True}


def read_regions(
    path: Path, mapping: Mapping[str, str] | None = None, known: Iterable[Region] = (), datum: str = "wgs84"
) -> Loaded[Region]:
    """The regions of a file. `known`: regions that are there already and may be parents; `datum`: of a file without that column."""
    table = open_table(path, HEADING, ("code", "name"), mapping)
    read = [(row, _region(row, table.others, datum)) for row in table.rows()]
    _link(read, {key(region.code): region for region in known})
    problems = [problem for row, _ in read for problem in row.problems]
    regions = tuple(region for row, region in read if region and not row.problems)
    linked = _parents({key(region.code): region for region in [*known, *regions]})
    return Loaded(str(path), tuple(linked[key(region.code)] for region in regions), tuple(problems))


def load_regions(paths: Iterable[Path], mapping: Mapping[str, str] | None = None) -> tuple[Region, ...]:
    """The regions of several files together; a row of a later file replaces the same region of an earlier one.

    Raises ConfigError at the first row that cannot be used.
    """
    together: dict[str, Region] = {}
    for path in paths:
        for region in read_regions(path, mapping, tuple(together.values())).sound():
            together[key(region.code)] = region
    return tuple(together.values())


def write_regions(regions: Iterable[Region]) -> Iterator[str]:
    """The regions as CSV, line by line: what `read_regions` reads back unchanged."""
    every = list(regions)
    extra = list(dict.fromkeys(title for region in every for title, _ in region.extra))
    return csv_text([*COLUMNS, *extra], (_cells(region, extra) for region in every))


def _region(row: Row, others: Mapping[str, int], datum: str) -> Region | None:
    """One row; None without a code."""
    code = row.need("code", fields.division, "")
    level = row.take("level", fields.level, level_of(code) or RegionLevel.PROVINCE)
    lat, lon = _point(row, datum)
    first, last = row.take("valid_from", fields.day, ""), row.take("valid_to", fields.day, "")
    if first and last and last < first:
        row.blame("valid_to", "dates_swapped")
    region = Region(
        code=code,
        name=row.need("name", fields.undamaged, ""),
        level=level,
        parent=row.take("parent", fields.parent, None),
        population=row.take("population", fields.whole, None),
        lat=lat,
        lon=lon,
        goal_bp=row.take("goal_bp", fields.basis_points, None),
        languages=row.take("languages", fields.languages, ()),
        valid_from=first,
        valid_to=last,
        name_en=row.text("name_en"),
        aliases=row.take("aliases", fields.names, ()),
        extra=tuple((title, cell) for title, place in others.items() for cell in row.cells[place : place + 1] if cell),
    )
    return region if code else None


def _point(row: Row, datum: str) -> tuple[float | None, float | None]:
    """Latitude and longitude in WGS 84, both or neither."""
    lat, lon = row.take("lat", fields.latitude, None), row.take("lon", fields.longitude, None)
    if bool(row.text("lat")) != bool(row.text("lon")):
        row.blame("lat" if row.text("lon") else "lon", "half_a_point")
    shifted = _DATUMS.get((row.text("datum") or datum).casefold())
    if shifted is None:
        row.blame("datum", "datum_unknown")
    if lat is None or lon is None:
        return None, None
    return wgs84(lat, lon) if shifted else (lat, lon)


def _link(read: list[tuple[Row, Region | None]], known: Mapping[str, Region]) -> None:
    """Blame rows that stand twice, whose parent is unknown or not above them, or whose parents go round in a circle."""
    rows: dict[str, Row] = {}
    own: dict[str, Region] = {}
    for row, region in read:
        if region is None:
            continue
        if key(region.code) in own:
            row.blame("code", "twice")
            continue
        rows[key(region.code)], own[key(region.code)] = row, region
    every = {**known, **own}
    for code, region in own.items():
        if region.parent is None:
            continue
        parent = every.get(key(region.parent))
        if parent is None:
            rows[code].blame("parent", "parent_unknown")
        elif _circular(code, every):
            rows[code].blame("parent", "parent_circle")
        elif parent.level >= region.level:
            rows[code].blame("level", "level_order")


def _circular(code: str, every: Mapping[str, Region]) -> bool:
    """Does the chain of named parents come back to where it began?"""
    seen = {code}
    region = every.get(code)
    while region and region.parent:
        above = key(region.parent)
        if above in seen:
            return above == code
        seen.add(above)
        region = every.get(above)
    return False


def _parents(every: Mapping[str, Region]) -> dict[str, Region]:
    """The regions with the parent that an empty cell means: the deepest one whose code holds theirs."""
    return {code: region if region.parent else _adopted(region, every) for code, region in every.items()}


def _adopted(region: Region, every: Mapping[str, Region]) -> Region:
    above = next((every[prefix] for prefix in shorter(region.code) if prefix in every), None)
    if above is None or above.level >= region.level:
        return region
    return replace(region, parent=above.code)


def _cells(region: Region, extra: list[str]) -> list[str]:
    others = dict(region.extra)
    return [
        region.code,
        region.name,
        region.level.label,
        region.parent or "",
        _number(region.population),
        _number(region.lat),
        _number(region.lon),
        _number(region.goal_bp),
        ";".join(region.languages),
        region.valid_from,
        region.valid_to,
        region.name_en,
        ";".join(region.aliases),
        *(others.get(title, "") for title in extra),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else str(value)
