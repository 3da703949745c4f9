"""Status, display, gaps and ranks: the last step from a share to what a person reads."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.coverage import Evidence, Heard, LeafCounts, Number, Triple, Verdict
from gateway.rules.measuring import (
    aggregate,
    floor_display,
    gap_people,
    measure,
    nearest_ranks,
    share,
    status,
    total,
)


@pytest.mark.parametrize(
    ("triple", "goal_bp", "basis", "verdict"),
    [
        (Triple(0.92, 0.95, 1.0), 9200, "est", Verdict.MET_CONFIRMED),
        (Triple(0.8, 0.92 - 1e-12, 1.0), 9200, "est", Verdict.MET_ESTIMATED),
        (Triple(0.8, 0.92 - 1e-6, 1.0), 9200, "est", Verdict.POSSIBLE),
        (Triple(0.8, 0.95, 1.0), 9200, "lo", Verdict.POSSIBLE),
        (Triple(0.8, 0.95, 1.0), 9200, "answered", Verdict.POSSIBLE),
        (Triple(0.1, 0.2, 0.91), 9200, "est", Verdict.GAP),
        (Triple(0.5, 1.0, 1.0), 10000, "est", Verdict.POSSIBLE),
        (Triple(1.0, 1.0, 1.0), 10000, "est", Verdict.MET_CONFIRMED),
        (Triple(0.0, 0.0, 0.0), 0, "est", Verdict.MET_CONFIRMED),
        (Triple(None, None, None), 9200, "est", Verdict.NO_TARGET),
        (Triple(Fraction(23, 25), Fraction(1), Fraction(1)), 9200, "est", Verdict.MET_CONFIRMED),
        (Triple(Fraction(0), Fraction(91999999999, 10**11), Fraction(1)), 9200, "est", Verdict.POSSIBLE),
    ],
)
def test_status(triple: Triple, goal_bp: int, basis: str, verdict: Verdict) -> None:
    assert status(triple, goal_bp, basis) is verdict


def test_a_goal_on_answers_is_met_by_answers() -> None:
    assert status(Triple(0.1, 0.2, 1.0), 5000, "answered", 0.5) is Verdict.MET_CONFIRMED
    assert status(Triple(0.9, 0.9, 1.0), 5000, "answered", 0.4) is Verdict.POSSIBLE


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0.9199", "91.9"),
        (0.29, "29.0"),
        (1 - (1 - 0.1), "10.0"),
        (Fraction(2, 3), "66.6"),
        ("1", "100.0"),
        (0.0, "0.0"),
    ],
)
def test_display_rounds_down(value: float | str | Fraction, shown: str) -> None:
    assert floor_display(value) == shown


def test_a_text_is_never_rounded_up() -> None:
    assert floor_display("0.9199999999999999999") == "91.9"
    assert floor_display(0.92 - 1e-11) == "91.9"


@pytest.mark.parametrize(
    ("people", "now", "goal", "lacking"),
    [(100, 0.88, 0.9, 2), (100, 0.9, 0.9, 0), (100, 0.95, 0.9, 0), (1000, 0.8999, 0.9, 1), (3, Fraction(1, 3), 1, 2)],
)
def test_people_lacking_are_rounded_up(people: int, now: Number, goal: Number, lacking: int) -> None:
    assert gap_people(people, now, goal) == lacking


def test_nearest_ranks() -> None:
    delays, weights = np.array([30, 10, 20]), np.array([1, 1, 2])
    wanted = [Fraction(q) for q in ("0.25", "0.26", "0.75", "0.76", "1")]
    assert nearest_ranks(delays, weights, wanted) == [10, 20, 20, 30, 30]
    assert nearest_ranks(delays[:0], weights[:0], wanted[:1]) == [None]
    assert nearest_ranks(delays, weights * 0, wanted[:1]) == [None]


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(1, 10**3))
def test_the_unit_of_the_counts_does_not_matter(part: int, whole: int, unit: int) -> None:
    exact = share(np.array([Fraction(part)], dtype=object), np.array([Fraction(whole)], dtype=object), float)
    counted = share(np.array([part * unit]), np.array([whole * unit]), float)
    assert exact.tolist() == counted.tolist() == [part / whole]


def test_equal_counts_give_equal_bits_in_any_order() -> None:
    zero, rng = np.zeros(50, dtype=np.int64), np.random.default_rng(7)
    names = [f"c{n}" for n in range(6)]
    evidence = {name: Evidence("device", q=rng.random(), hear_est=rng.random()) for name in names}
    heard = {name: Heard(*rng.integers(0, 40, (3, 50))) for name in names}
    people = rng.integers(1, 90, 50)
    forth = measure(LeafCounts(people, zero, zero, zero, devices=heard), evidence)
    back = measure(LeafCounts(people, zero, zero, zero, devices=dict(reversed(heard.items()))), evidence)
    assert all((one == other).all() for one, other in zip(forth, back, strict=True))
    assert (forth.lo <= forth.est).all()
    assert (forth.est <= forth.hi).all()


def test_a_region_of_one_leaf_has_that_leafs_numbers_to_the_bit() -> None:
    people, tenth, yes = np.array([3.0]), np.array([0.1]), np.array([True])
    assert 3.0 * 0.1 / 3.0 != 0.1
    alone = aggregate(people, Triple(tenth, tenth, tenth), tenth, yes)
    assert (alone.share, alone.answered) == ((0.1, 0.1, 0.1), 0.1)


def test_totals_are_rounded_once() -> None:
    assert total(np.array([1e16, 1.0, -1e16])) == 1.0
    assert total(np.array([Fraction(1, 3)] * 3, dtype=object)) == 1
