"""The one folder: the same numbers after every restart, interruption and rebuild, and nobody's receipt lost on the way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from core import Core, cap, core, reference
from ledger_oracle import assert_ledger_is_right, assert_no_overclaim, live

from gateway.flow import coverage
from gateway.model.receipt import Level, Reason, Receipt
from gateway.testing.hamlet import NANSHAN


async def delivered(it: Core, *places: int, channel: str = "sms", level: Level = Level.DELIVERED) -> None:
    """Receipts for the messages taken at these places."""
    far = it.far[channel]
    await it.report(channel, *(far.say(far.taken[place], level) for place in places))


async def test_receipts_raise_the_numbers_and_all_ways_of_reckoning_agree(tmp_path: Path) -> None:
    async with core(tmp_path, "sms", "speakers") as it:
        alert = await it.post(cap(it.clock))
        await it.settle()
        handed = await assert_ledger_is_right(it, alert.id)
        await delivered(it, 0, 1, 2)
        await delivered(it, 0, channel="speakers")
        told = await assert_ledger_is_right(it, alert.id)
        assert told[0] is not None
        assert handed[0] is not None
        assert told[0] > handed[0]
        await assert_no_overclaim(it, alert.id)


@pytest.mark.parametrize("good_order", [True, False])
async def test_a_restart_gives_the_same_numbers(tmp_path: Path, good_order: bool) -> None:
    async with core(tmp_path, "sms", "speakers") as it:
        alert = await it.post(cap(it.clock))
        await it.settle()
        await delivered(it, 1, 3, 5)
        await it.folder.fold()
        await it.folder.save()
        await delivered(it, 0, channel="speakers")
        before = await assert_ledger_is_right(it, alert.id)
        await (it.close() if good_order else it.crash())
        await it.open()
        await delivered(it, 7)
        after = await assert_ledger_is_right(it, alert.id)
        assert before[0] is not None
        assert after[0] is not None
        assert after[0] > before[0]


async def test_a_receipt_may_come_before_the_answer_of_the_send(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        it.far["sms"].manner = "hold"
        alert = await it.post(cap(it.clock, region=NANSHAN))
        await it.settle()
        await delivered(it, 0, 1)
        assert await it.levels(alert.id) == [-1] * 6
        it.far["sms"].manner = "answer"
        it.far["sms"].let_go.set()
        await it.settle()
        assert sorted(await it.levels(alert.id)) == [Level.ACCEPTED] * 4 + [Level.DELIVERED] * 2
        await assert_ledger_is_right(it, alert.id)


@pytest.mark.parametrize("step", ["_rosters_of", "account"])
async def test_an_interrupted_fold_loses_no_receipt_that_waited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The answer that names a waiting receipt's person is being folded when the store fails; then the process ends."""
    async with core(tmp_path) as it:
        it.far["sms"].manner = "hold"
        alert = await it.post(cap(it.clock, region=NANSHAN))
        await it.settle()
        await delivered(it, 0, 1)
        await it.folder.fold()
        it.far["sms"].manner = "answer"
        it.far["sms"].let_go.set()

        async def fails(*_args: object) -> Any:
            raise asyncio.CancelledError

        async with asyncio.timeout(10):
            while not await it.idle():
                await asyncio.sleep(0.002)
        with monkeypatch.context() as patched:
            patched.setattr(it.folder, step, fails)
            if step == "account":
                it.folder._ledger.accounts.clear()
            with pytest.raises(asyncio.CancelledError):
                await it.folder.fold()
            await it.folder.save()
        await it.crash()
        await it.open()
        assert sorted(await it.levels(alert.id)) == [Level.ACCEPTED] * 4 + [Level.DELIVERED] * 2


