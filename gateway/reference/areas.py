"""Named areas (流域, 危险区, 海区) from a table and back: `tongluo areas check|import|export` and the composition root call this.

Columns: id, name, kind, members (division codes with `;` between them), owner (a source's name, or empty), valid_to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from gateway.model.region import NamedArea
from gateway.reference import fields
from gateway.reference.tables import Loaded, Problem, Row, csv_text, open_table
from gateway.rules.tree import Tree

HEADING: Mapping[str, tuple[str, ...]] = {
    "id": ("编号", "区域编号", "标识"),
    "name": ("名称", "区域名称", "name_zh"),
    "kind": ("类型", "类别", "种类"),
    "members": ("成员", "区划", "所含区划", "包含区划", "regions"),
    "owner": ("所有者", "所属单位", "发布单位"),
    "valid_to": ("失效日期", "停用日期", "有效期止"),
}
"""Our columns and the other headings they may bear."""

COLUMNS = ("id", "name", "kind", "members", "owner", "valid_to")


def read_areas(path: Path, mapping: Mapping[str, str] | None = None, tree: Tree | None = None) -> Loaded[NamedArea]:
    """The named areas of a file. With `tree`, every member must be a region of ours."""
    problems: list[Problem] = []
    areas: list[NamedArea] = []
    ids: set[str] = set()
    titles: set[tuple[str, str]] = set()
    for row in open_table(path, HEADING, ("id", "name", "members"), mapping).rows():
        area = _area(row, tree)
        if area.id in ids:
            row.blame("id", "twice")
        if (area.owner, area.name) in titles:
            row.blame("name", "twice")
        ids.add(area.id)
        titles.add((area.owner, area.name))
        problems += row.problems
        if not row.problems:
            areas.append(area)
    return Loaded(str(path), tuple(areas), tuple(problems))


def load_areas(paths: Iterable[Path], tree: Tree | None = None) -> dict[str, NamedArea]:
    """The named areas of several files by id; later files win. Raises ConfigError at the first row that cannot be used."""
    return {area.id: area for path in paths for area in read_areas(path, tree=tree).sound()}


def write_areas(areas: Iterable[NamedArea]) -> Iterator[str]:
    """The named areas as CSV, line by line: what `read_areas` reads back unchanged."""
    rows = ((a.id, a.name, a.kind, ";".join(a.members), a.owner, a.valid_to) for a in areas)
    return csv_text(COLUMNS, rows)


def _area(row: Row, tree: Tree | None) -> NamedArea:
    nobody: tuple[str, ...] = ()
    members = row.need("members", fields.divisions, nobody)
    for member in members:
        if tree and tree.find(member) is None:
            row.blame("members", "region_unknown", member)
    return NamedArea(
        id=row.need("id", fields.undamaged, ""),
        name=row.need("name", fields.undamaged, ""),
        kind=row.text("kind"),
        members=members,
        owner=row.text("owner"),
        valid_to=row.take("valid_to", fields.day, ""),
    )
