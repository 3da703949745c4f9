"""Auditing: the coverage of a written-down scenario, from its receipts up, for what-if questions and inspections.

Called by `evaluating`. It counts from its own tables (`listing`) in Fractions, and takes the law from the same functions as the
live ledger: `merging.classify`, `measuring.measure`, `tracing.trace`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from gateway.model.coverage import Column, Heard, LeafCounts, Outcome, RegionCoverage, Told, Triple
from gateway.rules.listing import Listing, Unit
from gateway.rules.measuring import Kind, aggregate, answered_share, measure, nearest_ranks, status
from gateway.rules.merging import answered, contradicted, counted_steps, latest
from gateway.rules.scenarios import CoverageScenario
from gateway.rules.tallying import layers
from gateway.rules.tracing import Gain, Gains, first_reaching, trace

HUNDREDTHS = tuple(Fraction(n, 100) for n in range(1, 101))
"""The shares for which times are told; among them the 0.25, 0.5, 0.75, 0.9, 0.95 and 1 of every report."""


@dataclass(frozen=True)
class Audit:
    """The counts, shares and times of a listed scenario. Columns are parallel to the leaf rows."""

    listing: Listing
    number: Kind

    @cached_property
    def evidence(self) -> dict[str, Any]:
        """Evidence of each channel in this audit's kind of number."""
        return {name: channel.evidence(self.number) for name, channel in self.listing.scenario.channels.items()}

    def column(self) -> Column:
        """Zeros, one for each leaf row."""
        return np.full(len(self.listing.row), 0, dtype=object)

    @cached_property
    def counts(self) -> LeafCounts:
        """The counts of all leaf rows, in people."""
        reached, pending, replied, handed = self._persons()
        people = np.array([*self.listing.people.values(), None], dtype=object)[:-1]
        devices, sends = self._heard("device"), self._heard("area")
        return LeafCounts(people, reached, pending, replied, handed, devices, sends, self._told())

    def _persons(self) -> tuple[Column, Column, Column, dict[tuple[str, ...], Column]]:
        """Weights of the reached, the merely possible, the answering, and of the rest by open channels."""
        reached, pending, replied = self.column(), self.column(), self.column()
        handed: dict[tuple[str, ...], Column] = defaultdict(self.column)
        replies = answered(self.listing.times, self.listing.cutoff)
        addresses: dict[int, list[int]] = defaultdict(list)
        for number, unit in enumerate(self.listing.units):
            addresses[unit.person].append(number)
        for number, person in enumerate(self.listing.scenario.recipients):
            row, mine = self.listing.row.get(person.region), addresses[number]
            if row is None:
                continue
            outcomes = {int(self.listing.outcome[unit]) for unit in mine}
            open_channels = sorted(
                self.listing.units[u].channel for u in mine if self.listing.outcome[u] == Outcome.HANDED
            )
            if Outcome.REACHED in outcomes:
                reached[row] += person.weight
            elif open_channels:
                handed[tuple(open_channels)][row] += person.weight
            elif Outcome.PENDING in outcomes:
                pending[row] += person.weight
            replied[row] += person.weight if any(replies[unit] for unit in mine) else 0
        return reached, pending, replied, handed

    def _heard(self, kind: str) -> dict[str, Heard]:
        """People around devices, or numbers of area sends, by channel and state."""
        heard: dict[str, Heard] = {}
        states = (Outcome.REACHED, Outcome.HANDED, Outcome.PENDING)
        for unit, outcome in zip(self.listing.units, self.listing.outcome.tolist(), strict=True):
            if self.listing.kind(unit) != kind:
                continue
            columns = heard.setdefault(unit.channel, Heard(self.column(), self.column(), self.column()))
            for row, amount in unit.spots if outcome in states else ():
                columns[states.index(Outcome(outcome))][row] += amount
        if kind == "area":
            return {name: Heard(*(column.astype(np.int64) for column in columns)) for name, columns in heard.items()}
        return heard

    def _counted(self) -> Iterator[tuple[tuple[str, int], int, Unit]]:
        """Counted units: (channel and layer, number of the unit, unit)."""
        counted = [
            (number, unit) for number, unit in enumerate(self.listing.units) if self.listing.kind(unit) == "counted"
        ]
        for name in sorted({unit.channel for _, unit in counted}):
            mine = [(number, unit) for number, unit in counted if unit.channel == name]
            stacked = layers([[row for row, _ in unit.spots] for _, unit in mine])
            for layer, (number, unit) in zip(stacked, mine, strict=True):
                yield (name, layer), number, unit

    def _told(self) -> dict[tuple[str, int], Told]:
        told: dict[tuple[str, int], Told] = {}
        people = list(self.listing.people.values())
        for key, number, unit in self._counted():
            columns = told.setdefault(key, Told(*(self.column() for _ in Told._fields)))
            said = self.listing.counts_told.get(unit.name, set())
            held = latest(said, self.listing.cutoff)
            base = sum(people[row] for row, _ in unit.spots)
            for row, _ in unit.spots:
                if held:
                    columns.ok[row], columns.sent[row], columns.base[row] = held[1], held[2], base
                    columns.own[row] = int(unit.own_leaf)
                elif not said:
                    columns.pending[row] = int(self.listing.outcome[number] in (Outcome.PENDING, Outcome.HANDED))
        return told

    @cached_property
    def triple(self) -> Triple:
        """lo, est and hi of the leaf rows."""
        return measure(self.counts, self.evidence, self.number, self.listing.scenario.failure_domains)

    @cached_property
    def heads(self) -> Column:
        """Target people of the leaf rows, in this audit's kind of number."""
        return self.counts.people.astype(float) if self.number is float else self.counts.people

    @cached_property
    def replies(self) -> Column:
        """Share of the leaf rows' people who answered."""
        return answered_share(self.counts, self.number)

    @cached_property
    def with_receipt(self) -> Column:
        """Which leaf rows have a receipted source."""
        return self.counts.with_receipt()

    def coverage(self, region: str) -> RegionCoverage:
        """The coverage of a region."""
        rows = np.array(self.listing.inside[region], dtype=np.int64)
        triple = Triple(*(bound[rows] for bound in self.triple))
        return aggregate(self.heads[rows], triple, self.replies[rows], self.with_receipt[rows])

    @cached_property
    def gains(self) -> Gains:
        """When receipts came, per source."""
        devices, sends = self._catchment_gains("device"), self._catchment_gains("area")
        return Gains(self._person_gain(), devices, sends, self._told_gains())

    def _person_gain(self) -> Gain:
        first: dict[int, Fraction] = {}
        for unit, at in self.listing.reached_units():
            if unit.person >= 0:
                first[unit.person] = min(at, first.get(unit.person, at))
        who = [(self.listing.scenario.recipients[person], at) for person, at in first.items()]
        return _gain((self.listing.row[p.region], at, p.weight) for p, at in who if p.region in self.listing.row)

    def _catchment_gains(self, kind: str) -> dict[str, Gain]:
        steps: dict[str, list[tuple[int, Fraction, Any]]] = defaultdict(list)
        for unit, at in self.listing.reached_units():
            if self.listing.kind(unit) == kind:
                steps[unit.channel] += [(row, at, amount) for row, amount in unit.spots]
        return {name: _gain(rows) for name, rows in steps.items()}

    def _told_gains(self) -> dict[tuple[str, int], tuple[Gain, Column, Column]]:
        steps: dict[tuple[str, int], list[tuple[int, Fraction, Any]]] = defaultdict(list)
        for key, _, unit in self._counted():
            told = (
                counted_steps(self.listing.counts_told.get(unit.name, set()), self.listing.cutoff)
                if unit.own_leaf
                else []
            )
            steps[key] += [(row, at, change) for at, change in told for row, _ in unit.spots]
        own = np.ones(len(self.listing.row), dtype=np.int64)
        return {key: (_gain(rows), self.counts.people, own) for key, rows in steps.items()}

    def times_to(self, shares: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
        """For each region the seconds from the release until each of its `shares` was receipted; None = never."""
        steps = trace(self.counts.people, self.gains, self.evidence, self.number)
        released = self.listing.scenario.released_at
        found: dict[str, list[Any]] = {}
        for region, wanted in shares.items():
            rows = self.listing.inside[region]
            chosen = np.zeros(len(self.listing.row), dtype=bool)
            chosen[rows] = True
            times, heights = steps.rise(chosen)
            target = sum(self.counts.people[rows].tolist(), Fraction(0))
            first = [released if q <= 0 else first_reaching(times, heights, target, q) for q in wanted]
            found[region] = [None if at is None or not rows else at - released for at in first]
        return found

    def latency(self, channel: str) -> list[Any]:
        """Seconds from the release by which each of HUNDREDTHS of a channel's receipts (by weight) had come."""
        delays, weights = [], []
        for unit, at in self.listing.reached_units():
            weight = self.listing.weight(unit)
            if unit.channel == channel and weight and self.listing.kind(unit) in ("addressed", "device"):
                delays.append(at - self.listing.scenario.released_at)
                weights.append(weight)
        columns = np.array([*delays, 0], dtype=object)[:-1], np.array([*weights, 0], dtype=object)[:-1]
        return nearest_ranks(*columns, HUNDREDTHS)

    def quality(self) -> dict[str, Any]:
        """What a reader of the figures must know."""
        registered: dict[str, Fraction] = defaultdict(Fraction)
        for person in self.listing.scenario.recipients:
            registered[person.region] += person.weight
        return {
            "out_of_target": sum(person.region not in self.listing.row for person in self.listing.scenario.recipients),
            "late": int(np.count_nonzero(self.listing.outcome == Outcome.LATE)),
            "conflicts": int(np.count_nonzero(contradicted(self.listing.times))),
            "unknown_units": self.listing.unknown,
            "register_exceeds_population": [leaf for leaf, p in self.listing.people.items() if registered[leaf] > p],
        }


def _gain(steps: Iterable[tuple[int, Any, Any]]) -> Gain:
    rows = list(steps)
    leaf = np.array([row for row, _, _ in rows], dtype=np.int64)
    return Gain(leaf, *(np.array([*(step[k] for step in rows), 0], dtype=object)[:-1] for k in (1, 2)))


def audit(scenario: CoverageScenario, number: Kind) -> dict[str, Any]:
    """The result of kind `coverage` (docs/coverage.md): numbers are `number`s, int or None; the caller writes them out."""
    listing = Listing(scenario)
    book = Audit(listing, number)
    goals = {region.id: listing.goal(region) / 10000 for region in scenario.regions}
    times = book.times_to({region: [goal, *HUNDREDTHS] for region, goal in goals.items()})
    regions = {region: _region(book.coverage(region), goal, times[region][0]) for region, goal in goals.items()}
    names = [_share_name(q) for q in HUNDREDTHS]
    return {
        "regions": regions,
        "time_to": {
            "basis": "lo",
            **{region: dict(zip(names, found[1:], strict=True)) for region, found in times.items()},
        },
        "latency": {name: dict(zip(names, book.latency(name), strict=True)) for name in scenario.channels},
        "quality": book.quality(),
    }


def _region(coverage: RegionCoverage, goal: Fraction, time_to_goal: Any) -> dict[str, Any]:
    """One line of the result."""
    lo, est, hi = coverage.share
    return {
        "target": coverage.target,
        "goal": goal,
        "lo": lo,
        "est": est,
        "hi": hi,
        "answered": coverage.answered,
        "status": status(coverage.share, goal * 10000).value,
        "time_to_goal_lo": time_to_goal,
        "leaves_total": coverage.leaves_total,
        "leaves_reached": coverage.leaves_reached,
    }


def _share_name(share: Fraction) -> str:
    """0.25, 0.5, 1: as short as can be."""
    return f"{float(share):g}"
