"""The live Book equals the pure evaluation, bit for bit, whatever the order, repetition and splitting of what it is told."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from coverage_rosters import Night, Statement, nights
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.model.coverage import Evidence, Outcome, RegionCoverage
from gateway.model.journal import NEVER
from gateway.model.receipt import Level
from gateway.model.roster import PPM, Roster, RosterLeaf
from gateway.rules.evaluating import evaluate
from gateway.rules.folding import Book
from gateway.rules.reviewing import quality, time_to

LATER = 100_000
"""After everything that a random night says."""


def merge(book: Book, statements: list[Statement]) -> None:
    """Merge one block."""
    ordinals, levels, event_at, received_at = np.array(statements, dtype=np.int64).reshape(-1, 4).T
    book.merge(ordinals, levels, event_at, received_at)


def tell(book: Book, night: Night, chance: random.Random) -> Book:
    """Tell the book everything, in random order and blocks, some of it twice, with restarts in between."""
    everything = night.statements * 2
    chance.shuffle(everything)
    while everything:
        size = chance.randint(1, 5)
        merge(book, everything[:size])
        everything = everything[size:]
        if chance.random() < 0.3:
            book.refresh()
        if chance.random() < 0.3:
            book = Book.restore(night.roster, night.evidence(), book.snapshot(), night.domains)
    for ordinal, sent, ok, at in chance.sample(night.counts, len(night.counts)):
        book.count(ordinal, sent, ok, at, NEVER)
    return book


def line(coverage: RegionCoverage) -> dict[str, Any]:
    """A region of the book as `evaluate` writes it."""
    lo, est, hi = coverage.share
    counts = {"leaves_total": coverage.leaves_total, "leaves_reached": coverage.leaves_reached}
    return {"target": coverage.target, "lo": lo, "est": est, "hi": hi, "answered": coverage.answered} | counts


def assert_equal(book: Book, night: Night, as_of: int) -> None:
    """Every number of every region is the same to the bit."""
    found = evaluate(night.scenario(as_of=f"{as_of}/1000"))["results"][0]["result"]
    numbers = np.arange(len(night.roster.leaves))
    sets = {"all": numbers, "town0": numbers[::2], "town1": numbers[1::2]}
    sets |= {leaf.code: numbers[n : n + 1] for n, leaf in enumerate(night.roster.leaves)}
    for region, leaves in sets.items():
        expected = found["regions"][region]
        assert line(book.region(leaves)) == {key: expected[key] for key in line(book.region(leaves))}
        wanted = ["0.25", "0.5", "0.75", "0.9", "0.95", "1"]
        assert time_to(book, [float(q) for q in wanted], leaves) == [found["time_to"][region][q] for q in wanted]
    flags = quality(book)
    assert flags.late == found["quality"]["late"]
    assert flags.conflicts == found["quality"]["conflicts"]
    assert flags.out_of_target == found["quality"]["out_of_target"]
    assert list(flags.register_exceeds_population) == found["quality"]["register_exceeds_population"]


@settings(max_examples=100, deadline=None)
@given(nights(), st.randoms(use_true_random=False))
def test_any_order_repetition_split_and_restart_give_the_evaluation(night: Night, chance: random.Random) -> None:
    book = tell(night.book(), night, chance)
    book.advance(LATER)
    book.refresh()
    assert_equal(book, night, LATER)


@settings(max_examples=40, deadline=None)
@given(nights(), st.integers(0, 60_000), st.randoms(use_true_random=False))
def test_the_past_is_the_same_fold_with_a_cut(night: Night, at: int, chance: random.Random) -> None:
    assert_equal(tell(night.book(), night, chance).as_of(at), night, at)


@settings(max_examples=40, deadline=None)
@given(nights(), st.integers(0, 60_000), st.randoms(use_true_random=False))
def test_a_cancel_cuts_anew_whenever_it_comes(night: Night, cancelled_at: int, chance: random.Random) -> None:
    book = tell(night.book(), night, chance)
    book.advance(LATER)
    book.refresh()
    cutoff = cancelled_at if night.cutoff is None else min(cancelled_at, night.cutoff)
    book.recut(cutoff)
    book.refresh()
    night.cutoff = cutoff
    assert_equal(book, night, LATER)


@settings(max_examples=40, deadline=None)
@given(nights(), st.randoms(use_true_random=False))
def test_two_nodes_that_merge_are_one_log(night: Night, chance: random.Random) -> None:
    half = len(night.statements) // 2
    one, other, whole = night.book(), night.book(), tell(night.book(), night, chance)
    merge(one, night.statements[:half])
    merge(other, night.statements[half:])
    assert (np.minimum(one.times, other.times) == whole.times).all()


def small(people: int = 10) -> Book:
    """Two villages, one person in each with one SMS address, both planned."""
    leaves = (RosterLeaf("V", "V", people * PPM), RosterLeaf("W", "W", people * PPM))
    persons, none = np.array([0, 1], dtype=np.int32), np.zeros(0, dtype=np.int32)
    channel = np.zeros(2, dtype=np.int16)
    weight = np.array([4, 6], dtype=np.int32)
    roster = Roster(leaves, ("sms",), persons, weight, persons, channel, persons, none, none, none)
    book = Book(roster, {"sms": Evidence(q=0.6)}, released_at=0, cutoff=50)
    book.plan(slice(None))
    book.refresh()
    return book


def test_refresh_names_only_the_leaves_that_changed() -> None:
    book = small()
    merge(book, [(1, Level.ACCEPTED, NEVER, 5)])
    assert book.refresh().tolist() == [1]
    merge(book, [(1, Level.ACCEPTED, NEVER, 6)])
    assert book.refresh().tolist() == []
    assert book.shares.est.tolist() == [0.0, pytest.approx(0.36)]
    assert book.handed(slice(None)).tolist() == [False, True]


def test_of_two_times_the_earlier_holds_in_any_order() -> None:
    for times in ([20, 60], [60, 20]):
        book = small()
        for at in times:
            merge(book, [(0, Level.DELIVERED, NEVER, at)])
        merge(book, [(1, Level.DELIVERED, NEVER, at) for at in times])
        book.refresh()
        assert book.times[Level.DELIVERED].tolist() == [20, 20]
        assert book.outcome.tolist() == [Outcome.REACHED, Outcome.REACHED]


def test_what_was_never_planned_adds_nothing_until_it_is() -> None:
    night = small()
    book = Book(night.roster, night.evidence, released_at=0)
    book.refresh()
    assert book.shares.hi.tolist() == [0.0, 0.0]
    book.plan(np.array([0]))
    book.refresh()
    assert book.shares.hi.tolist() == [0.4, 0.0]


def test_the_cutoff_ends_what_was_never_sent() -> None:
    book = small()
    merge(book, [(0, Level.SENT, 7, 7)])
    for now, outcomes in ((50, [Outcome.HANDED, Outcome.PENDING]), (51, [Outcome.HANDED, Outcome.ENDED])):
        book.advance(now)
        book.refresh()
        assert book.outcome.tolist() == outcomes
    assert book.shares.hi.tolist() == [0.4, 0.0]


def test_statements_of_strange_endpoints_are_counted_and_ignored() -> None:
    book = small()
    merge(book, [(2, Level.ACK, 3, 3), (-1, Level.ACK, 3, 3), (0, 9, 3, 3), (0, Level.DELIVERED, 3, 3)])
    book.refresh()
    assert book.unknown == 3
    assert book.region().people.lo == 4.0


def test_a_snapshot_belongs_to_its_roster() -> None:
    book = small()
    leaf, none = (RosterLeaf("V", "V", PPM),), np.zeros(0, dtype=np.int32)
    other = Roster(leaf, ("sms",), none, none, none, np.zeros(0, dtype=np.int16), none, none, none, none)
    with pytest.raises(ValueError, match="snapshot of 2 endpoints, roster of 0"):
        Book.restore(other, book.evidence, book.snapshot())


def test_a_channel_without_evidence_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"channels\.sms\.evidence"):
        Book(small().roster, {}, released_at=0)


def test_a_person_with_very_many_addresses_still_counts_once() -> None:
    names = tuple(f"c{n:02}" for n in range(40))
    addresses = len(names) * 4
    zero = np.zeros(addresses, dtype=np.int32)
    channel = np.repeat(np.arange(40, dtype=np.int16), 4)
    one, none = np.zeros(1, dtype=np.int32), np.zeros(0, dtype=np.int32)
    leaf = (RosterLeaf("V", "V", 10 * PPM),)
    weight = np.array([5], dtype=np.int32)
    roster = Roster(leaf, names, one, weight, zero, channel, zero, none, none, none)
    book = Book(roster, {name: Evidence(q=0.01) for name in names}, released_at=0)
    merge(book, [(o, Level.SENT, 1, 1) for o in range(addresses)])
    book.refresh()
    assert book.shares.est.tolist() == [pytest.approx(0.5 * (1 - 0.99**addresses))]
    merge(book, [(7, Level.DELIVERED, 2, 2)])
    book.refresh()
    assert book.region().share == (0.5, 0.5, 0.5)
