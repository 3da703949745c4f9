"""Presence: what processes tell of themselves, and what each makes of it: how channels are, who lives, what time it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from store_kit import NOW, opened

from gateway.errors import Unstorable
from gateway.flow import presence as presence_room
from gateway.flow.presence import ALIVE, UNSERVED, Health, Presence
from gateway.ports.store import Turn
from gateway.store import SqlStore
from gateway.testing.clock import ManualClock

PATIENCE = 30.0
WELL = Health(True, "", NOW)


class Reached:
    """A store that can be out of reach."""

    def __init__(self, store: SqlStore) -> None:
        self.store, self.away = store, False

    async def write(self, work: Any, *, turn: Turn | None = None) -> Any:
        if self.away:
            raise Unstorable("out of reach")
        return await self.store.write(work, turn=turn)

    async def read(self, work: Any) -> Any:
        if self.away:
            raise Unstorable("out of reach")
        return await self.store.read(work)


class Told(ManualClock):
    """A clock that keeps what it was told of the store's time."""

    def __init__(self) -> None:
        super().__init__(NOW)
        self.synced: list[tuple[int, int]] = []

    def sync(self, at: int, when: int) -> None:
        self.synced.append((at, when))


class Town:
    """Some processes on one store, each with connections of its own."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self.url, self.stack, self.clock = url, stack, Told()
        self.stores: dict[str, Reached] = {}

    async def process(
        self, owner: str, channels: Mapping[str, Health] | None = None, *, shared: bool = True
    ) -> Presence:
        """One more. `channels`: those that it serves; may be changed later."""
        store = Reached(await self.stack.enter_async_context(opened(self.url, self.clock)))
        self.stores[owner] = store
        served = {} if channels is None else channels
        return Presence(store, self.clock, owner, ["deliver"], lambda: served, shared=shared)


async def beat(*processes: Presence) -> None:
    for each in processes:
        await each.beat()


def owners(it: Presence) -> Sequence[str]:
    return [row.owner for row in it.processes]


async def test_a_channel_is_up_if_one_of_its_workers_reaches_the_far_side(store_url: str) -> None:
    async with AsyncExitStack() as stack:
        town = Town(store_url, stack)
        web = await town.process("web")
        serving: dict[str, Health] = {"sms": Health(False, "连不上", NOW - 5)}
        one, other = await town.process("one", serving), await town.process("other", {"sms": Health(True, "", NOW - 9)})
        await beat(one, web)
        assert web.health("sms") == Health(False, "连不上", NOW - 5)
        await beat(other, web, one)
        for each in (web, one):
            assert each.health("sms") == Health(True, "", NOW - 5), "the latest progress of any"
        serving["sms"] = Health(True, "", NOW)
        assert one.health("sms").last_progress == NOW, "what it serves itself it knows at once"


async def test_the_first_fault_is_told_when_nobody_reaches_the_far_side(store_url: str) -> None:
    async with AsyncExitStack() as stack:
        town = Town(store_url, stack)
        web = await town.process("web")
        one, other = (
            await town.process("a", {"sms": Health(False)}),
            await town.process("b", {"sms": Health(False, "断")}),
        )
        await beat(one, other, web)
        assert web.health("sms") == Health(False, "断")


async def test_who_hears_most_devices_tells_of_them(store_url: str) -> None:
    async with AsyncExitStack() as stack:
        town = Town(store_url, stack)
        web = await town.process("web")
        few = await town.process("few", {"speakers": Health(True, online={"210423": (1, 9)})})
        many = await town.process("many", {"speakers": Health(True, online={"210423": (5, 9), "": (2, 2)})})
        await beat(few, many, web)
        online = web.health("speakers").online
        assert {county: tuple(counted) for county, counted in online.items()} == {"210423": (5, 9), "": (2, 2)}


async def test_a_channel_that_nobody_serves_is_not_up_and_says_so(store_url: str) -> None:
    async with AsyncExitStack() as stack:
        town = Town(store_url, stack)
        web, one = await town.process("web"), await town.process("one", {"sms": WELL})
        await beat(one, web)
        assert web.health("wechat") is UNSERVED
        assert not UNSERVED.up
        assert "没有投递进程" in UNSERVED.fault
        assert web.health("sms") == WELL


async def test_who_is_silent_for_fifteen_seconds_counts_no_more(store_url: str) -> None:
    async with AsyncExitStack() as stack:
        town = Town(store_url, stack)
        web, one = await town.process("web"), await town.process("one", {"sms": WELL})
        await beat(one, web)
        town.clock.forward(ALIVE / 1000 - 0.001)
        await beat(web)
        assert owners(web) == ["one"]
        town.clock.forward(0.001)
        assert (owners(web), web.health("sms")) == ([], UNSERVED), "without another look at the store"
        await beat(web)
        assert owners(web) == []
        await beat(one, web)
        assert (owners(web), web.health("sms")) == (["one"], WELL)


async def test_who_ends_in_good_order_is_gone_at_once(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_room, "BEAT", 0.02)
    async with AsyncExitStack() as stack:
        town = Town(store_url, stack)
        web, one = await town.process("web"), await town.process("one", {"sms": WELL})
        running = asyncio.create_task(one.run())
        await until(web, lambda: owners(web) == ["one"])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await beat(web)
        assert (owners(web), web.health("sms")) == ([], UNSERVED)


async def until(it: Presence, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await it.beat()
            await asyncio.sleep(0.01)


async def noticed(it: Presence, *, answers: bool) -> None:
    """Wait until it has found that the store answers, or does not."""
    async with asyncio.timeout(PATIENCE):
        while it.answers is not answers:
            await asyncio.sleep(0.01)


async def test_a_store_that_does_not_answer_is_noted_and_what_was_known_fades(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence_room, "BEAT", 0.01)
    async with AsyncExitStack() as stack:
        town = Town(store_url, stack)
        web, one = await town.process("web", {"screens": WELL}), await town.process("one", {"sms": WELL})
        await beat(one, web)
        assert web.answers
        town.stores["web"].away = True
        running = asyncio.create_task(web.run())
        await noticed(web, answers=False)
        assert web.health("sms") == WELL, "for a while what it knew is good enough"
        town.clock.forward(ALIVE / 1000)
        assert (web.health("sms"), web.health("screens")) == (UNSERVED, WELL)
        town.stores["web"].away = False
        await noticed(web, answers=True)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_processes_go_by_the_time_of_the_store_they_share(store_url: str) -> None:
    async with AsyncExitStack() as stack:
        town = Town(store_url, stack)
        shared, alone = await town.process("one"), await town.process("two", shared=False)
        await beat(alone)
        assert town.clock.synced == []
        asked = await town.stores["one"].read(lambda tx: tx.time())
        await beat(shared)
        ((at, when),) = town.clock.synced
        assert abs((at - asked[0]) - (when - asked[1])) < 1000, "both run on from there"
        assert at >= asked[0]


async def test_the_only_process_tells_nobody_and_knows_its_own_channels(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        clock = ManualClock(NOW)
        only = Presence(store, clock, "only", ["deliver"], lambda: {"sms": WELL}, shared=False)
        await only.beat()
        assert await store.read(lambda tx: tx.processes.since(0)) == []
        assert (only.answers, owners(only)) == (True, [])
        assert (only.health("sms"), only.health("wechat")) == (WELL, UNSERVED)


async def test_what_has_been_silent_for_an_hour_is_struck_out(store_url: str) -> None:
    async with AsyncExitStack() as stack:
        town = Town(store_url, stack)
        web, one = await town.process("web"), await town.process("one")
        await beat(one, web)
        town.clock.forward(presence_room.FORGOTTEN / 1000 + 0.001)
        await beat(web)
        rows = await town.stores["web"].read(lambda tx: tx.processes.since(0))
        assert [row.owner for row in rows] == ["web"]
