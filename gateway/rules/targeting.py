"""Whom an alert means: from the areas its sender wrote to leaves of our tree, each with the share that is targeted.

Called by intake and by preview; `gateway.rules.enrolling` makes the roster of it. Pure. Geocodes, polygons and circles of an
area add up (CAP 1.2 §3.2.4: "the area is the union"); a description alone is never guessed at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gateway.model.alert import Alert, Area, Finding, Info, NameValue
from gateway.model.region import NamedArea, Region
from gateway.model.roster import PPM
from gateway.rules.divisions import is_division_scheme, normal, split
from gateway.rules.locating import Shares
from gateway.rules.remarks import Remarks, remark
from gateway.rules.tree import Tree

AREA_SCHEME = "tongluo:area"
"""The geocode name that points at a named area by its id."""


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What the areas of an alert resolve to, over the leaves of `tree` (the very tree that resolved them).

    infos: int32[leaves] for each info, the share of each leaf in millionths; union: the same for all infos together;
    unresolved: the description of every area that matches no region of ours (an alert with any is held).
    """

    tree: Tree
    infos: tuple[Shares, ...]
    union: Shares
    findings: tuple[Finding, ...] = ()
    unresolved: tuple[str, ...] = ()

    @property
    def codes(self) -> frozenset[str]:
        """The codes of all targeted leaves: what a source must be allowed to speak to."""
        return frozenset(self.tree.leaves[number].code for number in np.flatnonzero(self.union))

    def shares(self, info: int | None = None) -> dict[str, int]:
        """Share in millionths by leaf code, of one info or of all together."""
        column = self.union if info is None else self.infos[info]
        return {self.tree.leaves[number].code: int(column[number]) for number in np.flatnonzero(column)}

    def summits(self, info: int | None = None) -> tuple[Region, ...]:
        """The fewest regions that say the target: those wholly inside it, and the leaves that are partly inside."""
        column = self.union if info is None else self.infos[info]
        return tuple(_summits(self.tree, column))


@dataclass(frozen=True, slots=True)
class Atlas:
    """What a sender's words are looked up in: our tree, the named areas by id, and whose message it is."""

    tree: Tree
    areas: Mapping[str, NamedArea]
    source: str = ""

    def area(self, value: str) -> NamedArea | None:
        """The named area of that id, or of that name on the source's own list; None if there is none in force."""
        named = self.areas.get(value.strip())
        return named if named and self._in_force(named) else self.own(value)

    def own(self, name: str) -> NamedArea | None:
        """The area of that name on the source's own list."""
        if not self.source or not name.strip():
            return None
        own = (area for area in self.areas.values() if area.owner == self.source and area.name == name.strip())
        return next((area for area in own if self._in_force(area)), None)

    def _in_force(self, named: NamedArea) -> bool:
        return not (self.tree.today and named.valid_to and named.valid_to < self.tree.today)


class Resolved(NamedTuple):
    """What one area resolves to: shares over the tree's leaves (all 0 = unresolved) and findings."""

    shares: Shares
    findings: tuple[Finding, ...]


def resolve(alert: Alert, tree: Tree, areas: Mapping[str, NamedArea], source: str = "") -> Targets:
    """Resolve every area of every info. `areas` are the named areas by id; `source` the poster's name.

    An info without any area targets nothing and counts as unresolved.
    """
    atlas = Atlas(tree, areas, source)
    infos: list[Shares] = []
    findings: list[Finding] = []
    unresolved: list[str] = []
    for number, info in enumerate(alert.infos, 1):
        infos.append(_resolve_info(info, atlas, f"/alert/info[{number}]", findings, unresolved))
    return Targets(tree, tuple(infos), _together(alert.infos, infos, tree), tuple(findings), tuple(unresolved))


def _resolve_info(info: Info, atlas: Atlas, xpath: str, findings: list[Finding], unresolved: list[str]) -> Shares:
    """The union of the areas of one info; what there is to say about them goes into the two lists."""
    union = _nothing(atlas.tree)
    for place, area in enumerate(info.areas, 1):
        resolved = resolve_area(area, atlas, f"{xpath}/area[{place}]")
        findings += resolved.findings
        if not resolved.shares.any():
            unresolved.append(area.desc)
        np.maximum(union, resolved.shares, out=union)
    if not info.areas:
        unresolved.append("")
        findings.append(remark("area_unresolved", xpath))
    return _remeasured(union, info.areas, atlas.tree)


