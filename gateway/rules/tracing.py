"""Tracing: how receipted coverage rose, from which the time to a goal follows.

For each leaf a step wherever a receipt raised it; a region's curve adds its leaves' steps. Called by the live Book and by the
evaluation, with the same `receipted` as everything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.model.coverage import Column, Heard, LeafCounts, Told
from gateway.rules.measuring import TOLERANCE, Channels, Kind, receipted


class Gain(NamedTuple):
    """Amounts that became receipted: leaf row, time, and weight, people around a device, sends, or contacts."""

    leaf: Column
    at: Column
    amount: Column


@dataclass(frozen=True, slots=True)
class Gains:
    """All gains of an alert, by source. `told` carries beside the gain its columns base and own, one value per leaf."""

    persons: Gain
    devices: Mapping[str, Gain] = field(default_factory=dict)
    sends: Mapping[str, Gain] = field(default_factory=dict)
    told: Mapping[tuple[str, int], tuple[Gain, Column, Column]] = field(default_factory=dict)

    def all(self) -> Sequence[Gain]:
        """Every gain, whatever its source."""
        counted = [gain for gain, _, _ in self.told.values()]
        return [self.persons, *self.devices.values(), *self.sends.values(), *counted]


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Steps of lo, in order of leaf and time: `leaf` row, `rank` of the time in `instants`, people gained by the step."""

    instants: Column
    leaf: NDArray[np.int64]
    rank: NDArray[np.int64]
    gained: Column

    def rise(self, leaves: NDArray[np.bool_]) -> tuple[Column, Column]:
        """(times, people receipted from then on) of a set of leaves, in order of time. leaves: bool[rows of leaves]."""
        chosen = np.flatnonzero(leaves[self.leaf])
        order = chosen[np.argsort(self.rank[chosen], kind="stable")]
        heights, ranks = np.cumsum(self.gained[order]), self.rank[order]
        last = np.append(ranks[1:] != ranks[:-1], True)[: len(ranks)]
        return self.instants[ranks[last]], np.maximum.accumulate(heights[last])


def trace(people: Column, gains: Gains, evidence: Channels, number: Kind) -> Trace:
    """The steps of lo for leaves with `people` (in the unit of the gains' amounts)."""
    every = gains.all()
    instants = _distinct(np.concatenate([gain.at for gain in every]))
    width = max(1, len(instants))

    def place(gain: Gain) -> Column:
        return gain.leaf.astype(np.int64) * width + np.searchsorted(instants, gain.at)

    rows = _distinct(np.concatenate([place(gain) for gain in every]))
    leaf, rank = rows // width, rows % width

    def grown(gain: Gain) -> Column:
        amounts = np.zeros(len(rows), dtype=gain.amount.dtype)
        np.add.at(amounts, np.searchsorted(rows, place(gain)), gain.amount)
        return _cumulated(amounts, leaf)

    def heard(gain: Gain) -> Heard:
        column = grown(gain)
        return Heard(column, np.zeros_like(column), np.zeros_like(column))

    persons = grown(gains.persons)
    nothing = np.zeros_like(persons)
    counts = LeafCounts(
        people[leaf],
        persons,
        nothing,
        nothing,
        devices={name: heard(gain) for name, gain in gains.devices.items()},
        sends={name: heard(gain) for name, gain in gains.sends.items()},
        told={
            key: Told(nothing, grown(gain), base[leaf], own[leaf], nothing)
            for key, (gain, base, own) in gains.told.items()
        },
    )
    return Trace(instants, leaf, rank, _gained(receipted(counts, evidence, number), people[leaf], leaf, number))


def _distinct(values: Column) -> Column:
    """Each value once, rising."""
    ordered = np.sort(values, kind="stable")
    first = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    distinct: Column = ordered[first.astype(bool)]
    return distinct


def _cumulated(amounts: Column, leaf: Column) -> Column:
    """Running sums that start anew with each leaf."""
    sums = np.cumsum(amounts)
    first = np.searchsorted(leaf, leaf)
    running: Column = sums - (sums[first] - amounts[first])
    return running


def _gained(lo: Column, people: Column, leaf: Column, number: Kind) -> Column:
    """People that each step adds to its leaf's receipted people."""
    before = np.zeros_like(lo)
    before[1:] = np.where(leaf[1:] == leaf[:-1], lo[:-1], 0)
    heads = people.astype(float) if number is float else people
    gained: Column = heads * (lo - before)
    return gained


def first_reaching(times: Column, heights: Column, target: Any, q: Any) -> Any | None:
    """The first time at which `heights` reach q of `target` people, or None. `heights` never fall."""
    goal = q * target - (TOLERANCE * float(target) if heights.dtype != object else 0)
    found = int(np.searchsorted(heights, goal))
    return times[found] if found < len(times) else None
