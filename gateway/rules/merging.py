"""Merging receipts: per endpoint and level the earliest effective time, and what follows from it for the endpoint.

A join-semilattice: merge is the minimum per level, so that duplicates, re-deliveries, reordering and restarts change nothing.
The columns are int64 milliseconds in the live fold (`folding`) and Fractions of seconds in the evaluation (`auditing`); both
call these functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.model.coverage import Column, Outcome
from gateway.model.journal import NEVER
from gateway.model.receipt import Level

LEVELS = len(Level)
"""Rows of a table of times: one for each `Level`."""


def effective(released_at: Any, event_at: Any, received_at: Any) -> Any:
    """When a receipt counts: the earlier of its two clocks (a missing one is NEVER), not before the release."""
    return np.maximum(released_at, np.minimum(event_at, received_at))


def first_proof(times: Column, count_level: Column) -> Column:
    """Earliest time of a level that counts. times: [LEVELS, n]; count_level: [n], 1..5."""
    proof: Column = times[Level.ACK]
    for level in (Level.READ, Level.DELIVERED, Level.ACCEPTED, Level.SENT):
        proof = np.where(count_level <= level, np.minimum(proof, times[level]), proof)
    return proof


def first_hand_over(times: Column) -> Column:
    """Earliest time at which the endpoint had certainly been handed over: any level but FAILED. times: [LEVELS, n]."""
    earliest: Column = times[Level.SENT :].min(axis=0)
    return earliest


def contradicted(times: Column) -> NDArray[np.bool_]:
    """bool[n]: both failed and delivered (or more). Delivered wins, in either order."""
    conflict: NDArray[np.bool_] = (times[Level.FAILED] < NEVER) & (times[Level.DELIVERED :].min(axis=0) < NEVER)
    return conflict


def answered(times: Column, cutoff: Any) -> NDArray[np.bool_]:
    """bool[n]: read or acknowledged by the cutoff (evidence class A3)."""
    reply: NDArray[np.bool_] = np.minimum(times[Level.READ], times[Level.ACK]) <= cutoff
    return reply


def classify(times: Column, count_level: Column, planned: Column, cutoff: Any, closed: bool) -> NDArray[np.uint8]:
    """The `Outcome` of each endpoint, uint8[n].

    times: [LEVELS, n] as of the moment asked for; planned: bool[n]; cutoff: inclusive, `LAST` if there is none; closed: the
    moment asked for lies after the cutoff, so that what was not handed over by then never will be.
    """
    proof, hand_over = first_proof(times, count_level), first_hand_over(times)
    failed = (times[Level.FAILED] < NEVER) & ~contradicted(times)
    ended = (hand_over < NEVER) | (planned & closed)
    cases = [proof <= cutoff, proof < NEVER, failed, hand_over <= cutoff, ended, planned]
    outcomes = [Outcome.REACHED, Outcome.LATE, Outcome.FAILED, Outcome.HANDED, Outcome.ENDED, Outcome.PENDING]
    chosen = np.select([case.astype(bool) for case in cases], outcomes, Outcome.UNPLANNED)
    return chosen.astype(np.uint8)


LAST = NEVER - 1
"""The cutoff of an alert without one: the last instant there is."""

Count = tuple[Any, int, int]
"""A counting far side's word on one area send: (effective time, contacts ok, contacts sent)."""


def latest(counts: Iterable[Count], cutoff: Any) -> Count | None:
    """The count that holds: the latest by time up to the cutoff (of two at one time the larger), or None.

    Who says that more arrived than were sent has sent at least as many.
    """
    holding = max((count for count in counts if count[0] <= cutoff), default=None)
    return holding and (holding[0], holding[1], max(holding[1:]))


def counted_steps(counts: Iterable[Count], cutoff: Any) -> list[tuple[Any, Any]]:
    """How the count that holds changed: (time, change of the contacts that got it)."""
    holding = {at: ok for at, ok, _ in sorted(counts) if at <= cutoff}
    before = [0, *holding.values()]
    return [(at, ok - old) for (at, ok), old in zip(holding.items(), before, strict=False)]
