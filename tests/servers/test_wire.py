"""The wire between a real client and a real server: plain, and with each of its faults."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from installed import free_ports
from wire import RESET_ON_CLOSE, Way, Wire, wire_to

SILENCE = 0.3
"""Seconds without a byte that we call silence: a loopback answer takes less than a millisecond."""


@dataclass
class Echo:
    """A server that says back what it hears, and remembers it."""

    port: int
    heard: bytearray = field(default_factory=bytearray)
    ends: list[str] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                self.heard += chunk
                await self._tell()
                writer.write(chunk)
                await writer.drain()
            end = "closed"
        except ConnectionResetError:
            end = "reset"
        self.ends.append(end)
        await self._tell()
        writer.close()

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()

    async def has_heard(self, what: bytes) -> None:
        async with asyncio.timeout(10), self.news:
            await self.news.wait_for(lambda: what in self.heard)

    async def has_seen(self, *ends: str) -> None:
        async with asyncio.timeout(10), self.news:
            await self.news.wait_for(lambda: self.ends == list(ends))


@asynccontextmanager
async def an_echo() -> AsyncIterator[Echo]:
    (port,) = free_ports(1)
    echo = Echo(port)
    server = await asyncio.start_server(echo.serve, "127.0.0.1", port)
    try:
        yield echo
    finally:
        server.close()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with an_echo() as echo:
        yield echo


@pytest.fixture
async def wire(echo: Echo) -> AsyncIterator[Wire]:
    async with wire_to("127.0.0.1", echo.port) as wire:
        yield wire


class Client:
    """A connection through the wire."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, what: bytes) -> None:
        self.writer.write(what)

    async def hears(self, what: bytes) -> None:
        assert await asyncio.wait_for(self.reader.readexactly(len(what)), 10) == what

    async def answers(self, what: bytes) -> float:
        """Say it and hear it again; returns the seconds it took."""
        began = time.monotonic()
        self.say(what)
        await self.hears(what)
        return time.monotonic() - began

    async def hears_nothing(self) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self.reader.read(1), SILENCE)

    async def sees_the_end(self) -> None:
        assert await asyncio.wait_for(self.reader.read(1), 10) == b""

    async def is_reset(self) -> None:
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(self.reader.read(1), 10)


@asynccontextmanager
async def connected(wire: Wire) -> AsyncIterator[Client]:
    reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", wire.port), 10)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_without_a_fault_everything_passes_both_ways_and_so_do_the_ends(echo: Echo, wire: Wire) -> None:
    long = bytes(range(256)) * 20_000
    async with connected(wire) as client:
        await client.answers(b"hello")
        await client.answers(long)
        client.writer.write_eof()
        await client.sees_the_end()
        assert bytes(echo.heard) == b"hello" + long
    await echo.has_seen("closed")
    async with asyncio.timeout(10):
        while wire.links:
            await asyncio.sleep(0.01)


async def test_a_reset_by_the_client_is_one_for_the_server(echo: Echo, wire: Wire) -> None:
    async with connected(wire) as client:
        await client.answers(b"one")
        client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        client.writer.transport.abort()
        await echo.has_seen("reset")


async def test_a_delay_holds_back_each_way_and_ends_on_a_living_connection(wire: Wire) -> None:
    async with connected(wire) as client:
        await client.answers(b"quick")
        wire.delay(0.2)
        assert await client.answers(b"slow") >= 0.4, "there and back"
        wire.delay(0)
        await client.answers(b"quick again")


async def test_a_cut_closes_all_and_refuses_until_it_is_healed(echo: Echo, wire: Wire) -> None:
    async with connected(wire) as one, connected(wire) as two:
        await one.answers(b"1")
        await two.answers(b"2")
        await wire.cut()
        assert wire.links == 0
        await one.sees_the_end()
        await two.sees_the_end()
        await echo.has_seen("closed", "closed")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", wire.port)
    await wire.heal()
    async with connected(wire) as client:
        await client.answers(b"again, on the same port")


async def test_a_black_hole_swallows_what_lives_and_what_comes(echo: Echo, wire: Wire) -> None:
    async with connected(wire) as before:
        await before.answers(b"before")
        wire.black_hole()
        before.say(b"lost")
        async with connected(wire) as within:
            within.say(b"lost too" * 1_000_000)
            await asyncio.wait_for(within.writer.drain(), 10)
            await within.hears_nothing()
            await before.hears_nothing()
            assert bytes(echo.heard) == b"before"
            await wire.heal()
            await before.is_reset()
            await within.is_reset()
    async with connected(wire) as client:
        await client.answers(b"after")
    await echo.has_seen("reset", "closed")


async def test_a_black_hole_hides_the_end_of_a_connection(echo: Echo, wire: Wire) -> None:
    async with connected(wire) as client:
        await client.answers(b"before")
        wire.black_hole()
    await asyncio.sleep(SILENCE)
    assert echo.ends == []
    await wire.heal()
    await echo.has_seen("reset")


@pytest.mark.parametrize("dead", list(Way))
async def test_half_open_loses_one_way_and_carries_the_other(wire: Wire, echo: Echo, dead: Way) -> None:
    async with connected(wire) as client:
        await client.answers(b"before")
        wire.half_open(dead)
        client.say(b"after")
        if dead is Way.TO_CLIENT:
            await echo.has_heard(b"after")
        await client.hears_nothing()
        assert (b"after" in echo.heard) == (dead is Way.TO_CLIENT)
        await wire.heal()
        await client.is_reset()
    async with connected(wire) as client:
        await client.answers(b"healed")


async def test_what_lost_nothing_lives_on_when_a_fault_is_healed(wire: Wire) -> None:
    async with connected(wire) as client:
        await client.answers(b"before")
        wire.black_hole()
        await wire.heal()
        await client.answers(b"after")


async def test_what_lost_something_never_goes_on_with_a_gap(wire: Wire, echo: Echo) -> None:
    async with connected(wire) as client:
        wire.black_hole()
        client.say(b"lost")
        await client.hears_nothing()
        wire.half_open(Way.TO_CLIENT)
        client.say(b"after the gap")
        await client.hears_nothing()
        assert bytes(echo.heard) == b""


async def test_a_reset_ends_what_lives_and_nothing_else(echo: Echo, wire: Wire) -> None:
    async with connected(wire) as client:
        await client.answers(b"before")
        await wire.reset()
        await client.is_reset()
        await echo.has_seen("reset")
        async with connected(wire) as other:
            await other.answers(b"after")


async def test_a_server_that_is_not_there_resets_who_dials_it() -> None:
    (nobody,) = free_ports(1)
    async with wire_to("127.0.0.1", nobody) as wire, connected(wire) as client:
        await client.is_reset()