def resolve_area(area: Area, atlas: Atlas, xpath: str = "/alert/info/area") -> Resolved:
    """The leaves that one area means: the union of its geocodes, polygons and circles."""
    remarks = Remarks()
    shares = _nothing(atlas.tree)
    for geocode in area.geocodes:
        _add_geocode(shares, geocode, atlas, remarks)
    np.maximum(shares, _by_shape(area, atlas.tree, remarks), out=shares)
    if not shares.any() and (named := atlas.own(area.desc)):
        remarks.add("named_area_used", named.name)
        _add_codes(shares, named.members, atlas.tree, remarks)
    if area.lost:
        remarks.add("area_target_lost", area.desc)
    if not shares.any():
        remarks.add("area_unresolved", area.desc)
    return Resolved(shares, remarks.findings(xpath))


def _nothing(tree: Tree) -> Shares:
    return np.zeros(len(tree.leaves), dtype=np.int32)


def _add_geocode(shares: Shares, geocode: NameValue, atlas: Atlas, remarks: Remarks) -> None:
    """Add what one geocode means: a named area, or one or more division codes."""
    if geocode.name.strip().casefold() == AREA_SCHEME:
        if named := atlas.area(geocode.value):
            _add_codes(shares, named.members, atlas.tree, remarks)
        else:
            remarks.add("named_area_unknown", geocode.value)
    elif is_division_scheme(geocode.name):
        _add_codes(shares, split(geocode.value), atlas.tree, remarks)
    else:
        remarks.add("geocode_scheme_unknown", f"{geocode.name}={geocode.value}")


def _add_codes(shares: Shares, codes: Iterable[str], tree: Tree, remarks: Remarks) -> None:
    """Add all leaves of each division code."""
    for code in codes:
        region, by_prefix = tree.locate(code)
        if region is None:
            remarks.add("region_unknown" if normal(code) else "geocode_malformed", code)
        elif not (leaves := tree.leaf_range(region.code)):
            remarks.add("region_expired", f"{code} {region.name}")
        else:
            shares[leaves.start : leaves.stop] = PPM
            if by_prefix:
                remarks.add("region_prefix_used", f"{code} → {region.code} {region.name}")


def _by_shape(area: Area, tree: Tree, remarks: Remarks) -> Shares:
    """The leaves inside the area's polygons and circles, and those that hold its points (circles of radius 0)."""
    if not area.polygons and not area.circles:
        return _nothing(tree)
    shares = tree.locator.cover(area.polygons, area.circles)
    for lat, lon in dict.fromkeys((circle.lat, circle.lon) for circle in area.circles if circle.radius <= 0):
        held, metres = tree.locator.holding(lat, lon)
        shares[held] = PPM
        if metres > 0:
            remarks.add("point_matched_nearest", f"{tree.leaves[held[0]].name} {metres / 1000:.1f} km")
    for number in np.flatnonzero((shares > 0) & tree.locator.borrowed):
        remarks.add("region_located_by_ancestor", tree.leaves[number].name)
    if not shares.any():
        remarks.add("shape_outside_regions", area.desc)
    return shares


def _together(infos: Sequence[Info], columns: Sequence[Shares], tree: Tree) -> Shares:
    """The union of the infos."""
    if not columns:
        return _nothing(tree)
    union: Shares = np.maximum.reduce(list(columns))
    return _remeasured(union, [area for info in infos for area in info.areas], tree)


def _remeasured(union: Shares, areas: Sequence[Area], tree: Tree) -> Shares:
    """Leaves that several areas cut in part are measured again, against all their shapes at once."""
    if len(areas) < 2 or not np.any((union > 0) & (union < PPM)):
        return union
    polygons = [polygon for area in areas for polygon in area.polygons]
    circles = [circle for area in areas for circle in area.circles]
    return np.where(union > 0, np.maximum(union, tree.locator.cover(polygons, circles)), 0).astype(np.int32)


def _summits(tree: Tree, column: Shares) -> list[Region]:
    """Walk down from the roots and stop where everything below is inside. An only child speaks for itself: a county that stands
    alone in our tree is never called its province."""
    whole = np.concatenate([[0], np.cumsum(column == PPM)])
    touched = np.concatenate([[0], np.cumsum(column > 0)])
    found: list[Region] = []
    todo = list(reversed(tree.roots))
    while todo:
        region = todo.pop()
        leaves = tree.leaf_range(region.code)
        if touched[leaves.stop] == touched[leaves.start]:
            continue
        children = tree.children(region.code)
        inside = whole[leaves.stop] - whole[leaves.start] == len(leaves)
        if not children or (inside and len(children) > 1):
            found.append(region)
        else:
            todo.extend(reversed(children))
    return found
