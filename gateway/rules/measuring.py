"""Measuring: the one function that turns a leaf's integer counts into receipted / estimated / possible, and what follows.

The live ledger and `tongluo coverage evaluate` both call `measure`, so that they are equal by construction. It works on
columns, one row for each leaf, with floats or (for audits) with exact Fractions; every sum runs in sorted order, so that
equal counts give equal bits.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from gateway.model.coverage import (
    NO_COVERAGE,
    Column,
    Evidence,
    Heard,
    LeafCounts,
    Number,
    RegionCoverage,
    Told,
    Triple,
    Verdict,
)

Channels = Mapping[str, Evidence]
Kind = type[float] | type[Fraction]

TOLERANCE = 1e-9
"""Two floats nearer than this are the same share."""


def measure(counts: LeafCounts, evidence: Channels, number: Kind = float, domains: bool = False) -> Triple:
    """lo, est and hi of each row, as columns of `number`; every row must have people.

    `domains`: outcomes still unknown within one failure domain combine by their maximum instead of independently.
    """
    lo = receipted(counts, evidence, number)
    hi = _possible(counts, evidence, number)
    est = _estimated(counts, evidence, number, domains)
    bounds = Triple(lo, np.minimum(np.maximum(est, lo), hi), hi)
    return bounds if number is float else Triple(*(_fractions(bound) for bound in bounds))


def receipted(counts: LeafCounts, evidence: Channels, number: Kind = float) -> Column:
    """lo of each row: the strongest single source of receipts (sources may have reached the same people)."""
    lo = _at_most_one(share(counts.reached, counts.people, number))
    for name, heard in counts.devices.items():
        lo = np.maximum(lo, _at_most_one(share(heard.reached, counts.people, number) * evidence[name].hear_lo))
    for name, heard in counts.sends.items():
        lo = np.maximum(lo, _where(heard.reached > 0, evidence[name].reach_lo))
    for (name, _), told in counts.told.items():
        if evidence[name].unique:
            lo = np.maximum(lo, _where(told.own > 0, _at_most_one(_per_head(told.ok, told, number))))
    return lo


def answered_share(counts: LeafCounts, number: Kind = float) -> Column:
    """Share of each row's people who answered (read, acknowledged, replied)."""
    replies = _at_most_one(share(counts.answered, counts.people, number))
    return replies if number is float else _fractions(replies)


def _fractions(column: Column) -> Column:
    """The same values, whole numbers too as Fractions."""
    return np.array([*map(Fraction, column.tolist()), None], dtype=object)[:-1]


def share(part: Column, whole: Column, number: Kind) -> Column:
    """part / whole, each quotient rounded once (integers below 2^53), so that the unit of the counts does not matter."""
    if number is float and part.dtype != object and whole.dtype != object:
        quotient: Column = part / whole
        return quotient
    exact = [Fraction(p) / Fraction(w) for p, w in zip(part.tolist(), whole.tolist(), strict=True)]
    return np.array([number(value) for value in exact], dtype=float if number is float else object)


def _possible(counts: LeafCounts, evidence: Channels, number: Kind) -> Column:
    """hi of each row: everything still possible, no two sources sharing anybody."""
    persons = counts.reached + counts.pending
    for _, weight in sorted(counts.handed.items()):
        persons = persons + weight
    hi = _at_most_one(share(persons, counts.people, number))
    for name, heard in sorted(counts.devices.items()):
        around = heard.reached + heard.handed + heard.pending
        hi = hi + _at_most_one(share(around, counts.people, number) * evidence[name].hear_hi)
    for name, heard in sorted(counts.sends.items()):
        hi = hi + (heard.reached + heard.handed + heard.pending) * evidence[name].reach_hi
    for (name, _), told in sorted(counts.told.items()):
        hi = hi + _at_most_one(_per_head(told.sent, told, number))
        hi = hi + _where(told.pending > 0, evidence[name].reach_hi)
    return _at_most_one(hi)


