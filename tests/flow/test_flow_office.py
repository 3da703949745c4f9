"""Offices: one of many holds, another takes over, and one who was deposed without noticing writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from store_kit import NOW, opened

from gateway.errors import Deposed, Unstorable
from gateway.flow import office as office_room
from gateway.flow.office import TERM, WATCH, Alone, Elected
from gateway.ports.store import Transaction, Turn
from gateway.store import SqlStore
from gateway.testing.clock import ManualClock

LOG = structlog.get_logger("office")
PATIENCE = 30.0


@asynccontextmanager
async def two(url: str) -> AsyncIterator[tuple[ManualClock, Elected, Elected]]:
    """A clock, and two who stand for one office, each with connections of its own."""
    clock = ManualClock(NOW)
    async with opened(url, clock) as one, opened(url, clock) as other:
        yield clock, Elected(WATCH, one, clock, "a", LOG), Elected(WATCH, other, clock, "b", LOG)


def note(text: str) -> Callable[[Transaction], None]:
    return lambda tx: tx.chronicle.audit("w", text, NOW)


async def notes(url: str) -> list[str]:
    """What has been written."""
    async with opened(url) as store:
        return [row["what"] for row in await store.read(lambda tx: tx.chronicle.audited(0))]


def holders(*offices: Elected) -> str:
    """Those who believe that they hold it."""
    return "".join(each._owner for each in offices if each.held)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def test_the_only_process_holds_every_office(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        alone = Alone(store)
        assert alone.held
        assert await alone.write(lambda tx: 7, turn=Turn.LINEAGE) == 7
        running = asyncio.create_task(alone.run())
        await asyncio.sleep(0.02)
        assert not running.done(), "a step that ends would be an end of its work"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_one_of_two_holds_and_only_it_writes(store_url: str) -> None:
    async with two(store_url) as (_, one, other):
        assert not one.held
        with pytest.raises(Deposed):
            await one.write(note("nobody's"))
        await one._stand()
        await other._stand()
        assert (one.held, other.held) == (True, False)
        await one.write(note("one"))
        with pytest.raises(Deposed):
            await other.write(note("other"))
        assert await one.write(lambda tx: 7, turn=Turn.LINEAGE) == 7
    assert await notes(store_url) == ["one"]


async def test_the_office_passes_on_when_its_holder_is_silent_and_not_before(store_url: str) -> None:
    async with two(store_url) as (clock, one, other):
        await one._stand()
        clock.forward(TERM / 1000 - 1)
        await one._stand()
        clock.forward(TERM / 1000 - 1)
        await other._stand()
        assert (one.held, other.held) == (True, False)
        clock.forward(1)
        assert not one.held, "it knows itself that its time is over"
        await other._stand()
        assert other.held
        await one._stand()
        assert (one.held, other.held) == (False, True)


async def test_who_was_deposed_without_noticing_writes_nothing(store_url: str) -> None:
    """It was frozen: for itself no time has gone by."""
    async with two(store_url) as (clock, one, other):
        await one._stand()
        frozen = Elected(WATCH, one._store, ManualClock(NOW), "a", LOG)
        frozen._token, frozen._until = one._token, one._until
        clock.forward(TERM / 1000)
        await other._stand()
        assert holders(frozen) == "a", "so it believes"
        with pytest.raises(Deposed):
            await frozen.write(note("frozen"))
        assert holders(frozen) == "", "now it knows"
        await other.write(note("other"))
    assert await notes(store_url) == ["other"]


async def test_what_a_deposed_one_wanted_to_write_harms_nobody_in_the_same_commit(store_url: str) -> None:
    async with two(store_url) as (clock, one, other):
        await one._stand()
        clock.forward(TERM / 1000)
        await other._stand()
        said = await asyncio.gather(
            one._store.write(note("a")), one.write(note("b")), one._store.write(note("c")), return_exceptions=True
        )
        assert [type(each) for each in said] == [type(None), Deposed, type(None)]
    assert sorted(await notes(store_url)) == ["a", "c"]


async def test_who_got_it_back_meanwhile_is_another_holder(store_url: str) -> None:
    async with two(store_url) as (clock, one, other):
        await one._stand()
        before = Elected(WATCH, one._store, clock, "a", LOG)
        before._token, before._until = one._token, NOW + 10 * TERM
        for each in (other, one):
            clock.forward(TERM / 1000)
            await each._stand()
        with pytest.raises(Deposed):
            await before.write(note("two hands ago"))
        await one.write(note("one"))
    assert await notes(store_url) == ["one"]


async def test_an_orderly_end_gives_the_office_up_at_once(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office_room, "KEEP", 0.02)
    async with two(store_url) as (_, one, other):
        leading = asyncio.create_task(one.run())
        await until(lambda: one.held)
        waiting = asyncio.create_task(other.run())
        await asyncio.sleep(0.1)
        assert not other.held
        leading.cancel()
        await asyncio.gather(leading, return_exceptions=True)
        assert not one.held
        await until(lambda: other.held)  # no time goes by on its clock
        with pytest.raises(Deposed):
            await one.write(note("late"))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert await notes(store_url) == []


async def test_it_is_kept_as_long_as_its_holder_lives(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office_room, "KEEP", 0.005)
    async with two(store_url) as (clock, one, other):
        leading = asyncio.create_task(one.run())
        await until(lambda: one.held)
        for _ in range(6):
            kept = one._until
            clock.forward(TERM / 2000)
            await until(lambda kept=kept: one._until > kept)  # type: ignore[misc]
            await other._stand()
        assert (one.held, other.held, one._token) == (True, False, 1)
        leading.cancel()
        await asyncio.gather(leading, return_exceptions=True)


class Away:
    """A store that can be out of reach."""

    def __init__(self, store: SqlStore) -> None:
        self.store, self.away = store, False

    async def write(self, work: Any, *, turn: Turn | None = None) -> Any:
        if self.away:
            raise Unstorable("out of reach")
        return await self.store.write(work, turn=turn)

    async def read(self, work: Any) -> Any:
        return await self.store.read(work)


async def test_a_store_out_of_reach_ends_the_term_and_the_next_answer_renews_it(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office_room, "KEEP", 0.01)
    clock = ManualClock(NOW)
    async with opened(store_url, clock) as store:
        reached = Away(store)
        one = Elected(WATCH, reached, clock, "a", LOG)
        leading = asyncio.create_task(one.run())
        await until(lambda: one.held)
        reached.away = True
        clock.forward(TERM / 1000)
        assert not one.held
        await asyncio.sleep(0.05)
        assert not leading.done()
        reached.away = False
        await until(lambda: one.held)
        leading.cancel()
        await asyncio.gather(leading, return_exceptions=True)
