"""Reinforcing: short of the goal, who next and by what; and which officer owns a region's call-out.

Pure and exact with Fractions; serves `evaluate` and the loop that acts. `plan` is greedy on gain per cost over a monotone
submodular objective, so that gains only fall and a lazy heap finds each next step.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.model.coverage import Number
from gateway.rules.measuring import gap_people


@dataclass(frozen=True, slots=True)
class Place:
    """A region to be raised to its goal: target people, projected share at the deadline, goal (both 0..1)."""

    region: str
    people: Number
    projected: Number
    goal: Number


@dataclass(frozen=True, slots=True)
class Candidate:
    """A step that could be taken: its cost, seconds until it speaks, and its reach among the still unreached by region."""

    id: str
    cost: Number
    ready_s: Number
    reach: Mapping[str, Number]
    allowed: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """A step chosen: what it adds towards the goals, in people, and what it costs."""

    id: str
    gain_people: Number
    cost: Number


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order, the money spent, the projected share of each region after them, and whom officers must still reach."""

    steps: tuple[Step, ...]
    spent: Number
    final: Mapping[str, Number]
    callout: tuple[tuple[str, int], ...]


Rank = tuple[bool, Number, Number, Number, str]


def plan(
    places: Sequence[Place],
    candidates: Iterable[Candidate],
    deadline_s: Number | None,
    budget: Number | None,
    min_gain_people: Number = 1,
) -> Plan:
    """Choose steps until none adds `min_gain_people`: free ones first by gain, then by gain per cost.

    Ties: sooner ready, cheaper, id (ids are distinct). None for deadline or budget = no limit.
    """
    standing = {place.region: place for place in places}
    share = {place.region: place.projected for place in places}
    steps: list[Step] = []
    spent: Number = 0
    offered = {candidate.id: candidate for candidate in candidates if _eligible(candidate, deadline_s)}
    queue = [_rank(candidate, _gain(candidate, standing, share)) for candidate in offered.values()]
    heapq.heapify(queue)
    while queue:
        best = offered[heapq.heappop(queue)[-1]]
        gain = _gain(best, standing, share)
        if gain < min_gain_people or gain <= 0 or (budget is not None and spent + best.cost > budget):
            continue
        if queue and _rank(best, gain) > queue[0]:
            heapq.heappush(queue, _rank(best, gain))
            continue
        steps.append(Step(best.id, gain, best.cost))
        spent += best.cost
        for region, reach in _inside(best, standing):
            share[region] = 1 - (1 - share[region]) * (1 - reach)
    return Plan(tuple(steps), spent, share, tuple(_left(places, share)))


def _eligible(candidate: Candidate, deadline_s: Number | None) -> bool:
    return candidate.allowed and (deadline_s is None or candidate.ready_s <= deadline_s)


def _inside(candidate: Candidate, places: Mapping[str, Place]) -> Iterator[tuple[str, Number]]:
    return ((region, reach) for region, reach in sorted(candidate.reach.items()) if region in places)


def _gain(candidate: Candidate, places: Mapping[str, Place], share: Mapping[str, Number]) -> Number:
    """People that the step adds towards the goals; above a goal nothing counts."""
    gain: Number = 0
    for region, reach in _inside(candidate, places):
        place, now = places[region], share[region]
        then = 1 - (1 - now) * (1 - reach)
        gain += place.people * (min(place.goal, then) - min(place.goal, now))
    return gain


def _rank(candidate: Candidate, gain: Number) -> Rank:
    """Smaller is better."""
    worth = gain / candidate.cost if candidate.cost else gain
    return bool(candidate.cost), -worth, candidate.ready_s, candidate.cost, candidate.id


def _left(places: Iterable[Place], share: Mapping[str, Number]) -> Iterator[tuple[str, int]]:
    """Regions still below their goal, with the people that officers have to reach."""
    for place in places:
        lacking = gap_people(place.people, share[place.region], place.goal)
        if lacking:
            yield place.region, lacking


@dataclass(frozen=True, slots=True)
class Ack:
    """An officer answered at a time."""

    officer: str
    at: Number


@dataclass(frozen=True, slots=True)
class Callout:
    """Who was called when, who owns the region since when, and when the duty desk had to step in."""

    calls: tuple[Ack, ...]
    owner: str | None
    owned_at: Number | None
    escalated_at: Number | None


def callout(
    post_a: str,
    post_b: str | None,
    called_at: Number,
    acks: Sequence[Ack],
    b_after: Number,
    desk_after: Number,
    now: Number | None = None,
) -> Callout:
    """Post A first, post B after `b_after` seconds of silence, the duty desk after `desk_after`.

    An answer on the last second counts. The earliest answer owns the region (A, if both answer at once); nobody owns it
    before being called. `now`: as things stood then.
    """
    heard = [ack for ack in acks if now is None or ack.at <= now]
    answer_a = _first(heard, post_a, called_at)
    b_due, desk_due = called_at + b_after, called_at + desk_after
    call_b = post_b is not None and _silent(answer_a, b_due, now)
    answer_b = _first(heard, post_b, b_due) if call_b and post_b is not None else None
    owner = min((ack for ack in (answer_a, answer_b) if ack), key=lambda ack: ack.at, default=None)
    calls = [Ack(post_a, called_at)] if now is None or now >= called_at else []
    if call_b and post_b is not None:
        calls.append(Ack(post_b, b_due))
    escalated = desk_due if _silent(owner, desk_due, now) else None
    return Callout(tuple(calls), owner.officer if owner else None, owner.at if owner else None, escalated)


def _first(acks: Iterable[Ack], officer: str, since: Number) -> Ack | None:
    """The officer's first answer since being called."""
    return min(
        (ack for ack in acks if ack.officer == officer and ack.at >= since), key=lambda ack: ack.at, default=None
    )


def _silent(answer: Ack | None, due: Number, now: Number | None) -> bool:
    """Has the due time come without an answer?"""
    return (now is None or now >= due) and (answer is None or answer.at > due)
