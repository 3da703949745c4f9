"""Tallying: integer counts per leaf, kept up to date from changes of endpoints' outcomes.

The live Book tells the `Tally` which endpoints changed; the Tally moves weights between classes of evidence and remembers
which leaves to measure again. A class of persons is the set of channels that have not answered yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.model.coverage import Column, Evidence, Heard, LeafCounts, Outcome, Told
from gateway.model.roster import PPM, Roster

NOTHING, REACHED, PENDING = -2, -1, 0
"""Classes of a person without an open hand-over; any class above is a packed count of handed addresses per channel."""


class Tally:
    """Counts of one roster. All columns are indexed by leaf number; weights are whole people."""

    def __init__(self, roster: Roster, evidence: Sequence[Evidence]) -> None:
        """`evidence` runs parallel to `roster.channels`. Everything starts as unplanned."""
        self.roster, self.evidence = roster, evidence
        self.micro_people = np.array([leaf.micro_people or 0 for leaf in roster.leaves], dtype=np.int64)
        self.dirty = self.micro_people > 0
        self._pack()
        self._open_persons()
        self._open_catchments()

    def _pack(self) -> None:
        """Find room in one integer for the number of handed addresses of a person on each addressed channel."""
        person, channel = self.roster.endpoint_person, self.roster.endpoint_channel
        shift, self._shifts = 0, {}
        for number, evidence in enumerate(self.evidence):
            holders = person[(channel == number) & (person >= 0)]
            if evidence.kind == "addressed" and len(holders):
                bits = int(np.bincount(holders).max()).bit_length()
                self._shifts[number] = (shift, bits)
                shift += bits
        self._key_type = np.dtype(np.int64 if shift <= 62 else object)
        places = [1 << self._shifts[number][0] if number in self._shifts else 0 for number in range(len(self.evidence))]
        self._place = np.array(places, dtype=self._key_type)

    def _open_persons(self) -> None:
        persons, leaves = self.roster.persons, len(self.roster.leaves)
        self._reached = np.zeros(persons, dtype=np.int32)
        self._pending = np.zeros(persons, dtype=np.int32)
        self._answers = np.zeros(persons, dtype=np.int32)
        self._key = np.zeros(persons, dtype=self._key_type)
        self._class = np.zeros(persons, dtype=np.int32)
        self._classes: dict[int, int] = {NOTHING: 0}
        self._weights = np.zeros((4, leaves), dtype=np.int64)
        np.add.at(self._weights[0], self.roster.person_leaf, self.roster.person_weight)
        self.registered = self._weights[0].copy()
        self._answered = np.zeros(leaves, dtype=np.int64)

    def _open_catchments(self) -> None:
        """Sort catchment rows by endpoint, so that an endpoint's rows are a range."""
        order = np.argsort(self.roster.catch_endpoint, kind="stable")
        endpoint = self.roster.catch_endpoint[order]
        self.catch_leaf, catch_people = self.roster.catch_leaf[order], self.roster.catch_people[order]
        every = np.arange(self.roster.endpoints)
        self._catch_from = np.searchsorted(endpoint, every)
        self._catch_count = np.searchsorted(endpoint, every, side="right") - self._catch_from
        area = np.array([evidence.kind == "area" for evidence in self.evidence], dtype=bool)
        by_send = area[self.roster.endpoint_channel[endpoint]] if len(endpoint) else np.zeros(0, dtype=bool)
        self.catch_amount = np.where(by_send, 1, catch_people).astype(np.int64)
        self._heard = np.zeros((len(self.evidence), 4, len(self.roster.leaves)), dtype=np.int64)
        self._told: dict[tuple[str, int], Told] = {}

    def catchment(self, ordinals: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(positions in `ordinals`, catchment rows) of these endpoints, one pair for each leaf of each endpoint."""
        count = self._catch_count[ordinals]
        position = np.repeat(np.arange(len(ordinals)), count)
        within = np.arange(len(position)) - np.repeat(np.cumsum(count) - count, count)
        return position, self._catch_from[ordinals][position] + within

    def change(self, ordinals: NDArray[np.int64], before: Column, after: Column) -> None:
        """Endpoints (each once) went from one `Outcome` to another."""
        addressed = self.roster.endpoint_person[ordinals] >= 0
        self._move_persons(ordinals[addressed], before[addressed], after[addressed])
        rest = ~addressed
        self._move_catchments(ordinals[rest], before[rest], after[rest])

    def _move_persons(self, ordinals: Column, before: Column, after: Column) -> None:
        person = self.roster.endpoint_person[ordinals]
        for outcome, counter in ((Outcome.REACHED, self._reached), (Outcome.PENDING, self._pending)):
            np.add.at(counter, person, (after == outcome).astype(np.int32) - (before == outcome))
        handed = (after == Outcome.HANDED).astype(np.int64) - (before == Outcome.HANDED)
        np.add.at(self._key, person, self._place[self.roster.endpoint_channel[ordinals]] * handed)
        touched = _each_once(person, self.roster.persons)
        new, old = self._class_rows(touched), self._class[touched]
        moved = touched[new != old]
        leaf, weight = self.roster.person_leaf[moved], self.roster.person_weight[moved]
        np.subtract.at(self._weights, (old[new != old], leaf), weight)
        np.add.at(self._weights, (new[new != old], leaf), weight)
        self._class[moved] = new[new != old]
        self.dirty[leaf] = True

    def _class_rows(self, persons: Column) -> NDArray[np.int32]:
        """The row in `_weights` of each person's present class; new classes get a new row."""
        key = self._key[persons]
        silent = np.where(self._pending[persons] > 0, PENDING, NOTHING)
        classes = np.where(self._reached[persons] > 0, REACHED, np.where(key > 0, key, silent))
        distinct, which = np.unique(classes, return_inverse=True)
        rows = [self._classes.setdefault(int(name), len(self._classes)) for name in distinct]
        if len(self._classes) > len(self._weights):
            grown = np.zeros((2 * len(self._classes), len(self.roster.leaves)), dtype=np.int64)
            grown[: len(self._weights)] = self._weights
            self._weights = grown
        return np.array(rows, dtype=np.int32)[which]

    def _move_catchments(self, ordinals: Column, before: Column, after: Column) -> None:
        position, rows = self.catchment(ordinals)
        channel, leaf = self.roster.endpoint_channel[ordinals][position], self.catch_leaf[rows]
        amount = self.catch_amount[rows]
        np.subtract.at(self._heard, (channel, _slot(before)[position], leaf), amount)
        np.add.at(self._heard, (channel, _slot(after)[position], leaf), amount)
        self.dirty[leaf] = True

    def answer(self, ordinals: Column, gained: Column) -> None:
        """Endpoints (each once) whose person answered (+1) or, after an earlier cutoff, did not after all (-1)."""
        mine = self.roster.endpoint_person[ordinals] >= 0
        person = self.roster.endpoint_person[ordinals[mine]]
        touched = _each_once(person, self.roster.persons)
        before = self._answers[touched] > 0
        np.add.at(self._answers, person, gained[mine].astype(np.int32))
        change = (self._answers[touched] > 0).astype(np.int64) - before
        leaf = self.roster.person_leaf[touched]
        np.add.at(self._answered, leaf, change * self.roster.person_weight[touched])
        self.dirty[leaf] = True

    def tell(self, told: Mapping[tuple[str, int], Told]) -> None:
        """Replace what counting far sides told; every leaf with people is measured again."""
        self._told = dict(told)
        self.dirty |= self.micro_people > 0

    def take_dirty(self) -> NDArray[np.int64]:
        """Leaf numbers with people whose counts changed since the last call."""
        leaves = np.flatnonzero(self.dirty & (self.micro_people > 0))
        self.dirty[:] = False
        return leaves

    def counts(self, leaves: Column) -> LeafCounts:
        """The counts of these leaves, in millionths of people (sends: in sends)."""
        none = np.zeros(len(leaves), dtype=np.int64)
        weights = {name: self._weights[row][leaves] * PPM for name, row in self._classes.items() if name != NOTHING}
        reached, pending = weights.pop(REACHED, none), weights.pop(PENDING, none)
        answered = self._answered[leaves] * PPM
        devices, sends = self._heard_by("device", leaves, PPM), self._heard_by("area", leaves, 1)
        told = {key: column.take(leaves) for key, column in self._told.items()}
        handed = self._by_channels(weights)
        return LeafCounts(self.micro_people[leaves], reached, pending, answered, handed, devices, sends, told)

    def _by_channels(self, weights: Mapping[int, Column]) -> dict[tuple[str, ...], Column]:
        """Name the packed classes by their channels."""
        names = self.roster.channels
        named: dict[tuple[str, ...], Column] = {}
        for key, column in weights.items():
            counts = {names[c]: key >> shift & (1 << bits) - 1 for c, (shift, bits) in self._shifts.items()}
            named[tuple(sorted(name for name, count in counts.items() for _ in range(count)))] = column
        return named

    def _heard_by(self, kind: str, leaves: Column, unit: int) -> dict[str, Heard]:
        chosen = [number for number, evidence in enumerate(self.evidence) if evidence.kind == kind]
        states = (Outcome.REACHED, Outcome.HANDED, Outcome.PENDING)
        heard = {self.roster.channels[c]: [self._heard[c, s][leaves] * unit for s in states] for c in chosen}
        return {name: Heard(*columns) for name, columns in heard.items()}

    def persons_in(self, outcome: Outcome) -> NDArray[np.bool_]:
        """bool[persons]: whom a receipt shows as reached (REACHED), or who has an open hand-over and no receipt (HANDED)."""
        if outcome is Outcome.REACHED:
            return self._reached > 0
        waiting: NDArray[np.bool_] = ((self._key > 0) & (self._reached == 0)).astype(bool)
        return waiting


def _each_once(numbers: Column, count: int) -> NDArray[np.int64]:
    """The distinct ones of `numbers` below `count`, rising; faster than sorting them."""
    present = np.zeros(count, dtype=bool)
    present[numbers] = True
    return np.flatnonzero(present)


def _slot(outcomes: Column) -> Column:
    """Where an outcome is counted; what can add to no share goes to slot 0."""
    return np.where(outcomes <= Outcome.REACHED, outcomes, 0).astype(np.int64)


def layers(areas: Sequence[Sequence[int]]) -> list[int]:
    """Stack counted areas so that no two of one layer share a leaf: the layer of each, first fit in their order."""
    filled: list[set[int]] = []
    chosen: list[int] = []
    for area in areas:
        layer = next((number for number, taken in enumerate(filled) if taken.isdisjoint(area)), len(filled))
        if layer == len(filled):
            filled.append(set())
        filled[layer].update(area)
        chosen.append(layer)
    return chosen