def _estimated(counts: LeafCounts, evidence: Channels, number: Kind, domains: bool) -> Column:
    """est of each row: 1 minus the share of people whom every source misses.

    What devices and areas miss (`bystander`) is the same for everybody; each class of persons is missed less, by its own
    addresses.
    """
    sure, risks = _leafwide(counts, evidence, number, domains)
    bystander = _missed(sure, risks, {})
    est = (1 - bystander) + share(counts.reached, counts.people, number) * bystander
    for channels, weight in sorted(counts.handed.items()):
        free, own = _personal(channels, evidence, domains)
        missed = _missed(sure * free, risks, own)
        est = est + share(weight, counts.people, number) * (bystander - missed)
    return _at_most_one(est)


def _leafwide(counts: LeafCounts, evidence: Channels, number: Kind, domains: bool) -> tuple[Column, dict[str, Column]]:
    """What all sources that speak to the whole leaf miss: a product of independent parts, and the risk per failure domain."""
    sure = np.full(len(counts.people), 1, dtype=float if number is float else object)
    risks: dict[str, Column] = {}
    for name, heard in sorted(counts.devices.items()):
        domain = evidence[name].failure_domain if domains else ""
        known, total = _devices(heard, counts.people, evidence[name], number)
        sure = sure * (1 - (known if domain else total))
        if domain:
            _strengthen(risks, domain, _remainder(known, total))
    for name, heard in sorted(counts.sends.items()):
        domain = evidence[name].failure_domain if domains else ""
        reach = evidence[name].reach_est
        sure = sure * _power(1 - reach, heard.reached if domain else heard.reached + heard.handed, number)
        if domain:
            _strengthen(risks, domain, _where(heard.handed > 0, reach))
    for (name, _), told in sorted(counts.told.items()):
        residents = _per_head(told.ok, told, number) * evidence[name].share_res
        sure = sure * (1 - _at_most_one(residents))
    return sure, risks


def _devices(heard: Heard, people: Column, evidence: Evidence, number: Kind) -> tuple[Column, Column]:
    """What a device channel's played, and its played and expected devices together, reach of each row."""
    played, expected = share(heard.reached, people, number), share(heard.handed, people, number)
    q: Any = evidence.q
    hear: Any = evidence.hear_est
    return _at_most_one(played * hear), _at_most_one((played + expected * q) * hear)


def _remainder(known: Column, total: Column) -> Column:
    """The risk that, joined independently to `known`, gives `total`."""
    rest = 1 - known
    return (total - known) / np.where(rest > 0, rest, 1)


def _strengthen(risks: dict[str, Column], domain: str, risk: Column) -> None:
    """Within a failure domain only the strongest unknown outcome counts."""
    risks[domain] = np.maximum(risks[domain], risk) if domain in risks else risk


def _personal(channels: Sequence[str], evidence: Channels, domains: bool) -> tuple[Number, dict[str, Number]]:
    """What a person's own unanswered addresses miss: independent part, and the strongest per failure domain."""
    free: Number = 1
    own: dict[str, Number] = {}
    for name in channels:
        domain = evidence[name].failure_domain if domains else ""
        if domain:
            own[domain] = max(own.get(domain, 0), evidence[name].q)
        else:
            free = free * (1 - evidence[name].q)
    return free, own


def _missed(sure: Column, risks: Mapping[str, Any], own: Mapping[str, Any]) -> Column:
    """Share missed by everything: `sure`, and in each failure domain the stronger of the leaf's and the person's own."""
    missed = sure
    for domain in sorted(risks.keys() | own.keys()):
        leafwide, personal = np.asarray(risks.get(domain, 0)), np.asarray(own.get(domain, 0))
        missed = missed * (1 - np.maximum(leafwide, personal))
    return missed


