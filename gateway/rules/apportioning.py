"""Whose people a device covers: its number split over the leaves it serves. Only `gateway.rules.enrolling` calls it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.model.directory import DEVICE, DirectoryColumns
from gateway.model.region import Region
from gateway.rules.grounding import Ground


class Catchments(NamedTuple):
    """int32[k] each: endpoint (its ordinal), leaf (its roster number) and people; ordered by endpoint, then leaf."""

    endpoint: NDArray[np.int32]
    leaf: NDArray[np.int32]
    people: NDArray[np.int32]

    @classmethod
    def of(cls, ground: Ground, directory: DirectoryColumns, chosen: NDArray[np.int64]) -> Catchments:
        """The catchments of the devices among the chosen endpoints.

        A device above the leaves is split over all leaves of its region; then only the targeted ones are kept, so that
        the people of the others are not counted.
        """
        devices = np.flatnonzero(directory.recipient[chosen] == DEVICE)
        region, covers = directory.region[chosen[devices]], directory.covers[chosen[devices]]
        leaf = ground.leaf[region] if len(region) else np.zeros(0, dtype=np.int32)
        at_leaf = leaf >= 0
        parts = [(devices[at_leaf], leaf[at_leaf], covers[at_leaf])]
        for ordinal, place, people in zip(devices[~at_leaf], region[~at_leaf], covers[~at_leaf], strict=True):
            numbers, shares = _split(ground, int(place), int(people))
            parts.append((np.full(len(numbers), ordinal), numbers, shares))
        endpoint, leaf, people = (np.concatenate(column).astype(np.int32) for column in zip(*parts, strict=True))
        order = np.lexsort((leaf, endpoint))
        return cls(endpoint[order], leaf[order], people[order])


def _split(ground: Ground, place: int, people: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Roster numbers of the targeted leaves of a region, and the device's people in each."""
    span = ground.places[place].leaves
    shares = apportion(people, weights(ground.tree.leaves[span.start : span.stop]))
    numbers = ground.number[span.start : span.stop]
    targeted = numbers >= 0
    return numbers[targeted], shares[targeted].astype(np.int32)


def weights(leaves: tuple[Region, ...]) -> NDArray[np.int64]:
    """What each leaf weighs in a split: its population, the rounded mean of the known ones if unknown, 1 if none is known."""
    known = [leaf.population for leaf in leaves if leaf.population is not None]
    if not sum(known):
        return np.ones(len(leaves), dtype=np.int64)
    mean = max(1, round(sum(known) / len(known)))
    return np.array([mean if leaf.population is None else leaf.population for leaf in leaves], dtype=np.int64)


def apportion(people: int, weight: NDArray[np.int64]) -> NDArray[np.int64]:
    """Whole people by weight with the largest remainder; equal remainders go to the first. The sum is exactly `people`."""
    total = int(weight.sum())
    if not total:
        return np.zeros(len(weight), dtype=np.int64)
    shares, remainders = np.divmod(weight * people, total)
    left = people - int(shares.sum())
    shares[np.argsort(-remainders, kind="stable")[:left]] += 1
    return shares
