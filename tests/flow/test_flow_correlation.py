"""Correlation: a far side's id finds its person whichever half comes first, over restarts, and the newest bearer has it."""

from __future__ import annotations

from itertools import permutations
from random import Random

import numpy as np
import pytest

from gateway.flow.correlation import Correlation
from gateway.model.journal import ACCEPTED, RECEIPT, STATEMENT, Statements
from gateway.model.receipt import Level

NOW = 1_784_701_800_000


def bound(far: int, dispatch: int, ordinal: int) -> Statements:
    """What a send answered: this id is that person's."""
    row = np.zeros(1, STATEMENT)
    row["kind"], row["far"], row["dispatch"], row["ordinal"], row["level"] = (
        ACCEPTED,
        far,
        dispatch,
        ordinal,
        Level.ACCEPTED,
    )
    return row


def told(far: int, level: Level = Level.DELIVERED, at: int = NOW) -> Statements:
    """A receipt that names only the id."""
    row = np.zeros(1, STATEMENT)
    row["kind"], row["far"], row["ordinal"], row["level"], row["received_at"] = RECEIPT, far, -1, level, at
    return row


def joined(correlation: Correlation, *blocks: Statements) -> set[tuple[int, int, int]]:
    """(dispatch, ordinal, level) of all that came out."""
    out = [correlation.join(block) for block in blocks]
    return {(row["dispatch"].item(), row["ordinal"].item(), row["level"].item()) for block in out for row in block}


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_the_halves_may_come_in_any_order(order: tuple[int, ...]) -> None:
    blocks = [bound(11, 1, 0), bound(12, 1, 1), told(11), told(12, Level.FAILED)]
    assert joined(Correlation(), *(blocks[place] for place in order)) == {
        (1, 0, Level.ACCEPTED),
        (1, 1, Level.ACCEPTED),
        (1, 0, Level.DELIVERED),
        (1, 1, Level.FAILED),
    }


@pytest.mark.parametrize("cut", range(5))
def test_a_restart_between_any_two_blocks_changes_nothing(cut: int) -> None:
    blocks = [told(12), bound(11, 1, 0), told(11), bound(12, 1, 1)]
    before = Correlation()
    found = joined(before, *blocks[:cut])
    after = Correlation.restore(before.snapshot())
    assert found | joined(after, *blocks[cut:]) == joined(Correlation(), *blocks)


def test_a_snapshot_of_receipts_alone_can_be_gone_on_from() -> None:
    before = Correlation()
    before.join(told(11))
    after = Correlation.restore(before.snapshot())
    assert joined(after, told(12)) == set()
    assert joined(after, bound(11, 1, 0)) == {(1, 0, Level.ACCEPTED), (1, 0, Level.DELIVERED)}


def test_an_id_that_is_given_anew_belongs_to_the_newest_bearer() -> None:
    """A far side that starts counting again: receipts must not prove anything of the old alert."""
    correlation = Correlation()
    correlation.join(bound(11, 1, 0))
    for filler in range(100, 140):  # whatever way the runs are merged
        correlation.join(bound(filler, 1, filler))
    correlation.join(bound(11, 2, 5))
    assert joined(correlation, told(11)) == {(2, 5, Level.DELIVERED)}
    again = Correlation.restore(correlation.snapshot())
    assert joined(again, told(11)) == {(2, 5, Level.DELIVERED)}


def test_a_receipt_that_names_its_person_needs_no_id() -> None:
    row = told(0)
    row["dispatch"], row["ordinal"] = 3, 4
    assert joined(Correlation(), row) == {(3, 4, Level.DELIVERED)}


def test_a_receipt_that_names_nobody_is_dropped() -> None:
    correlation = Correlation()
    assert joined(correlation, told(0)) == set()
    assert len(correlation.waiting) == 0


def test_who_waits_too_long_is_given_up() -> None:
    correlation = Correlation()
    correlation.join(np.concatenate((told(11, at=NOW), told(12, at=NOW + 5))))
    assert correlation.forget(NOW + 5)["far"].tolist() == [11]
    assert joined(correlation, bound(11, 1, 0), bound(12, 1, 1)) >= {(1, 1, Level.DELIVERED)}
    assert (1, 0, Level.DELIVERED) not in joined(correlation, bound(11, 1, 0))


def test_thirty_thousand_ids_in_random_order() -> None:
    count = 30_000
    far = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(2_654_435_761)
    bindings = np.zeros(count, STATEMENT)
    bindings["kind"], bindings["far"], bindings["dispatch"] = ACCEPTED, far, 1
    bindings["ordinal"] = np.arange(count)
    receipts = np.zeros(count, STATEMENT)
    receipts["kind"], receipts["far"], receipts["ordinal"] = RECEIPT, far, -1
    receipts["spare"] = np.arange(count) % 251
    order = np.random.default_rng(1).permutation(count)
    correlation, out = Correlation(), []
    blocks = [bindings[start : start + 500] for start in range(0, count, 500)]
    blocks += [receipts[order[start : start + 500]] for start in range(0, count, 500)]
    Random(2).shuffle(blocks)
    for block in blocks:
        found = correlation.join(block)
        out.append(found[found["kind"] == RECEIPT])
    everything = np.concatenate(out)
    assert len(correlation.waiting) == 0
    assert sorted(everything["ordinal"].tolist()) == list(range(count))
    assert (everything["spare"] == everything["ordinal"] % 251).all()
