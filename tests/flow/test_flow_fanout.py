"""Fan-out: batches in steps, exactly once over crashes, the gravest dispatch first, and a broken one holds nobody up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from core import Core, cap, core, reference
from far_side import Taken

from gateway.errors import Unstorable
from gateway.flow import fanout, keeping
from gateway.store import SqlTransaction
from gateway.testing.hamlet import BEIHE, JIANNONG, NANSHAN, QINGYUAN, phone


async def planned(it: Core, dispatch: int = 1) -> list[int]:
    """Ordinals in the batches of a dispatch, in order."""
    rows = await it.read(lambda tx: tx.outbox.of_dispatch(dispatch))
    return [ordinal for row in rows for ordinal in row.whole.tolist()]


@pytest.fixture
def _one_batch_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "STEP_BATCHES", 1)


@pytest.mark.usefixtures("_one_batch_a_step")
@pytest.mark.parametrize("steps", range(6))
async def test_a_crash_between_any_two_steps_loses_and_doubles_nothing(tmp_path: Path, steps: int) -> None:
    async with core(tmp_path) as it:
        await it.post(cap(it.clock))
        for _ in range(steps):
            await it.planner.step()
        before = await planned(it)
        await it.crash()
        await it.open()
        await it.store.write(lambda tx: tx.dispatches.release())
        await it.settle()
        assert sorted(await planned(it)) == list(range(10))
        assert (await planned(it))[: len(before)] == before
        assert it.far["sms"].duplicates == 0


@pytest.mark.usefixtures("_one_batch_a_step")
async def test_delivery_starts_with_the_first_step(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        await it.post(cap(it.clock))
        assert await it.planner.step()
        dispatch = await it.read(lambda tx: tx.dispatches.get(1))
        assert (dispatch.state, dispatch.planned_to) == ("open", 1)
        assert len(await planned(it)) == 3
        await it.settle()
        assert len(it.far["sms"].taken) == 10


@pytest.mark.usefixtures("_one_batch_a_step")
async def test_a_graver_dispatch_overtakes_between_two_steps(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        await it.post(cap(it.clock, "blue", severity="Minor"))
        await it.planner.step()
        await it.post(cap(it.clock, "red", severity="Extreme", region=JIANNONG))
        await it.planner.step()
        assert len(await planned(it, 1)) == 3
        assert len(await planned(it, 2)) == 3
        await it.settle()
        assert len(await planned(it, 1)) == 10


@pytest.mark.usefixtures("_one_batch_a_step")
async def test_a_write_that_fails_is_planned_again_from_where_it_was(tmp_path: Path) -> None:
    class Full:
        """The planner's store, with room for a claim and no more."""

        claims = 0

        async def read(self, work: Any) -> Any:
            return await it.store.read(work)

        async def write(self, work: Any, *, turn: Any = None) -> Any:
            self.claims += 1
            if self.claims > 1:
                raise Unstorable("disk full")
            return await it.store.write(work)

    async with core(tmp_path) as it:
        await it.post(cap(it.clock))
        await it.planner.step()
        it.planner._store = Full()
        with pytest.raises(Unstorable):
            await it.planner.step()
        assert len(await planned(it)) == 3
        it.planner._store = it.store
        await it.settle()
        assert sorted(await planned(it)) == list(range(10))


async def test_a_dispatch_that_cannot_be_planned_waits_and_holds_nobody_up(tmp_path: Path) -> None:
    def unreadable(tx: SqlTransaction) -> None:
        tx.connection.exec_driver_sql("update alert set raw = ? where n = 1", (b"<broken",))

    async with core(tmp_path) as it:
        broken = await it.post(cap(it.clock, "red", severity="Extreme", region=BEIHE))
        await it.post(cap(it.clock, "blue", severity="Minor", region=NANSHAN))
        kept = await it.read(lambda tx: tx.alerts.by_id(broken.id))
        await it.store.write(unreadable)
        it.world.kept.clear()
        await it.settle()
        assert it.far["sms"].addresses == [phone(number) for number in range(1, 7)]
        await it.store.write(
            lambda tx: tx.connection.exec_driver_sql("update alert set raw = ? where n = 1", (kept.raw,))
        )
        await it.settle()
        assert len(it.far["sms"].taken) == 6, "it is left alone for a while"
        it.clock.forward(keeping.LEASE / 1000)
        await it.settle()
        assert it.far["sms"].addresses == [phone(number) for number in range(1, 11)]


async def test_what_is_withdrawn_while_it_is_planned_is_planned_no_further(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        first = await it.post(cap(it.clock))
        dispatch = await it.store.write(lambda tx: tx.dispatches.claim("core", it.clock.now(), 1000))
        assert dispatch is not None
        await it.store.write(lambda tx: tx.dispatches.withdraw(1, it.clock.now()))
        it.planner._plans[1] = await it.planner._prepare(dispatch)
        await it.planner._write_some(it.planner._plans[1])
        assert await planned(it) == []
        assert it.planner._plans == {}
        await it.settle()
        assert it.far["sms"].taken == [], first


async def test_the_roster_is_frozen_and_the_directory_may_change(tmp_path: Path) -> None:
    def moved(tx: SqlTransaction) -> None:
        tx.connection.exec_driver_sql("update endpoint set address = 'elsewhere'")

    async with core(tmp_path) as it:
        await it.post(cap(it.clock))
        await it.plan()
        await it.store.write(moved)
        await it.settle()
        assert it.far["sms"].addresses == [phone(number) for number in range(1, 11)]


async def test_an_update_that_adds_a_village_speaks_aloud_there_alone(tmp_path: Path) -> None:
    """The speaker that has spoken is not planned again: no coverage is expected of it, and no all-clear either."""
    async with core(tmp_path, "sms", "speakers") as it:
        await it.post(cap(it.clock, region=NANSHAN))
        named = reference(it.clock)
        await it.settle()
        it.clock.forward(1)
        update = await it.post(cap(it.clock, "A-2", msg_type="Update", references=named, region=QINGYUAN))
        await it.settle()
        assert [message.address for message in it.far["speakers"].taken] == ["spk-1", "spk-2"]
        book = (await it.account(update.id)).book
        roster = book.roster
        speakers = [o for o in range(roster.endpoints) if roster.channels[roster.endpoint_channel[o]] == "speakers"]
        assert book.planned[speakers].tolist().count(True) == 1


async def test_a_cancel_before_anybody_was_told_tells_nobody(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        it.far["sms"].manner = "gone"
        await it.post(cap(it.clock))
        named = reference(it.clock)
        await it.settle()
        it.clock.forward(1)
        cancel = await it.post(cap(it.clock, "C-1", msg_type="Cancel", references=named))
        it.far["sms"].manner = "answer"
        it.clock.forward(60)
        await it.settle()
        assert it.far["sms"].taken == []
        told = await it.read(lambda tx: tx.dispatches.of_alert(2))
        assert [dispatch.state for dispatch in told] == ["planned"]
        assert (await it.coverage(cancel.id)).target is None


async def test_an_update_that_drops_a_village_tells_it_so(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        await it.post(cap(it.clock, region=QINGYUAN))
        named = reference(it.clock)
        await it.settle()
        it.clock.forward(1)
        await it.post(cap(it.clock, "A-2", msg_type="Update", references=named, region=NANSHAN))
        await it.settle()
        last: list[Taken] = it.far["sms"].taken[10:]
        lifted = {message.address for message in last if "解除" in message.text}
        assert lifted == {phone(number) for number in range(7, 11)}
        assert {message.address for message in last} - lifted == {phone(number) for number in range(1, 7)}
