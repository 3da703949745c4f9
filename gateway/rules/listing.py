"""Listing: a written-down scenario as tables: leaves with their people, units, and the state of each unit.

The first half of an audit; `auditing` counts and measures what stands here. Everything listed is planned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.model.coverage import Column, Outcome
from gateway.model.journal import NEVER
from gateway.model.receipt import Level
from gateway.rules.merging import LAST, LEVELS, Count, classify, effective, first_proof
from gateway.rules.scenarios import CountPart, CoverageScenario, EventPart, RegionPart


class Unit(NamedTuple):
    """An address (of recipient `person`), a device (people by leaf row) or an area send (leaf rows, each 1)."""

    name: str
    channel: str
    person: int
    spots: tuple[tuple[int, Fraction], ...]
    own_leaf: bool = False


@dataclass(frozen=True)
class Listing:
    """The tables of a scenario, made as they are asked for. Columns of units run parallel to `units`."""

    scenario: CoverageScenario

    @cached_property
    def people(self) -> dict[str, Fraction]:
        """Target people of each leaf that has some, in the order of the file."""
        inner = {region.parent for region in self.scenario.regions}
        leaves = (region for region in self.scenario.regions if region.id not in inner)
        return {leaf.id: people for leaf in leaves if (people := _target(leaf))}

    @cached_property
    def row(self) -> dict[str, int]:
        """Row number of each leaf with people."""
        return {leaf: number for number, leaf in enumerate(self.people)}

    @cached_property
    def inside(self) -> dict[str, list[int]]:
        """Leaf rows under each region."""
        parents = {region.id: region.parent for region in self.scenario.regions}
        inside: dict[str, list[int]] = {region: [] for region in parents}
        for leaf, number in self.row.items():
            region: str | None = leaf
            while region is not None:
                inside[region].append(number)
                region = parents[region]
        return inside

    @cached_property
    def units(self) -> list[Unit]:
        """Everything that can have a receipt."""
        scenario, row = self.scenario, self.row
        units = [
            Unit(address.unit, address.channel, number, ())
            for number, person in enumerate(scenario.recipients)
            for address in person.addresses
        ]
        for device in scenario.devices:
            spots = tuple((row[leaf], people) for leaf, people in device.catchment.items() if leaf in row)
            units.append(Unit(device.unit, device.channel, -1, spots))
        for send in scenario.area_sends:
            under = tuple((number, Fraction(1)) for number in self.inside.get(send.region, []))
            units.append(Unit(send.unit, send.channel, -1, under, send.region in row))
        return units

    @cached_property
    def cutoff(self) -> Any:
        """The earliest end of the alert, inclusive."""
        ends = (self.scenario.expires_at, self.scenario.cancelled_at, self.scenario.superseded_at)
        return min((end for end in ends if end is not None), default=LAST)

    @cached_property
    def closed(self) -> bool:
        """Does the moment asked for lie after the cutoff?"""
        as_of = self.scenario.as_of
        return self.cutoff != LAST and (as_of is None or as_of > self.cutoff)

    def seen_at(self, event: EventPart | CountPart) -> Fraction | None:
        """The effective time of a receipt, or None where it lies beyond `as_of` or `known_at`."""
        happened, received = event.event_at, event.received_at
        at: Fraction = effective(
            self.scenario.released_at,
            NEVER if happened is None else happened,
            NEVER if received is None else received,
        )
        known = received if received is not None else happened
        as_of, known_at = self.scenario.as_of, self.scenario.known_at
        if (as_of is not None and at > as_of) or (known_at is not None and known is not None and known > known_at):
            return None
        return at

    @cached_property
    def times(self) -> Column:
        """Earliest time of each level of each unit, [LEVELS, units]."""
        place = {unit.name: number for number, unit in enumerate(self.units)}
        times = np.full((LEVELS, len(place)), NEVER, dtype=object)
        for event in self.scenario.events:
            at, unit = self.seen_at(event), place.get(event.unit)
            if at is not None and unit is not None:
                level = Level[event.level.upper()]
                times[level, unit] = min(times[level, unit], at)
        return times

    @cached_property
    def counts_told(self) -> dict[str, set[Count]]:
        """What counting far sides told, by unit."""
        told: dict[str, set[Count]] = defaultdict(set)
        for count in self.scenario.counts:
            at = self.seen_at(count)
            if at is not None:
                told[count.unit].add((at, count.n_ok, count.n_sent))  # type: ignore[arg-type]
        return told

    @cached_property
    def unknown(self) -> int:
        """Distinct receipts seen of units that the scenario does not hold."""
        held = {unit.name for unit in self.units}
        strange = (
            event for event in self.scenario.events if event.unit not in held and self.seen_at(event) is not None
        )
        return len({(e.id, e.unit, e.level, e.event_at, e.received_at) for e in strange})

    @cached_property
    def count_level(self) -> Column:
        """The level that counts, of each unit."""
        channels = self.scenario.channels
        levels = [Level[channels[unit.channel].count_level.upper()] for unit in self.units]
        return np.array(levels, dtype=np.int8)

    @cached_property
    def proof(self) -> Column:
        """First time of a level that counts, of each unit."""
        return first_proof(self.times, self.count_level)

    @cached_property
    def outcome(self) -> NDArray[np.uint8]:
        """How each unit stands; everything listed is planned."""
        planned = np.ones(len(self.units), dtype=bool)
        return classify(self.times, self.count_level, planned, self.cutoff, self.closed)

    def kind(self, unit: Unit) -> str:
        """The kind of a unit's channel."""
        return self.scenario.channels[unit.channel].kind

    def reached_units(self) -> Iterator[tuple[Unit, Fraction]]:
        """Units with a receipt that counts, and when."""
        for number, unit in enumerate(self.units):
            if self.outcome[number] == Outcome.REACHED:
                yield unit, self.proof[number]

    def weight(self, unit: Unit) -> Fraction:
        """People behind a unit, in leaves with target people."""
        if unit.person < 0:
            return sum((people for _, people in unit.spots), Fraction(0))
        person = self.scenario.recipients[unit.person]
        return person.weight if person.region in self.row else Fraction(0)

    def goal(self, region: RegionPart) -> Fraction:
        """The goal of a region in basis points: its own, the nearest ancestor's, or the default."""
        by_id = {each.id: each for each in self.scenario.regions}
        above: RegionPart | None = region
        while above is not None and above.goal_bp is None:
            above = by_id.get(above.parent) if above.parent is not None else None
        return self.scenario.default_goal_bp if above is None or above.goal_bp is None else above.goal_bp


def _target(leaf: RegionPart) -> Fraction:
    """P: target people of a leaf, 0 where it is not targeted or its population is unknown."""
    return leaf.population * leaf.target_share if leaf.targeted and leaf.population is not None else Fraction(0)
