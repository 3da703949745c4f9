"""The tree of our regions: find one by any spelling of its code, its parents, its children and its leaves.

Built by the composition root from reference data and shared by targeting, coverage and the pages. Leaves are numbered in the
order of a walk through the tree, so that the leaves of any region are one range of numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from shapely.geometry.base import BaseGeometry

from gateway.errors import ConfigError
from gateway.model.region import Region, RegionLevel
from gateway.rules.divisions import normal, shorter, significant
from gateway.rules.locating import Locator, Standing


def key(code: str) -> str:
    """What all spellings of a region's code share; a code that is no division code stands for itself."""
    digits = normal(code)
    return significant(digits) if digits else code.strip()


class Tree:
    """Regions that are valid on the day `today` (ISO date; "" = all of them), as a forest. Never changes: build a new one.

    `boundaries`: a polygon in (longitude, latitude) by region code, for those regions that have one. A region whose parent
    is not valid hangs on the nearest valid ancestor. Raises ConfigError if parents go round in a circle.
    """

    def __init__(
        self, regions: Iterable[Region], boundaries: Mapping[str, BaseGeometry] | None = None, today: str = ""
    ) -> None:
        self.today = today
        self._known = {key(region.code): region for region in regions}
        self._aliases = {key(alias): own for own, region in self._known.items() for alias in region.aliases}
        self._parent = {own: self._valid_parent(own) for own, region in self._known.items() if self.valid(region)}
        self._children = self._by_parent()
        self._range: dict[str, range] = {}
        self.leaves: tuple[Region, ...] = tuple(self._walk())
        self._boundaries = {key(code): shape for code, shape in (boundaries or {}).items()}

    def valid(self, region: Region) -> bool:
        """Is the region in force on the tree's day (its last day included)?"""
        if not self.today:
            return True
        return region.valid_from <= self.today and (not region.valid_to or self.today <= region.valid_to)

    def find(self, code: str) -> Region | None:
        """The region of a code in any spelling, or of a former code; None if we have none. It may be out of force."""
        own = key(code)
        return self._known.get(own) or self._known.get(self._aliases.get(own, ""))

    def locate(self, code: str) -> tuple[Region | None, bool]:
        """The region of a code and whether only its longest known prefix was found.

        A prefix stands in where our tree is simply not that deep: a county or deeper, or a region without children. An unknown
        county never widens to its whole city or province.
        """
        if region := self.find(code):
            return region, False
        digits = normal(code)
        for prefix in shorter(digits) if digits else ():
            if region := self.find(prefix):
                deep = region.level >= RegionLevel.COUNTY or not self.children(region.code)
                return (region, True) if deep else (None, False)
        return None, False

    def named(self, name: str) -> tuple[Region, ...]:
        """All valid regions of that name, present or former. To show people a choice; nothing is ever targeted by name."""
        return tuple(
            region
            for own, region in self._known.items()
            if own in self._parent and name in (region.name, *region.aliases)
        )

    def parent(self, code: str) -> Region | None:
        """The region this one hangs on, or None."""
        above = self._parent.get(self._own(code))
        return self._known[above] if above else None

    def chain(self, code: str) -> tuple[Region, ...]:
        """The region itself and what holds it, up to the root; empty if unknown."""
        region, found = self.find(code), []
        while region:
            found.append(region)
            region = self.parent(region.code)
        return tuple(found)

    def children(self, code: str) -> tuple[Region, ...]:
        """The regions directly below, by code."""
        return tuple(self._known[child] for child in self._children.get(self._own(code), ()))

    @property
    def roots(self) -> tuple[Region, ...]:
        """The regions without a parent, by code."""
        return tuple(self._known[root] for root in self._children.get(None, ()))

    def leaf_range(self, code: str) -> range:
        """The numbers in `leaves` of a region's leaves (of itself without children); empty if unknown or out of force."""
        return self._range.get(self._own(code), range(0))

    def leaves_of(self, code: str) -> tuple[Region, ...]:
        """The leaves below a region, itself if it has no children."""
        numbers = self.leaf_range(code)
        return self.leaves[numbers.start : numbers.stop]

    def is_leaf(self, code: str) -> bool:
        """Has the region no valid children?"""
        return not self._children.get(self._own(code))

    def county_of(self, code: str) -> Region | None:
        """The county that holds a region, or is it; None above counties."""
        return next((region for region in self.chain(code) if region.level is RegionLevel.COUNTY), None)

    def languages_of(self, code: str) -> tuple[str, ...]:
        """The languages of the nearest region upward that names any."""
        return next((region.languages for region in self.chain(code) if region.languages), ())

    def goal_of(self, code: str) -> int | None:
        """The goal in basis points of the nearest region upward that has one (coverage.md §1.6)."""
        return next((region.goal_bp for region in self.chain(code) if region.goal_bp is not None), None)

    @cached_property
    def locator(self) -> Locator:
        """Where the leaves lie; made when the first polygon or circle comes."""
        return Locator([self._standing(leaf) for leaf in self.leaves])

    def __iter__(self) -> Iterator[Region]:
        """All valid regions, parents before children."""
        return (self._known[own] for own in self._range)

    def __len__(self) -> int:
        return len(self._range)

    def _own(self, code: str) -> str:
        region = self.find(code)
        return key(region.code) if region else ""

    def _valid_parent(self, own: str) -> str | None:
        """The key of the nearest valid ancestor by the `parent` column."""
        seen = {own}
        above = self._named_parent(own)
        while above and not self.valid(self._known[above]):
            if above in seen:
                return None
            seen.add(above)
            above = self._named_parent(above)
        return above

    def _named_parent(self, own: str) -> str | None:
        parent = self._known[own].parent
        if not parent:
            return None
        above = key(parent)
        above = above if above in self._known else self._aliases.get(above, "")
        return above or None

    def _by_parent(self) -> dict[str | None, list[str]]:
        children: dict[str | None, list[str]] = {}
        for own in sorted(self._parent):
            children.setdefault(self._parent[own], []).append(own)
        return children

    def _walk(self) -> Iterator[Region]:
        """Number the leaves depth first and note the range of each region."""
        first: dict[str, int] = {}
        count = 0
        todo: list[tuple[str, bool]] = [(root, False) for root in reversed(self._children.get(None, []))]
        while todo:
            own, done = todo.pop()
            if done:
                self._range[own] = range(first[own], count)
                continue
            first[own] = count
            self._range[own] = range(count, count)
            below = self._children.get(own, [])
            todo.append((own, True))
            todo.extend((child, False) for child in reversed(below))
            if not below:
                count += 1
                yield self._known[own]
        if len(self._range) != len(self._parent):
            lost = sorted(set(self._parent) - set(self._range))
            raise ConfigError("regions", f"parents go round in a circle at {', '.join(lost[:5])}.", "Correct `parent`.")

    def _standing(self, leaf: Region) -> Standing:
        """Where a leaf lies: its boundary, and its own point or that of the nearest region upward that has one."""
        boundary = self._boundaries.get(key(leaf.code))
        for region in self.chain(leaf.code):
            borrowed = region is not leaf and boundary is None
            if region.lat is not None and region.lon is not None:
                return Standing(leaf.level, region.lat, region.lon, boundary, borrowed)
            if (shape := self._boundaries.get(key(region.code))) is not None:
                inside = shape.representative_point()
                return Standing(leaf.level, inside.y, inside.x, boundary, borrowed)
        return Standing(leaf.level)