def _power(base: Number, exponents: Column, number: Kind) -> Column:
    """base ** exponent by multiplication: the same bits on every machine, and exact for Fractions."""
    power = np.full(len(exponents), 1, dtype=float if number is float else object)
    for times in range(int(max(exponents, default=0))):
        power = np.where(exponents > times, power * base, power)
    return power


def _per_head(contacts: Column, told: Told, number: Kind) -> Column:
    """Contacts per target person of the counted area; 0 where a leaf lies in no such area."""
    return share(contacts, np.where(told.base > 0, told.base, 1), number)


def _where(condition: Column, value: Any) -> Column:
    """`value` in the rows where the condition holds, 0 in the others."""
    return np.where(condition, value, 0)


def _at_most_one(column: Column) -> Column:
    return np.minimum(column, 1)


def aggregate(people: Column, shares: Triple, answered: Column, with_receipt: Column) -> RegionCoverage:
    """A region from its leaves that have people: disjoint leaves add; a parent is never the mean of percentages.

    All columns run parallel, one row for each such leaf. Sums are exact for Fractions and rounded once for floats.
    """
    if not len(people):
        return NO_COVERAGE
    target = total(people)
    heads = Triple(*(total(people * bound) for bound in shares))
    leaves, reached = len(people), int(np.count_nonzero(with_receipt))
    if leaves == 1:
        alone = Triple(*(bound.tolist()[0] for bound in shares))
        return RegionCoverage(target, alone, heads, answered.tolist()[0], 1, reached)
    region = Triple(*(min(value / target, 1) for value in heads))
    return RegionCoverage(target, region, heads, total(people * answered) / target, leaves, reached)


def total(values: Column) -> Number:
    """The sum of a column, rounded once for floats, exact for Fractions."""
    if values.dtype == object:
        return sum(values.tolist(), Fraction(0))
    return math.fsum(values.tolist())


def reaches(value: Number, goal: Number) -> bool:
    """value >= goal; floats that differ by less than 1e-9 are equal."""
    if isinstance(value, float) or isinstance(goal, float):
        return value >= goal - TOLERANCE
    return value >= goal


def status(share: Triple, goal_bp: Number, basis: str = "est", answered: Number | None = None) -> Verdict:
    """What a region's triple says about a goal in basis points, read on `basis` (lo, est, answered).

    An estimate never announces 100 %: a goal of 10000 is met by receipts only.
    """
    if share.lo is None:
        return Verdict.NO_TARGET
    goal = Fraction(goal_bp) / 10000
    if reaches((answered or 0) if basis == "answered" else share.lo, goal):
        return Verdict.MET_CONFIRMED
    if basis == "est" and goal < 1 and reaches(share.est, goal):
        return Verdict.MET_ESTIMATED
    return Verdict.POSSIBLE if reaches(share.hi, goal) else Verdict.GAP


def gap_people(people: Number, share: Number, goal: Number) -> int:
    """People still lacking to the goal, rounded up to whole people; 0 if it is reached."""
    lacking = people * (goal - share)
    return max(0, math.ceil(lacking - TOLERANCE if isinstance(lacking, float) else lacking))


def floor_display(value: float | str | Fraction) -> str:
    """A share as per cent, rounded down to one decimal: 0.91999 -> "91.9". Strings and Fractions are read exactly."""
    exact = Fraction(value) + (Fraction(1, 10**12) if isinstance(value, float) else 0)
    tenths = math.floor(exact * 1000)
    return f"{tenths // 10}.{tenths % 10}"


def nearest_ranks(delays: Column, weights: Column, shares: Sequence[Fraction]) -> list[Any]:
    """Weighted nearest ranks: for each q the smallest delay whose cumulated weight is at least q of the whole.

    None without weight. Delays and weights run parallel: integers or Fractions.
    """
    order = np.argsort(delays, kind="stable")
    cumulated = np.cumsum(weights[order]).tolist()
    if not cumulated or not cumulated[-1]:
        return [None for _ in shares]
    return [delays[order[bisect_left(cumulated, cumulated[-1] * q)]] for q in shares]
