"""Where the regions of a directory stand towards the targets of one alert. Called by enrolling and its side rooms only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.model.region import Region
from gateway.model.roster import PPM, RosterLeaf
from gateway.rules.targeting import Targets
from gateway.rules.tree import Tree

UNPLACED = "未分村"
"""The name of the leaf that holds people whose village is not known (coverage.md §1.6)."""


class Place(NamedTuple):
    """A region as written in the directory: ours or None, and the range of its leaves in the tree."""

    region: Region | None
    leaves: range


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """The targeted leaves of one alert, numbered for its roster, and every region of the directory placed among them.

    leaves: the roster's leaves so far; number: int32[leaves of the tree], roster number or -1;
    by region of the directory: places, known, leaf (int32: roster number, -1 = above the leaves or not targeted),
    whole and partly (bool: above the leaves and all, or only some, of its leaves targeted), touched (bool: any leaf targeted).
    """

    tree: Tree
    leaves: tuple[RosterLeaf, ...]
    number: NDArray[np.int32]
    places: tuple[Place, ...]
    known: NDArray[np.bool_]
    leaf: NDArray[np.int32]
    whole: NDArray[np.bool_]
    partly: NDArray[np.bool_]
    touched: NDArray[np.bool_]

    @classmethod
    def of(cls, targets: Targets, regions: tuple[str, ...]) -> Ground:
        """Number the targeted leaves and place the directory's regions."""
        tree, union = targets.tree, targets.union
        targeted = np.flatnonzero(union)
        number = np.full(len(tree.leaves), -1, dtype=np.int32)
        number[targeted] = np.arange(len(targeted), dtype=np.int32)
        places = tuple(_place(tree, code) for code in regions)
        first = np.array([place.leaves.start for place in places], dtype=np.int64)
        last = np.array([place.leaves.stop for place in places], dtype=np.int64)
        is_leaf = np.array(
            [place.region is not None and tree.is_leaf(place.region.code) for place in places], dtype=bool
        )
        some = np.concatenate([[0], np.cumsum(union > 0)])
        all_of = np.concatenate([[0], np.cumsum(union == PPM)])
        touched = some[last] > some[first]
        whole = touched & ~is_leaf & (all_of[last] - all_of[first] == last - first)
        padded = np.append(number, np.int32(-1))
        return cls(
            tree,
            tuple(_roster_leaf(tree.leaves[leaf], int(union[leaf])) for leaf in targeted.tolist()),
            number,
            places,
            known=last > first,
            leaf=np.where(is_leaf, padded[first], np.int32(-1)).astype(np.int32),
            whole=whole,
            partly=touched & ~is_leaf & ~whole,
            touched=touched,
        )

    def holds(self, region: NDArray[np.int32], person: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """bool[n]: is this endpoint in the target? A person: in a targeted leaf, or in a region targeted whole. A device: it
        serves any targeted leaf."""
        if not len(region):
            return np.zeros(0, dtype=bool)
        people = (self.leaf >= 0) | self.whole
        return np.where(person, people[region], self.touched[region])

    def with_pseudo_leaves(self, regions: NDArray[np.int32]) -> Ground:
        """The same ground with a leaf 未分村 for each of these regions of the directory that lies above the leaves."""
        above = [number for number in np.unique(regions).tolist() if self.leaf[number] < 0]
        leaves, leaf, numbers = list(self.leaves), self.leaf.copy(), dict[str, int]()
        for number in above:
            region = self.places[number].region
            if region is None:
                continue
            if region.code not in numbers:
                numbers[region.code] = len(leaves)
                leaves.append(RosterLeaf(region.code, UNPLACED, _rest(self.tree, region), pseudo=True))
            leaf[number] = numbers[region.code]
        return replace(self, leaves=tuple(leaves), leaf=leaf)


def _place(tree: Tree, code: str) -> Place:
    region, _ = tree.locate(code)
    return Place(region, tree.leaf_range(region.code) if region else range(0))


def _roster_leaf(region: Region, share: int) -> RosterLeaf:
    people = None if region.population is None else region.population * share
    return RosterLeaf(region.code, region.name, people)


def _rest(tree: Tree, region: Region) -> int | None:
    """The people of a region who live in none of its leaves, in millionths; None where the figures do not say (or contradict)."""
    below = [leaf.population for leaf in tree.leaves_of(region.code)]
    if region.population is None or any(people is None for people in below):
        return None
    rest = region.population - sum(people or 0 for people in below)
    return rest * PPM if rest > 0 else None
