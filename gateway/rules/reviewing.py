"""Reviewing: what a live `Book` tells about time, channels and quality: curve, time to a goal, percentiles, failures.

Called for pages and reports, a few times a minute, never per receipt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.model.coverage import Column, Outcome
from gateway.model.journal import NEVER
from gateway.model.receipt import Level, Reason
from gateway.model.roster import PPM
from gateway.model.time import Instant
from gateway.rules.folding import Book
from gateway.rules.measuring import nearest_ranks
from gateway.rules.merging import contradicted, counted_steps, first_hand_over, first_proof
from gateway.rules.tallying import layers
from gateway.rules.tracing import Gain, Gains, Trace, first_reaching, trace

Leaves = NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class Curve:
    """Coverage of a region over event time: seconds since release, and the shares from each of them on."""

    t: list[float]
    lo: list[float]
    est: list[float]
    hi: list[float]


@dataclass(frozen=True, slots=True)
class ChannelSummary:
    """One channel's endpoints, whole numbers of them.

    targets: held by a dispatch; handed: certainly handed over; receipts: counted as reached; levels: proven at least so far;
    failed: by reason; late: first proof after the cutoff; pending: not handed over yet; p50_s, p90_s: seconds from the
    release, among those with a receipt, weighted by people.
    """

    channel: str
    kind: str
    targets: int
    handed: int
    receipts: int
    levels: Mapping[str, int]
    failed: Mapping[str, int]
    late: int
    pending: int
    p50_s: float | None
    p90_s: float | None


@dataclass(frozen=True, slots=True)
class Quality:
    """What a reader of the figures must know.

    out_of_target: recipients of leaves without target people; late: endpoints first proven after the cutoff; conflicts: endpoints
    both failed and delivered; unknown: statements of no known endpoint; the lists hold leaf codes.
    """

    out_of_target: int
    late: int
    conflicts: int
    unknown: int
    register_exceeds_population: tuple[str, ...]
    population_unknown: tuple[str, ...]


def quality(book: Book) -> Quality:
    """The flags of a refreshed book."""
    leaves, tally = book.roster.leaves, book.tally
    exceeding = np.flatnonzero((tally.micro_people > 0) & (tally.registered * PPM > tally.micro_people))
    return Quality(
        int(np.count_nonzero(tally.micro_people[book.roster.person_leaf] == 0)),
        int(np.count_nonzero(book.outcome == Outcome.LATE)),
        int(np.count_nonzero(contradicted(book.times))),
        book.unknown,
        tuple(leaves[number].code for number in exceeding),
        tuple(leaf.code for leaf in leaves if leaf.micro_people is None),
    )


def channel_summary(book: Book) -> list[ChannelSummary]:
    """Every channel of the roster, in its order; the book must be refreshed."""
    return [_summary(book, number, name) for number, name in enumerate(book.roster.channels)]


def _summary(book: Book, number: int, name: str) -> ChannelSummary:
    mine = np.flatnonzero((book.roster.endpoint_channel == number) & book.planned)
    outcome, times = book.outcome[mine], book.times[:, mine]
    reached = mine[outcome == Outcome.REACHED]
    delays = first_proof(book.times[:, reached], book.count_level[reached]) - book.released_at
    weights = _weights(book, reached)
    ranks = nearest_ranks(delays, weights, (Fraction(1, 2), Fraction(9, 10)))
    p50, p90 = (None if rank is None else int(rank) / 1000 for rank in ranks)
    return ChannelSummary(
        name,
        book.evidence[name].kind,
        targets=len(mine),
        handed=int(np.count_nonzero(first_hand_over(times) < NEVER)),
        receipts=len(reached),
        levels={level.label: _proven(times, level) for level in Level if level},
        failed=_reasons(book.failure[mine[outcome == Outcome.FAILED]]),
        late=int(np.count_nonzero(outcome == Outcome.LATE)),
        pending=int(np.count_nonzero(outcome == Outcome.PENDING)),
        p50_s=p50,
        p90_s=p90,
    )


def _proven(times: Column, level: Level) -> int:
    return int(np.count_nonzero(times[level:].min(axis=0) < NEVER)) if times.shape[1] else 0


def _reasons(failures: Column) -> dict[str, int]:
    """Failures by the label of their latest reason."""
    reasons, counts = np.unique(np.where(failures < 0, Reason.UNKNOWN, failures & 255), return_counts=True)
    return {Reason(int(r)).label: int(n) for r, n in zip(reasons, counts, strict=True)}


def _weights(book: Book, ordinals: NDArray[np.int64]) -> NDArray[np.int64]:
    """People behind each endpoint, in leaves with target people."""
    roster, tally = book.roster, book.tally
    targeted = tally.micro_people > 0
    person = roster.endpoint_person[ordinals]
    weights = np.zeros(len(ordinals), dtype=np.int64)
    mine = person >= 0
    weights[mine] = roster.person_weight[person[mine]] * targeted[roster.person_leaf[person[mine]]]
    position, rows = tally.catchment(ordinals)
    device = np.isin(roster.endpoint_channel[ordinals][position], _numbers(book, "device"))
    np.add.at(weights, position, tally.catch_amount[rows] * targeted[tally.catch_leaf[rows]] * device)
    return weights


def _numbers(book: Book, kind: str) -> list[int]:
    return [number for number, evidence in enumerate(book.tally.evidence) if evidence.kind == kind]


def time_to(book: Book, shares: Sequence[float], leaves: Leaves = None) -> list[float | None]:
    """Seconds from the release until the receipted share of the leaves' people was each of `shares`; None = not yet."""
    chosen = np.zeros(len(book.people), dtype=bool)
    chosen[slice(None) if leaves is None else leaves] = True
    target = float(book.tally.micro_people[chosen].sum())
    if not target:
        return [None for _ in shares]
    times, heights = _trace(book, chosen).rise(chosen)
    found = [book.released_at if q <= 0 else first_reaching(times, heights, target, q) for q in shares]
    return [None if at is None else (int(at) - book.released_at) / 1000 for at in found]