async def test_an_interrupted_page_loses_no_row_that_was_folded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rows in a page: the first is folded, the second fails, the folder saves and the process is killed."""
    async with core(tmp_path) as it:
        alert = await it.post(cap(it.clock, region=NANSHAN))
        await it.settle()
        await it.folder.save()
        await delivered(it, 0)
        await delivered(it, 1)
        real, folds = it.folder._merge_row, iter([False, True])

        async def fails(*args: Any) -> None:
            if next(folds, False):
                raise RuntimeError
            await real(*args)

        with monkeypatch.context() as patched:
            patched.setattr(it.folder, "_merge_row", fails)
            with pytest.raises(RuntimeError):
                await it.folder.fold()
        await it.folder.save()
        await it.crash()
        await it.open()
        assert sorted(await it.levels(alert.id)) == [Level.ACCEPTED] * 4 + [Level.DELIVERED] * 2


async def test_a_rebuild_gives_the_same_numbers_and_survives_a_kill_at_once(tmp_path: Path) -> None:
    async with core(tmp_path, "sms", "speakers") as it:
        alert = await it.post(cap(it.clock))
        await it.settle()
        await delivered(it, *range(6))
        before = await assert_ledger_is_right(it, alert.id)
        await it.folder.save()
        account = await it.account(alert.id)
        await it.folder.rebuild(account.alert)
        assert await assert_ledger_is_right(it, alert.id) == before
        await it.crash()
        await it.open()
        assert await assert_ledger_is_right(it, alert.id) == before


async def test_a_rebuild_mends_a_fold_that_went_wrong(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        alert = await it.post(cap(it.clock))
        await it.settle()
        await delivered(it, 0)
        right = await assert_ledger_is_right(it, alert.id)
        account = await it.account(alert.id)
        account.book.times[Level.DELIVERED] = 1
        account.book.recut(account.book.cutoff)
        assert await live(it, alert.id) != right
        await it.folder.rebuild(account.alert)
        assert await assert_ledger_is_right(it, alert.id) == right


async def test_a_rebuild_misses_nothing_that_comes_in_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with core(tmp_path) as it:
        alert = await it.post(cap(it.clock))
        await it.settle()
        account = await it.account(alert.id)
        real, folding = it.folder.book_as_known, asyncio.Event()

        async def slow(*args: Any) -> Any:
            book = await real(*args)
            await delivered(it, 0)
            folding.set()
            await asyncio.sleep(0.02)
            return book

        async def fold_meanwhile() -> None:
            await folding.wait()
            await it.folder.fold()

        monkeypatch.setattr(it.folder, "book_as_known", slow)
        await asyncio.gather(it.folder.rebuild(account.alert), fold_meanwhile())
        monkeypatch.undo()
        await it.folder.fold()
        assert (await it.levels(alert.id)).count(Level.DELIVERED) == 1


async def test_a_late_receipt_opens_a_closed_account(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        alert = await it.post(cap(it.clock, minutes=5))
        await it.settle()
        await delivered(it, 0)
        await it.settle()
        it.clock.forward(300)
        await it.settle()
        await it.folder.save()
        it.clock.forward(coverage.IDLE / 1000 + 1)
        it.folder.close_idle()
        assert it.folder.accounts == {}
        await delivered(it, 1)
        assert sorted(await it.levels(alert.id))[-2:] == [Level.DELIVERED] * 2
        figures = await assert_ledger_is_right(it, alert.id)
        assert figures[0] is not None, "the late one does not count, and is known"


async def test_what_nobody_sent_moves_nothing_and_is_counted(tmp_path: Path) -> None:
    async with core(tmp_path, "sms", "speakers") as it:
        alert = await it.post(cap(it.clock))
        await it.settle()
        before = await assert_ledger_is_right(it, alert.id)
        dispatch = it.far["sms"].taken[0].dispatch
        await it.report("sms", *(Receipt(Level.ACK, far_id=f"forged-{n}") for n in range(7)))
        await it.report(
            "sms",
            Receipt(Level.ACK, key=f"{dispatch}.speakers.0"),
            Receipt(Level.ACK, key=f"{dispatch}.sms.99999999999999999999"),
            Receipt(Level.ACK, key=f"{dispatch}.sms.4000"),
            Receipt(Level.ACK, key=f"{dispatch}.sms.-1"),
            Receipt(Level.ACK, key="no-such-dispatch.sms.0"),
            Receipt(Level.ACK, key="nonsense"),
            Receipt(Level.ACK),
        )
        assert await assert_ledger_is_right(it, alert.id) == before
        assert unmatched(it) == 0
        it.clock.forward(coverage.PATIENCE / 1000 + 1)
        await it.folder.fold()
        assert unmatched(it) == 7
        await it.folder.fold()
        assert unmatched(it) == 7, "each is counted once"


def unmatched(it: Core) -> float | None:
    return it.metrics.registry.get_sample_value("tongluo_unmatched_receipts_total", {"channel": "sms"})


async def test_a_receipt_without_a_match_is_forgotten_after_three_days(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        await it.report("sms", Receipt(Level.ACK, far_id="forged"))
        await it.folder.fold()
        assert len(it.folder._correlation.waiting) == 1
        it.clock.forward(72 * 3600 + 1)
        await it.folder.fold()
        assert len(it.folder._correlation.waiting) == 0


async def test_a_cancel_cuts_off_what_its_alert_can_still_reach(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        first = await it.post(cap(it.clock))
        named = reference(it.clock)
        await it.settle()
        await delivered(it, 0, 1)
        await it.settle()
        it.clock.forward(10)
        cancel = await it.post(cap(it.clock, "C-1", msg_type="Cancel", references=named))
        await it.settle()
        before = await assert_ledger_is_right(it, first.id)
        it.clock.forward(10)
        await delivered(it, 2, 3)
        after = await assert_ledger_is_right(it, first.id)
        assert before[0] == after[0], "what comes after the end proves nothing for it"
        await delivered(it, *range(10, 20))
        told = await assert_ledger_is_right(it, cancel.id)
        assert told[0] == 1.0, "all who may have got the warning have got the all-clear"


async def test_failures_do_not_count_and_delivered_beats_them_in_either_order(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        alert = await it.post(cap(it.clock, region=NANSHAN))
        await it.settle()
        far = it.far["sms"]
        for first, second in ((Level.FAILED, Level.DELIVERED), (Level.DELIVERED, Level.FAILED)):
            place = 0 if first is Level.FAILED else 1
            for level in (first, second):
                await it.report("sms", far.say(far.taken[place], level, Reason.UNREACHABLE))
        await it.report("sms", far.say(far.taken[2], Level.FAILED, Reason.UNREACHABLE))
        await assert_ledger_is_right(it, alert.id)
        assert sorted(await it.levels(alert.id))[-2:] == [Level.DELIVERED] * 2


async def test_the_past_is_the_same_fold_with_a_cut(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        alert = await it.post(cap(it.clock))
        await it.settle()
        await delivered(it, 0, 1)
        await it.folder.fold()
        then, known = it.clock.now(), await live(it, alert.id)
        it.clock.forward(5)
        await delivered(it, 2, 3, 4)
        account = await it.account(alert.id)
        book = await it.folder.book_as_known(account.alert, then)
        assert book is not None
        book.advance(then)
        book.refresh()
        assert tuple(book.region().share) == known[:3]


async def test_news_comes_with_every_change(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        alert = await it.post(cap(it.clock))
        await it.settle()
        account = await it.account(alert.id)
        version = account.version
        waiting = asyncio.create_task(it.folder.news(account.alert, version, 5))
        await asyncio.sleep(0)
        await delivered(it, 0)
        await it.folder.fold()
        assert await waiting > version
        assert await it.folder.news(account.alert, it.folder.version(account.alert), 0.01) == it.folder.version(
            account.alert
        )
