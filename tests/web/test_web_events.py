"""Event streams over a real socket: frames, resume, heartbeats, and letting go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from web_data import ALERT
from web_world import House, World, serve

STREAM = f"/api/v1/alerts/{ALERT}/events?region=210106&depth=2"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with serve(heartbeat=0.05) as house:
        yield house


async def frame(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """The next frame that is not a heartbeat."""
    fields: dict[str, str] = {}
    while True:
        line = (await asyncio.wait_for(answer.content.readline(), 10)).decode().rstrip("\n")
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            return fields


async def until_no_streams(world: World) -> None:
    async with asyncio.timeout(10):
        while world.streams:
            await asyncio.sleep(0.01)


async def test_frames_come_as_they_happen_with_their_row_ids(house: House) -> None:
    async with house.ask(STREAM, session="session-viewer") as answer:
        assert answer.content_type == "text/event-stream"
        house.world.happen("coverage", {"as_of": "…", "changed": [{"id": "210106", "est": 0.884}]})
        first = await frame(answer)
        house.world.happen("alert", {"state": "cancelled", "text": "第一行\n\nevent: forged"})
        second = await frame(answer)
    assert (first["id"], first["event"], json.loads(first["data"])["changed"][0]["est"]) == ("1", "coverage", 0.884)
    assert (second["id"], second["event"], json.loads(second["data"])["state"]) == ("2", "alert", "cancelled")
    assert house.world.followed == [(ALERT, "210106", 2, 0)]


async def test_a_reader_that_comes_back_goes_on_where_it_was(house: House) -> None:
    for n in range(3):
        house.world.happen("log", {"n": n})
    async with house.ask(STREAM, headers={"Last-Event-ID": "2"}) as answer:
        assert (await frame(answer))["id"] == "3"


@pytest.mark.parametrize("strange", ["-1", "x", "9" * 40, "１"])
async def test_a_strange_last_id_begins_anew(house: House, strange: str) -> None:
    house.world.happen("log", {})
    async with house.ask(STREAM, headers={"Last-Event-ID": strange.encode().decode("latin-1")}) as answer:
        assert (await frame(answer))["id"] == "1"


async def test_silence_is_filled_with_comments(house: House) -> None:
    async with house.ask("/api/v1/events") as answer:
        lines = [await asyncio.wait_for(answer.content.readline(), 10) for _ in range(6)]
    assert lines.count(b": heartbeat\n") >= 2
    assert house.world.followed == [("", "", 1, 0)]


async def test_a_reader_that_leaves_is_let_go(house: House) -> None:
    async with house.ask(STREAM) as answer:
        await answer.content.readline()
        assert house.world.streams == 1
        answer.close()
    await until_no_streams(house.world)


async def test_a_stop_does_not_wait_for_readers() -> None:
    world = World()
    async with aiohttp.ClientSession() as http:
        async with serve(world, heartbeat=60) as house:
            answer = await http.get(house.url + STREAM, headers={"Authorization": "Bearer key-admin"})
            await answer.content.readline()
        async with asyncio.timeout(10):
            assert await answer.read() == b"\n"
        answer.close()
    assert world.streams == 0


async def test_a_feed_that_breaks_ends_the_stream_and_not_the_gateway(house: House) -> None:
    house.world.happen("log", {"bad": object()})
    async with house.ask(STREAM) as answer, asyncio.timeout(10):
        assert b"Traceback" not in await answer.read()
    async with house.ask("/healthz") as answer:
        assert answer.status == 200


async def test_a_stream_needs_a_key(house: House) -> None:
    async with house.ask(STREAM, key="") as answer:
        assert answer.status == 401