def _trace(book: Book, leaves: NDArray[np.bool_]) -> Trace:
    """The steps of lo in some leaves."""
    reached = np.flatnonzero((book.outcome == Outcome.REACHED) & _touching(book, leaves))
    proofs = first_proof(book.times[:, reached], book.count_level[reached])
    gains = Gains(
        _person_gain(book, proofs, reached),
        {book.roster.channels[c]: _catchment_gain(book, proofs, reached, c, PPM) for c in _numbers(book, "device")},
        {book.roster.channels[c]: _catchment_gain(book, proofs, reached, c, 1) for c in _numbers(book, "area")},
        _told_gains(book),
    )
    return trace(book.tally.micro_people, gains, book.evidence, float)


def _person_gain(book: Book, proofs: Column, reached: Column) -> Gain:
    """Each reached person's weight at the first proof of any address. proofs: parallel to `reached`."""
    roster = book.roster
    first = np.full(roster.persons, NEVER, dtype=np.int64)
    person = roster.endpoint_person[reached]
    np.minimum.at(first, person[person >= 0], proofs[person >= 0])
    who = np.flatnonzero(first < NEVER)
    who = who[book.tally.micro_people[roster.person_leaf[who]] > 0]
    return Gain(roster.person_leaf[who], first[who], roster.person_weight[who].astype(np.int64) * PPM)


def _catchment_gain(book: Book, proofs: Column, reached: Column, channel: int, unit: int) -> Gain:
    """People around (or number of) a channel's reached endpoints, per leaf."""
    mine = book.roster.endpoint_channel[reached] == channel
    position, rows = book.tally.catchment(reached[mine])
    leaf, amount = book.tally.catch_leaf[rows], book.tally.catch_amount[rows] * unit
    peopled = book.tally.micro_people[leaf] > 0
    return Gain(leaf[peopled], proofs[mine][position][peopled], amount[peopled])


