"""The directory from a table and back: `tongluo directory check|import|export` and the store call this.

Columns: endpoint, channel, address, region, recipient, covers, audiences, language, name, post; one row for each endpoint.
`scan_directory` streams, so that a directory of a million rows needs no memory but the set of its keys.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.model.region import DirectoryRow
from gateway.reference import fields
from gateway.reference.tables import Loaded, Problem, Row, csv_text, open_table
from gateway.rules.tree import Tree

HEADING: Mapping[str, tuple[str, ...]] = {
    "endpoint": ("终端", "终端编号", "编号"),
    "channel": ("渠道", "渠道名称"),
    "address": ("地址", "号码", "手机号", "手机号码", "终端地址"),
    "region": ("区划", "区划代码", "行政区划代码", "所在区划", "region_code"),
    "recipient": ("受众", "受众编号", "人员编号"),
    "covers": ("覆盖人数", "人数", "覆盖人口"),
    "audiences": ("人群", "受众组", "分组", "audience"),
    "language": ("语言", "语种"),
    "name": ("姓名", "名称"),
    "post": ("职务", "岗位", "责任"),
}
"""Our columns and the other headings they may bear."""

COLUMNS = ("endpoint", "channel", "address", "region", "recipient", "covers", "audiences", "language", "name", "post")


@dataclass(slots=True)
class _Check:
    """What rows are held against: the tree, the configured channels, and the rows before them."""

    tree: Tree | None
    channels: Collection[str] | None
    endpoints: set[str] = field(default_factory=set)
    regions: dict[str, bool] = field(default_factory=dict)

    def __call__(self, row: Row, endpoint: DirectoryRow) -> None:
        if endpoint.endpoint in self.endpoints:
            row.blame("endpoint", "twice")
        self.endpoints.add(endpoint.endpoint)
        if self.channels is not None and endpoint.channel not in self.channels:
            row.blame("channel", "channel_unknown")
        if endpoint.region and not self.knows(endpoint.region):
            row.blame("region", "region_unknown")

    def knows(self, code: str) -> bool:
        """Is there such a region, or one that stands in for it?"""
        known = self.regions.get(code)
        if known is None:
            known = self.regions[code] = self.tree is None or self.tree.locate(code)[0] is not None
        return known


def scan_directory(
    path: Path,
    mapping: Mapping[str, str] | None = None,
    tree: Tree | None = None,
    channels: Collection[str] | None = None,
) -> Iterator[DirectoryRow | Problem]:
    """Every row of a file, or the problems of one that cannot be used. `tree` and `channels` (None = unchecked) must know
    the regions and channels named."""
    check = _Check(tree, channels)
    for row in open_table(path, HEADING, ("endpoint", "channel", "address", "region"), mapping).rows():
        endpoint = _endpoint(row)
        check(row, endpoint)
        if row.problems:
            yield from row.problems
        else:
            yield endpoint


def read_directory(
    path: Path,
    mapping: Mapping[str, str] | None = None,
    tree: Tree | None = None,
    channels: Collection[str] | None = None,
) -> Loaded[DirectoryRow]:
    """All rows of a file at once."""
    rows: list[DirectoryRow] = []
    problems: list[Problem] = []
    for found in scan_directory(path, mapping, tree, channels):
        if isinstance(found, Problem):
            problems.append(found)
        else:
            rows.append(found)
    return Loaded(str(path), tuple(rows), tuple(problems))


def write_directory(rows: Iterable[DirectoryRow]) -> Iterator[str]:
    """The directory as CSV, line by line: what `read_directory` reads back unchanged."""
    return csv_text(COLUMNS, (_cells(row) for row in rows))


def _endpoint(row: Row) -> DirectoryRow:
    recipient = row.take("recipient", fields.undamaged, "")
    return DirectoryRow(
        endpoint=row.need("endpoint", fields.undamaged, ""),
        channel=row.need("channel", fields.undamaged, ""),
        address=row.need("address", fields.undamaged, ""),
        region=row.need("region", fields.division, ""),
        recipient=recipient,
        covers=row.take("covers", fields.positive if recipient else fields.whole, 1),
        audiences=row.take("audiences", fields.names, ()),
        language=row.take("language", fields.language, ""),
        name=row.take("name", fields.undamaged, ""),
        post=row.take("post", fields.undamaged, ""),
    )


def _cells(row: DirectoryRow) -> tuple[str, ...]:
    return (
        row.endpoint,
        row.channel,
        row.address,
        row.region,
        row.recipient,
        str(row.covers),
        ";".join(row.audiences),
        row.language,
        row.name,
        row.post,
    )
