"""Stragglers: endpoints of a warning that has ended while a send to them was still under way. Nobody knows yet whether they got it.

Who must hear that it is over hears it when that send has ended, and not at all if the warning never was handed over. Fan-out plans
everybody else at once, and comes back for these until none is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.flow.enlisting import Reached
from gateway.model.roster import Roster
from gateway.model.time import Instant
from gateway.ports.store import BatchRow, DispatchRow, Ordinals, Transaction

Pairs = Sequence[Sequence[int]]
Stragglers = Mapping[str, Pairs]
"""By the number of the batch that is under way: [ordinal to tell, ordinal in that batch]; -1 there = was warned for certain."""

WARNED = -1


class Told(NamedTuple):
    """Who may be told now (bool[endpoints] of the dispatch's roster), and who has to be waited for."""

    now: NDArray[np.bool_]
    later: Stragglers


def on_the_same_roster(roster: Roster, batches: Sequence[BatchRow], now: Instant) -> Told:
    """For a dispatch over the roster of the warning itself."""
    told = np.zeros(roster.endpoints, bool)
    for row in batches:
        told[row.handed] = True
    later = {str(row.n): [[n, n] for n in row.doubt(now).tolist()] for row in batches if row.in_flight(now)}
    told[waited_for(later)] = False
    return Told(told, later)


def on_a_roster_of_its_own(roster: Roster, addresses: Sequence[str], reached: Sequence[Reached], now: Instant) -> Told:
    """For a Cancel, whose roster was put together from those of the warnings it ends. (A warning that came into their chain after
    that has a dispatch of its own: `flow.standing`.)"""
    place = {
        (roster.channels[number], address): ordinal
        for ordinal, (number, address) in enumerate(zip(roster.endpoint_channel.tolist(), addresses, strict=True))
    }
    told, later = np.zeros(roster.endpoints, bool), dict[str, list[list[int]]]()
    for each in reached:
        for row in each.batches:
            certain = np.setdiff1d(row.handed, row.doubt(now))
            told[[new for new, _ in _places(place, each, row, certain)]] = True
    for each in reached:
        for row in each.batches:
            if row.in_flight(now):
                later[str(row.n)] = [
                    [new, WARNED if told[new] else old] for new, old in _places(place, each, row, row.doubt(now))
                ]
    told[waited_for(later)] = False
    return Told(told, later)


def waited_for(stragglers: Stragglers) -> list[int]:
    """The ordinals of a dispatch's roster that are not to be told yet."""
    return [new for pairs in stragglers.values() for new, _ in pairs]


def arrived(tx: Transaction, dispatch: DispatchRow, now: Instant) -> tuple[Ordinals, Stragglers]:
    """Those of a dispatch's stragglers who turn out to have been warned, and those of whom it is not known even now."""
    warned, left = set[int](), dict[str, Pairs]()
    for number, pairs in dispatch.targets["stragglers"].items():
        row = tx.outbox.find(int(number))
        if row is not None and row.in_flight(now):
            left[number] = pairs
        elif row is not None:
            handed = {WARNED, *row.handed.tolist()}
            warned |= {new for new, old in pairs if old in handed}
    still = {number: [[new, WARNED if new in warned else old] for new, old in pairs] for number, pairs in left.items()}
    return _sorted(warned - set(waited_for(still))), still


def _places(
    place: Mapping[tuple[str, str], int], each: Reached, row: BatchRow, ordinals: Ordinals
) -> list[tuple[int, int]]:
    """(ordinal in the roster, ordinal in the batch) of those who are in the roster."""
    found = ((place.get((row.channel, each.addresses[ordinal])), ordinal) for ordinal in ordinals.tolist())
    return [(new, old) for new, old in found if new is not None]


def _sorted(ordinals: Iterable[int]) -> Ordinals:
    return np.array(sorted(ordinals), np.int32)
