"""Delivery: what a courier makes of a far side that answers, answers in part, is not there, or has a bug."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core import POSTER, Core, cap, core, reference
from sqlalchemy import select

from gateway.errors import Unstorable
from gateway.model.dispatch import WorkState
from gateway.model.journal import ACCEPTED
from gateway.model.receipt import Level, Reason
from gateway.store import SqlTransaction
from gateway.store.tables import batch, pace
from gateway.testing.hamlet import NANSHAN, phone

EVERYBODY = sorted(phone(number) for number in range(1, 11))


async def states(it: Core) -> list[str]:
    """States of all batches, in order."""

    def work(tx: SqlTransaction) -> list[str]:
        return list(tx.connection.execute(select(batch.c.state).order_by(batch.c.n)).scalars())

    return list(await it.read(work))


def revive(tx: SqlTransaction, n: int, now: int) -> bool:
    return tx.outbox.revive(n, now)


async def attempted(it: Core) -> list[int]:
    """Ordinals of all attempt records, in order."""
    rows = await it.read(lambda tx: tx.journal.after(0, 1000))
    return [
        ordinal
        for row in rows
        for record in row.attempts[row.attempts["number"] > 0]
        for ordinal in range(int(record["first"]), int(record["first"]) + int(record["count"]))
    ]


async def test_everybody_is_called_once_and_the_journal_says_so(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        alert = await it.post(cap(it.clock))
        await it.settle()
        assert it.far["sms"].addresses == EVERYBODY
        assert await states(it) == ["done"] * 4
        assert sorted(await attempted(it)) == list(range(10))
        assert await it.levels(alert.id) == [Level.ACCEPTED] * 10
        assert it.duplicates() == 0


async def test_the_attempt_is_on_disk_before_the_send_begins(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        it.far["sms"].manner = "hold"
        await it.post(cap(it.clock, region=NANSHAN))
        await it.settle()
        on_the_wire = sorted(message.ordinal for message in it.far["sms"].taken)
        assert on_the_wire
        assert sorted(await attempted(it)) == on_the_wire


@pytest.mark.parametrize(("manner", "again"), [("half", 3), ("mute", 10)])
async def test_who_was_left_out_of_the_answer_is_sent_to_again_and_counted(
    tmp_path: Path, manner: str, again: int
) -> None:
    async with core(tmp_path) as it:
        it.far["sms"].manner = manner
        await it.post(cap(it.clock))
        await it.settle()
        assert await states(it) == (["pending"] * 4 if manner == "mute" else ["pending"] * 3 + ["done"])
        it.far["sms"].manner = "answer"
        it.clock.forward(60)
        await it.settle()
        assert set(await states(it)) == {"done"}
        assert it.far["sms"].duplicates == it.duplicates() == again


@pytest.mark.parametrize("manner", ["gone", "busy"])
async def test_a_far_side_that_took_nothing_makes_no_duplicates_and_no_dead_letters(
    tmp_path: Path, manner: str
) -> None:
    async with core(tmp_path) as it:
        await it.post(cap(it.clock, region=NANSHAN))
        it.far["sms"].manner = manner
        for _ in range(2):
            await it.settle()
            it.clock.forward(60)
        assert it.far["sms"].taken == []
        it.far["sms"].manner = "answer"
        await it.settle()
        assert it.far["sms"].addresses == EVERYBODY[:6]
        assert it.duplicates() == 0
        assert await it.read(lambda tx: tx.outbox.dead(9)) == []


async def test_a_batch_that_is_rejected_is_a_dead_letter_at_once_and_its_people_failed(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        it.far["sms"].manner = "never"
        alert = await it.post(cap(it.clock))
        await it.settle()
        assert await states(it) == ["dead"] * 4
        assert len(it.far["sms"].sends) == 4
        book = (await it.account(alert.id)).book
        assert (book.failure & 255).tolist() == [Reason.REJECTED] * 10


async def test_unknown_outcomes_end_in_the_dead_letters_after_so_many_attempts(tmp_path: Path) -> None:
    async with core(tmp_path, attempts=3) as it:
        it.far["sms"].manner = "mute"
        await it.post(cap(it.clock, region=NANSHAN))
        for _ in range(5):
            await it.settle()
            it.clock.forward(60)
        assert await states(it) == ["dead", "dead"]
        assert set(it.far["sms"].times().values()) == {3}
        assert it.far["sms"].duplicates == it.duplicates() == 12
        assert sorted(await attempted(it)) == sorted(list(range(6)) * 3)


async def test_a_dead_letter_that_is_revived_is_sent(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        it.far["sms"].manner = "never"
        await it.post(cap(it.clock, region=NANSHAN))
        await it.settle()
        it.far["sms"].manner = "answer"
        for row in await it.read(lambda tx: tx.outbox.dead(9)):
            assert await it.store.write(partial(revive, n=row.n, now=it.clock.now()))
        it.couriers["sms"]._queue.wake()
        await it.settle()
        assert it.far["sms"].addresses == EVERYBODY[:6]


async def test_a_final_failure_of_one_address_is_not_tried_again(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        it.far["sms"].manner = "refuse"
        alert = await it.post(cap(it.clock, region=NANSHAN))
        await it.settle()
        assert await states(it) == ["done", "done"]
        it.clock.forward(600)
        await it.settle()
        assert len(it.far["sms"].sends) == 2
        assert await it.levels(alert.id) == [-1] * 6


async def test_a_bug_of_the_channel_is_an_unknown_outcome_for_all_of_the_batch(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        it.far["sms"].manner = "bug"
        await it.post(cap(it.clock, region=NANSHAN))
        await it.settle()
        it.far["sms"].manner = "answer"
        it.clock.forward(60)
        await it.settle()
        assert it.duplicates() == 6
        assert it.far["sms"].duplicates == 4
        assert set(it.far["sms"].addresses) == set(EVERYBODY[:6])


async def test_no_answer_in_time_is_an_unknown_outcome(tmp_path: Path) -> None:
    async with core(tmp_path, timeout=0.02) as it:
        it.far["sms"].manner = "hold"
        await it.post(cap(it.clock, region=NANSHAN))
        async with asyncio.timeout(10):
            await it.plan()
            while len(it.far["sms"].sends) < 2 or await states(it) != ["pending", "pending"]:
                await asyncio.sleep(0.01)
        it.far["sms"].manner = "answer"
        it.clock.forward(60)
        await it.settle()
        assert it.far["sms"].duplicates == it.duplicates() == 6


async def test_unknown_outcomes_of_every_slice_are_counted(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        it.couriers["sms"]._slice = 1
        it.far["sms"].manner = "mute"
        await it.post(cap(it.clock, region=NANSHAN))
        await it.settle()
        it.far["sms"].manner = "answer"
        it.clock.forward(60)
        await it.settle()
        assert it.far["sms"].duplicates == it.duplicates() == 6


async def test_a_batch_in_slices_goes_on_where_it_was_after_a_crash(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        it.couriers["sms"]._slice = 1
        third = asyncio.Event()

        def hold_the_third(_batch: object) -> None:
            if len(it.far["sms"].taken) == 2:
                it.far["sms"].manner = "hold"
                third.set()

        it.far["sms"].watcher = hold_the_third
        await it.post(cap(it.clock, region=NANSHAN))
        await it.plan()
        await asyncio.wait_for(third.wait(), 5)
        await it.settle()
        taken = [message.ordinal for message in it.far["sms"].taken]
        await it.crash()
        it.far["sms"].manner = "answer"
        it.far["sms"].watcher = lambda batch: None
        await it.open()
        await it.settle()
        assert set(it.far["sms"].times()) == {message.key for message in it.far["sms"].taken}
        assert set(it.far["sms"].addresses) == set(EVERYBODY[:6])
        answered = set(taken[:2]) if len(taken) > 2 else set()
        assert it.far["sms"].duplicates <= len(taken) - len(answered)
        assert it.far["sms"].duplicates <= it.duplicates()


async def test_levels_above_what_the_channel_can_prove_are_cut_down(tmp_path: Path) -> None:
    async with core(tmp_path, "speakers") as it:
        alert = await it.post(cap(it.clock))
        await it.settle()
        it.reporters["speakers"].proves = Level.ACCEPTED
        await it.report("speakers", *(it.far["speakers"].say(m, Level.ACK) for m in it.far["speakers"].taken))
        assert await it.levels(alert.id) == [Level.ACCEPTED, Level.ACCEPTED]


async def test_nothing_of_a_cancelled_alert_begins_once_the_cancel_is_taken(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        it.far["sms"].manner = "hold"
        first = await it.post(cap(it.clock))
        named = reference(it.clock)
        await it.settle()
        sent = len(it.far["sms"].sends)
        assert sent == 2, "two of four are on the wire"
        it.clock.forward(1)
        cancel = await it.post(cap(it.clock, "C-1", msg_type="Cancel", references=named))
        it.far["sms"].manner = "answer"
        it.far["sms"].let_go.set()
        await it.settle()
        assert [batch.alert for batch in it.far["sms"].sends[sent:]] == [cancel.id] * 2
        assert (await states(it))[:4] == ["done", "done", "withdrawn", "withdrawn"]
        told = {message.address for message in it.far["sms"].taken if message.alert == cancel.id}
        assert told == {message.address for message in it.far["sms"].taken if message.alert == first.id}


@pytest.mark.parametrize("doubt", ["put_back", "in_hand"])
async def test_a_cancel_tells_those_who_may_have_got_the_warning(tmp_path: Path, doubt: str) -> None:
    """An unknown outcome stays one whatever becomes of the next attempt."""
    async with core(tmp_path) as it:
        it.far["sms"].manner = "mute"
        await it.post(cap(it.clock, region=NANSHAN))
        named = reference(it.clock)
        await it.settle()
        if doubt == "in_hand":
            it.far["sms"].manner = "gone"
            it.clock.forward(60)
            await it.settle()
            assert {row.reason for row in await it.read(lambda tx: tx.outbox.of_dispatch(1))} == {"unavailable"}
        it.far["sms"].manner = "answer"
        it.clock.forward(0.5)
        cancel = await it.post(cap(it.clock, "C-1", msg_type="Cancel", references=named))
        it.clock.forward(60)
        await it.settle()
        told = sorted(message.address for message in it.far["sms"].taken if message.alert == cancel.id)
        assert told == EVERYBODY[:6]


async def test_what_is_over_is_never_sent(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        it.far["sms"].manner = "gone"
        alert = await it.post(cap(it.clock, minutes=5))
        await it.settle()
        sends = len(it.far["sms"].sends)
        it.clock.forward(299)
        it.far["sms"].manner = "answer"
        it.clock.forward(1)
        await it.settle()
        assert len(it.far["sms"].sends) == sends
        assert await states(it) == ["expired"] * 4
        row = await it.read(lambda tx: tx.alerts.by_id(alert.id))
        assert row.state == "expired"


async def test_a_store_that_cannot_write_delays_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with core(tmp_path) as it:
        real, faults = it.store.write, [True]

        async def failing(work: Any, **_: Any) -> Any:
            if it.far["sms"].taken and faults:
                faults.pop()
                raise Unstorable("disk full")
            return await real(work)

        await it.post(cap(it.clock, region=NANSHAN))
        monkeypatch.setattr(it.store, "write", failing)
        await it.settle()
        assert not faults
        assert it.far["sms"].duplicates == 0, "what was sent is remembered until it can be written down"
        assert set(it.far["sms"].addresses) == set(EVERYBODY[:6])
        assert await states(it) == ["done", "done"]


async def test_a_batch_that_cannot_be_opened_does_not_hold_the_others_up(tmp_path: Path) -> None:
    async with core(tmp_path, attempts=2) as it:
        await it.post(cap(it.clock, region=NANSHAN))
        await it.plan()
        broken = (await it.read(lambda tx: tx.outbox.of_dispatch(1)))[0]
        await it.store.write(
            lambda tx: tx.connection.exec_driver_sql("update batch set variant = 77 where n = ?", (broken.n,))
        )
        it.couriers["sms"]._queue.wake()
        for _ in range(3):
            await it.settle()
            it.clock.forward(60)
        rows = await it.read(lambda tx: tx.outbox.of_dispatch(1))
        ends = {row.n: row.state for row in rows}
        assert ends.pop(broken.n) in (WorkState.DEAD, WorkState.DONE)
        assert set(ends.values()) == {WorkState.DONE}


async def test_records_bind_far_ids_to_people(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        await it.post(cap(it.clock, region=NANSHAN))
        await it.settle()
        rows = await it.read(lambda tx: tx.journal.after(0, 100))
        said = np.concatenate([row.statements for row in rows])
        assert set(said["kind"].tolist()) == {ACCEPTED}
        assert sorted(said["ordinal"].tolist()) == list(range(6))
        assert len(set(said["far"].tolist())) == 6


async def test_turns_that_nobody_wants_any_more_are_given_back(tmp_path: Path) -> None:
    """Three people a slice, an hour a slice: the second waits for its turn when the warning is withdrawn."""
    async with core(tmp_path) as it:
        it.couriers["sms"]._cost_us = 1_200_000_000
        begun = it.clock.now() * 1000

        async def free_at(slices: int) -> None:
            async with asyncio.timeout(20):
                while (
                    await it.read(lambda tx: tx.connection.scalar(select(pace.c.free_at))) != begun + slices * HOUR_US
                ):
                    await asyncio.sleep(0.02)

        alert = await it.post(cap(it.clock, region=NANSHAN))
        await it.plan()
        await free_at(2)
        await it.release.stop(alert.id, POSTER)
        await free_at(1)
        assert len(it.far["sms"].taken) == 3


HOUR_US = 3_600_000_000
