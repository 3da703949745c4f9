"""Coverage's values: what a channel's receipts prove, how endpoints ended, integer counts per leaf, and the three shares.

The law that joins them stands in `gateway.rules` (merging, measuring, folding, evaluating); `docs/coverage.md` tells it to
forecasters. Nothing here computes a share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.model.receipt import Level

Number = float | Fraction
"""A share or a number of people: `float` in the running gateway, `Fraction` in an exact evaluation."""

Column = NDArray[Any]
"""One value per row (leaf): int64 or float64 in the running gateway, Python integers and Fractions in an exact evaluation."""


class Verdict(StrEnum):
    """What a triple says about a goal (the words of the console and of the API)."""

    MET_CONFIRMED = "met_confirmed"
    MET_ESTIMATED = "met_estimated"
    POSSIBLE = "possible"
    GAP = "gap"
    NO_TARGET = "no_target"


class Outcome(IntEnum):
    """Where one endpoint stands. Only PENDING, HANDED and REACHED can add to a share; they are numbered as in `Heard`.

    UNPLANNED: no dispatch holds it. FAILED: the far side gave up. LATE: its first proof came after the cutoff.
    ENDED: not handed over by the cutoff.
    """

    UNPLANNED = 0
    PENDING = 1
    HANDED = 2
    REACHED = 3
    FAILED = 4
    LATE = 5
    ENDED = 6


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one channel's receipts prove about people.

    kind: `addressed` (a person behind each address), `device` (people around it), `area` (a reach), `counted` (the far side
    counts). count_level: the level that counts as reached. q: chance that what was handed over arrived, while nothing is
    known. hear_*: share of a device's people who hear it. reach_*: share of an area's people whom it reaches.
    failure_domain: `power`, `mobile`, ... or "". share_res: share of counted contacts that are residents; unique: the count
    names distinct persons.
    """

    kind: str = "addressed"
    count_level: Level = Level.DELIVERED
    q: Number = 0.0
    hear_lo: Number = 1.0
    hear_est: Number = 1.0
    hear_hi: Number = 1.0
    reach_lo: Number = 0.0
    reach_est: Number = 0.0
    reach_hi: Number = 1.0
    failure_domain: str = ""
    share_res: Number = 0.8
    unique: bool = False


class Triple(NamedTuple):
    """有回执 / 估计 / 可能: shares 0..1 (or people), lo <= est <= hi; each a number or a column."""

    lo: Any
    est: Any
    hi: Any


class Heard(NamedTuple):
    """Devices: people around those reached, handed over, pending. Area sends: how many sends in each state."""

    reached: Column
    handed: Column
    pending: Column

    def take(self, rows: Column) -> Heard:
        """The same for some rows."""
        return Heard(self.reached[rows], self.handed[rows], self.pending[rows])


class Told(NamedTuple):
    """What a counting far side told: contacts sent and ok, and the target people `base` of the area it counted.

    `base` 0 = this leaf is not in such an area; `own` 1 = the area is this leaf alone; `pending` 1 = no count yet.
    """

    sent: Column
    ok: Column
    base: Column
    own: Column
    pending: Column

    def take(self, rows: Column) -> Told:
        """The same for some rows."""
        return Told(*(column[rows] for column in self))


@dataclass(frozen=True, slots=True, eq=False)
class LeafCounts:
    """Counts of leaf regions, one row each, all in the same unit (millionths of people in the running gateway).

    people: target people P > 0. reached, pending: weight of persons with a receipt, with nothing but pending addresses.
    handed: weight of persons by their channels still without outcome (sorted names, one for each address).
    answered: weight of persons who answered (read or acknowledged). devices, sends: by channel. told: by channel and layer.
    """

    people: Column
    reached: Column
    pending: Column
    answered: Column
    handed: Mapping[tuple[str, ...], Column] = field(default_factory=dict)
    devices: Mapping[str, Heard] = field(default_factory=dict)
    sends: Mapping[str, Heard] = field(default_factory=dict)
    told: Mapping[tuple[str, int], Told] = field(default_factory=dict)

    def take(self, rows: Column) -> LeafCounts:
        """The counts of some rows only."""
        return LeafCounts(
            self.people[rows],
            self.reached[rows],
            self.pending[rows],
            self.answered[rows],
            {key: column[rows] for key, column in self.handed.items()},
            {name: heard.take(rows) for name, heard in self.devices.items()},
            {name: heard.take(rows) for name, heard in self.sends.items()},
            {key: told.take(rows) for key, told in self.told.items()},
        )

    def with_receipt(self) -> NDArray[np.bool_]:
        """bool[rows]: has this leaf at least one receipted source (address or device)?"""
        found = self.reached > 0
        for heard in self.devices.values():
            found = found | (heard.reached > 0)
        return found.astype(bool)


@dataclass(frozen=True, slots=True)
class RegionCoverage:
    """Coverage of one region: the triple, in shares and in people; all None where there are no target people."""

    target: Number | None
    share: Triple
    people: Triple
    answered: Number | None
    leaves_total: int
    leaves_reached: int


NO_COVERAGE = RegionCoverage(None, Triple(None, None, None), Triple(None, None, None), None, 0, 0)
"""A region without target people: no number, never 0 % and never 100 %."""
