"""Planned records: who stands in the outbox is told to the journal in the same commit, and the folder reads it there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from core import Core, cap, core, reference
from store_kit import new_batch

from gateway.flow.records import attempt_block, planned_block, planned_in
from gateway.model.journal import Attempts
from gateway.ports.store import BatchRow
from gateway.testing.hamlet import NANSHAN, QINGYUAN


def ordinals(block: Attempts) -> list[int]:
    """Those of whom the records speak."""
    return [n for first, count in zip(block["first"], block["count"], strict=True) for n in range(first, first + count)]


async def in_journal(it: Core) -> list[tuple[int, list[int]]]:
    """(dispatch, ordinals) of every row that says what was planned."""
    rows = [planned_in(row.attempts) for row in await it.read(lambda tx: tx.journal.after(0, 1000))]
    return [(int(block["dispatch"][0]), ordinals(block)) for block in rows if len(block)]


async def in_outbox(it: Core, dispatch: int) -> list[int]:
    batches: list[BatchRow] = await it.read(lambda tx: tx.outbox.of_dispatch(dispatch))
    return [int(ordinal) for row in batches for ordinal in row.whole]


def test_a_record_for_each_run_of_those_who_are_meant() -> None:
    some = np.array([5, 6, 9], np.int32)
    block = planned_block(7, [new_batch(0, 4), new_batch(4, 6, only=some)])
    assert set(block["dispatch"].tolist()) == {7}
    assert list(zip(block["first"].tolist(), block["count"].tolist(), strict=True)) == [(0, 4), (5, 2), (9, 1)]
    assert len(planned_block(7, [])) == 0


async def test_an_attempt_is_no_plan(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        await it.post(cap(it.clock, region=NANSHAN))
        await it.plan()
        row = await it.read(lambda tx: tx.outbox.get(1))
        made = attempt_block(row, 1, 1, row.ordinals, it.clock.now())
        both = np.concatenate([made, planned_block(1, [new_batch()])])
        assert ordinals(planned_in(both)) == [0, 1, 2, 3]


async def test_the_journal_says_what_stands_in_the_outbox(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        await it.post(cap(it.clock))
        await it.plan()
        assert await in_journal(it) == [(1, list(range(10)))]
        assert await in_outbox(it, 1) == list(range(10))


async def test_an_all_clear_over_the_roster_of_another_counts_for_nobodys_coverage(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        alert = await it.post(cap(it.clock, region=QINGYUAN))
        named = reference(it.clock)
        await it.settle()
        it.clock.forward(1)
        update = await it.post(cap(it.clock, "A-2", msg_type="Update", references=named, region=NANSHAN))
        await it.settle()
        assert (2, [6, 7, 8, 9]) in await in_journal(it)
        assert (await it.read(lambda tx: tx.dispatches.get(2))).roster == 1
        planned = {id: (await it.account(id)).book.planned.tolist() for id in (alert.id, update.id)}
        assert planned == {alert.id: [True] * 10, update.id: [True] * 6}
        await it.crash()
        await it.open()
        again = {id: (await it.account(id)).book.planned.tolist() for id in planned}
        assert again == planned, "and so it is read after a restart"