def _told_gains(book: Book) -> dict[tuple[str, int], tuple[Gain, Column, Column]]:
    """What counts of one leaf alone added, each by its time; only counts of distinct persons are receipts."""
    gains: dict[tuple[str, int], tuple[Gain, Column, Column]] = {}
    people = book.tally.micro_people
    own = np.ones(len(people), dtype=np.int64)
    for number in _numbers(book, "counted"):
        units = [o for o in np.flatnonzero(book.roster.endpoint_channel == number).tolist() if book.own_leaf(o)]
        areas = [[int(book.roster.endpoint_leaf[o])] for o in units]
        stacked = layers(areas)
        for layer in set(stacked):
            steps = [
                (area[0], at, ok * PPM)
                for unit, area, mine in zip(units, areas, stacked, strict=True)
                if mine == layer
                for at, ok in counted_steps(book.counts.get(unit, set()), book.cutoff)
            ]
            columns = np.array(steps, dtype=np.int64).reshape(-1, 3).T
            gains[(book.roster.channels[number], layer)] = (Gain(*columns), people, own)
    return gains


def curve(book: Book, leaves: Leaves = None, points: int = 400, now: Instant | None = None) -> Curve:
    """Coverage of the leaves by event time up to `now`, at no more than `points` moments.

    The book is folded anew in order of time, with today's plan: about 3 s for a million endpoints, so keep the result.
    """
    until = book.now if now is None else now
    chosen = np.arange(len(book.people)) if leaves is None else leaves
    level, ordinal, at = _history(book, chosen, until)
    replay = Book(book.roster, book.evidence, book.released_at, book.cutoff, book.domains)
    replay.plan(np.flatnonzero(book.planned))
    told = sorted((count[0], o, count) for o, said in book.counts.items() for count in said)
    rows: list[tuple[float, ...]] = []
    done = 0
    for moment in _moments(book, at, until, points):
        upto = int(np.searchsorted(at, moment, side="right"))
        replay.merge(ordinal[done:upto], level[done:upto], at[done:upto], at[done:upto])
        for when, o, (_, ok, sent) in told:
            if when <= moment:
                replay.count(o, sent, ok, when, when)
        replay.advance(moment)
        replay.refresh()
        done = upto
        region = replay.region(chosen)
        if region.target is not None:
            rows.append(((moment - book.released_at) / 1000, *(float(x) for x in region.share)))
    return Curve(*(list(column) for column in zip(*rows, strict=True))) if rows else Curve([], [], [], [])


def _history(book: Book, leaves: Column, until: Instant) -> tuple[Column, Column, Column]:
    """(level, ordinal, time) of all that the book knows of these leaves, in order of time."""
    inside = np.zeros(len(book.people), dtype=bool)
    inside[leaves] = True
    level, ordinal = np.nonzero((book.times <= until) & _touching(book, inside))
    at = book.times[level, ordinal]
    order = np.argsort(at, kind="stable")
    return level[order], ordinal[order], at[order]


def _touching(book: Book, leaves: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool[endpoints]: those whose person lives, or whose catchment lies, in one of the leaves."""
    roster = book.roster
    addressed = roster.endpoint_person >= 0
    touching = np.zeros(roster.endpoints, dtype=bool)
    touching[addressed] = leaves[roster.person_leaf[roster.endpoint_person[addressed]]]
    touching[roster.catch_endpoint[leaves[roster.catch_leaf]]] = True
    return touching


def _moments(book: Book, at: Column, until: Instant, points: int) -> list[Instant]:
    """The release, the moments of change (thinned evenly), the end of the cutoff, and now."""
    told = np.array([when for said in book.counts.values() for when, _, _ in said], dtype=np.int64)
    changes = np.unique(np.concatenate([at, told[told <= until]]))
    room = max(1, points - 3)
    if len(changes) > room:
        changes = changes[np.linspace(0, len(changes) - 1, room).astype(int)]
    ends = [book.cutoff + 1] if book.cutoff < until else []
    return sorted({book.released_at, *changes.tolist(), *ends, max(until, book.released_at)})
