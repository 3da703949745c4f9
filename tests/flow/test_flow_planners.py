"""Two planners on one store: a dispatch is in one's hands at a time, and what passes from hand to hand is planned once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from core import Core, cap, core

from gateway.flow import fanout
from gateway.flow.fanout import Planner
from gateway.flow.keeping import LEASE
from gateway.ports.store import DispatchRow
from gateway.testing.hamlet import NANSHAN


@pytest.fixture(autouse=True)
def _one_batch_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "STEP_BATCHES", 1)


def another(it: Core, owner: str) -> Planner:
    """A planner of another process."""
    return Planner(it.store, it.planner._queue, it.clock, it.world, owner, it.planner._log)


async def planned(it: Core, dispatch: int = 1) -> list[int]:
    """Ordinals in the batches of a dispatch, in order."""
    rows = await it.read(lambda tx: tx.outbox.of_dispatch(dispatch))
    return [ordinal for row in rows for ordinal in row.whole.tolist()]


async def test_who_finds_a_dispatch_in_other_hands_leaves_it(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        heir = another(it, "heir")
        await it.post(cap(it.clock))
        assert await it.planner.step()
        assert not await heir.step()
        it.clock.forward(LEASE / 1000)
        assert await heir.step()
        assert not await it.planner.step()
        assert await planned(it) == [0, 1, 2, 3, 4, 5]


async def test_a_planner_that_lost_a_dispatch_in_mid_step_writes_nothing_of_it(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        heir = another(it, "heir")
        await it.post(cap(it.clock))
        dispatch = await it.store.write(lambda tx: tx.dispatches.claim("core", it.clock.now(), LEASE))
        assert dispatch is not None
        prepared = await it.planner._prepare(dispatch)
        it.clock.forward(LEASE / 1000)
        assert await heir.step()
        await it.planner._write_some(prepared)
        assert await planned(it) == [0, 1, 2]


async def test_a_dispatch_that_comes_back_is_planned_on_from_where_the_other_was(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        heir = another(it, "heir")
        await it.post(cap(it.clock))
        assert await it.planner.step()
        it.clock.forward(LEASE / 1000)
        assert await heir.step()
        assert await heir.step()
        it.clock.forward(LEASE / 1000)
        await it.settle()
        assert await planned(it) == list(range(10))
        assert (it.far["sms"].duplicates, len(it.far["sms"].taken)) == (0, 10)


async def test_a_dispatch_stays_ours_however_long_it_takes_to_prepare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.flow.keeping.KEEP", 0.01)
    async with core(tmp_path) as it:
        heir, going = another(it, "heir"), asyncio.Event()
        prepare = it.planner._prepare

        async def slow(dispatch: DispatchRow) -> fanout.Plan:
            await going.wait()
            return await prepare(dispatch)

        monkeypatch.setattr(it.planner, "_prepare", slow)
        await it.post(cap(it.clock, region=NANSHAN))
        planning = asyncio.create_task(it.planner.step())
        await asyncio.sleep(0.05)
        for _ in range(4):
            it.clock.forward(LEASE / 2000)
            async with asyncio.timeout(30):
                while await it.read(lambda tx: tx.dispatches.next_due("heir")) <= it.clock.now() + LEASE / 2:
                    await asyncio.sleep(0.01)
            assert not await heir.step()
        going.set()
        assert await planning
        assert await planned(it) == [0, 1, 2]
