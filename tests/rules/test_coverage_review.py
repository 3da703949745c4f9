"""What pages and reports read off a Book: curve, channels with their delays and failures, quality."""

from __future__ import annotations

import random

import numpy as np
import pytest
from coverage_rosters import Night, nights
from hypothesis import given, settings
from hypothesis import strategies as st
from test_coverage_book import LATER, merge, tell

from gateway.model.coverage import Evidence
from gateway.model.journal import NEVER
from gateway.model.receipt import Level, Reason
from gateway.model.roster import NOBODY, PPM, Roster, RosterLeaf
from gateway.rules.folding import Book
from gateway.rules.reviewing import channel_summary, curve, quality, time_to


def village() -> Book:
    """A village of 10 with four people of weights 1, 2, 3, 4 by SMS and a loudspeaker for 8; released at 1000 ms."""
    people = np.array([0, 1, 2, 3, NOBODY], dtype=np.int32)
    roster = Roster(
        (RosterLeaf("V", "V", 10 * PPM), RosterLeaf("lost", "lost", None)),
        ("sms", "speaker"),
        np.zeros(4, dtype=np.int32),
        np.array([1, 2, 3, 4], dtype=np.int32),
        people,
        np.array([0, 0, 0, 0, 1], dtype=np.int16),
        np.zeros(5, dtype=np.int32),
        np.array([4], dtype=np.int32),
        np.array([0], dtype=np.int32),
        np.array([8], dtype=np.int32),
    )
    evidence = {"sms": Evidence(q=0.5), "speaker": Evidence(kind="device", q=0.5, hear_lo=0.5)}
    book = Book(roster, evidence, released_at=1000, cutoff=61_000)
    book.plan(slice(None))
    return book


@settings(max_examples=40, deadline=None)
@given(nights(), st.randoms(use_true_random=False))
def test_a_curve_is_the_past_at_each_of_its_moments(night: Night, chance: random.Random) -> None:
    book = tell(night.book(), night, chance)
    book.advance(LATER)
    book.refresh()
    found = curve(book)
    assert (len(found.t) == 0) == (book.region().target is None)
    for t, lo, est, hi in list(zip(found.t, found.lo, found.est, found.hi, strict=True))[::3]:
        assert book.as_of(round(t * 1000) + night.released_at).region().share == (lo, est, hi)


def test_a_curve_rises_step_by_step_and_ends_now() -> None:
    book = village()
    merge(book, [(0, Level.SENT, NEVER, 2000), (0, Level.DELIVERED, NEVER, 3000), (4, Level.DELIVERED, NEVER, 5000)])
    book.advance(70_000)
    book.refresh()
    found = curve(book)
    assert found.t == [0, 1, 2, 4, 60.001, 69]
    assert found.lo == [0, 0, 0.1, 0.4, 0.4, 0.4]
    assert found.hi == [1, 1, 1, 1, 0.9, 0.9]
    assert found.est == pytest.approx([0, 0.05, 0.1, 0.82, 0.82, 0.82])


def test_a_curve_has_no_more_points_than_asked_for() -> None:
    book = village()
    merge(book, [(o, level, NEVER, 2000 + 97 * o + 13 * level) for o in range(5) for level in (1, 2, 3, 4)])
    book.advance(9000)
    book.refresh()
    found = curve(book, points=8)
    assert len(found.t) <= 8
    assert (found.t[0], found.t[-1]) == (0, 8)
    assert (found.lo[-1], found.est[-1], found.hi[-1]) == book.region().share


def test_a_curve_of_some_leaves_reads_those_only() -> None:
    book = village()
    merge(book, [(0, Level.DELIVERED, NEVER, 3000)])
    book.refresh()
    assert curve(book, np.array([1])).t == []
    assert curve(book, np.array([0])) == curve(book)


def test_channels_tell_targets_receipts_failures_and_delays() -> None:
    book = village()
    failed = np.array([Level.FAILED, Level.FAILED])
    when = np.array([2000, 9000])
    book.merge(np.array([2, 2]), failed, when, when, np.array([Reason.TIMEOUT, Reason.UNREACHABLE]))
    merge(
        book, [(0, Level.DELIVERED, NEVER, 31_000), (1, Level.READ, NEVER, 11_000), (3, Level.DELIVERED, NEVER, 61_001)]
    )
    book.refresh()
    sms, speaker = channel_summary(book)
    assert (sms.targets, sms.handed, sms.receipts, sms.late, sms.pending) == (4, 3, 2, 1, 0)
    assert sms.failed == {"unreachable": 1}
    assert sms.levels == {"sent": 3, "accepted": 3, "delivered": 3, "read": 1, "ack": 0}
    assert (sms.p50_s, sms.p90_s) == (10, 30)
    assert (speaker.kind, speaker.pending, speaker.handed, speaker.p50_s, speaker.failed) == ("device", 1, 0, None, {})


def test_time_to_is_null_until_it_happens() -> None:
    book = village()
    merge(
        book, [(0, Level.DELIVERED, NEVER, 4000), (4, Level.DELIVERED, NEVER, 3500), (3, Level.DELIVERED, NEVER, 6000)]
    )
    book.refresh()
    assert time_to(book, [0, 0.4, 0.41, 0.5, 0.51]) == [0, 2.5, 5, 5, None]
    assert time_to(book, [0.4], np.array([1])) == [None]


def test_quality_names_leaves_without_population_and_too_full_registers() -> None:
    book = village()
    merge(book, [(0, Level.FAILED, NEVER, 3000), (0, Level.DELIVERED, NEVER, 4000)])
    book.refresh()
    flags = quality(book)
    assert (flags.conflicts, flags.population_unknown, flags.register_exceeds_population) == (1, ("lost",), ())
