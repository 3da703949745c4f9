"""A TCP wire that fails on demand: a proxy of our own between a client and a server, for tests of a failing network.

    async with wire_to("127.0.0.1", broker_port) as wire:
        ... connect to 127.0.0.1:wire.port ...
        wire.half_open()

Faults may be switched while connections live. What a wire swallowed is gone, and a TCP stream has no gaps: `heal` resets
the connections that lost something, as a network does whose routers forgot them, and leaves the others alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum

from installed import free_ports

CHUNK = 2**20
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, no time: close sends RST


class Way(Enum):
    """The two directions of a connection."""

    TO_SERVER = "to server"
    TO_CLIENT = "to client"


@asynccontextmanager
async def wire_to(host: str, port: int) -> AsyncIterator[Wire]:
    """A wire to `host:port`, without faults at first; every connection through it ends with the block."""
    wire = Wire(host, port)
    await wire.heal()
    try:
        yield wire
    finally:
        await wire.cut()


@dataclass(eq=False, slots=True)
class Link:
    """One connection: our ends of it, and the ways on which it has lost something."""

    task: asyncio.Task[None]
    ends: list[asyncio.StreamWriter]
    lost: set[Way] = field(default_factory=set)

    def reset(self) -> None:
        """RST to both sides, at once."""
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            end.transport.abort()


class Wire:
    """Listens on `port` of 127.0.0.1 and carries each connection to its server."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        (self.port,) = free_ports(1)
        self._listener: asyncio.Server | None = None
        self._links: set[Link] = set()
        self._held_back = 0.0
        self._dead: frozenset[Way] = frozenset()

    @property
    def links(self) -> int:
        """How many connections it carries."""
        return len(self._links)

    def delay(self, seconds: float) -> None:
        """Hold back what passes, in each direction, for at least so long and at most twice as long. 0 ends it."""
        self._held_back = seconds

    def black_hole(self) -> None:
        """Accept and swallow: nothing passes, and no end of a connection is told to the other side."""
        self._dead = frozenset(Way)

    def half_open(self, dead: Way = Way.TO_CLIENT) -> None:
        """One direction dies silently; the other goes on."""
        self._dead = frozenset({dead})

    async def reset(self) -> None:
        """End every connection with RST on both sides. New ones are carried as before."""
        await _ended(self._links, Link.reset)

    async def cut(self) -> None:
        """Close every connection and refuse new ones."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await _ended(self._links)

    async def heal(self) -> None:
        """No fault any more: accept, carry, and reset the connections that lost something."""
        self._held_back, self._dead = 0.0, frozenset()
        await _ended({link for link in self._links if link.lost}, Link.reset)
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=CHUNK)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or self._listener is None:  # cut while it was being accepted
            return writer.transport.abort()
        link = Link(task, [writer])
        self._links.add(link)
        try:
            await self._join(link, reader, writer)
        except* OSError:  # the server refused, or one side reset: the other learns it
            link.reset()
        finally:
            self._links.discard(link)
            for end in link.ends:
                end.transport.abort()

    async def _join(self, link: Link, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if Way.TO_SERVER in self._dead:  # a SYN dies like anything else
            link.lost.update(Way)
            await self._carry(link, Way.TO_SERVER, from_client, to_client)
            await asyncio.Event().wait()
        from_server, to_server = await asyncio.open_connection(*self._target, limit=CHUNK)
        link.ends.append(to_server)
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(self._carry(link, Way.TO_SERVER, from_client, to_server))
            lanes.create_task(self._carry(link, Way.TO_CLIENT, from_server, to_client))
        if link.lost:
            await asyncio.Event().wait()  # the silence lasts until somebody heals, resets or cuts
        for end in link.ends:
            end.close()
            await end.wait_closed()

    async def _carry(self, link: Link, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one direction to its end, and the end too, as long as it is not dead."""
        chunk = b"-"
        while chunk:
            try:
                chunk = await reader.read(CHUNK)
            except ConnectionError:
                if not self._swallows(link, way):
                    raise
                return
            await asyncio.sleep(self._held_back)
            if not self._swallows(link, way):
                await _pass_on(chunk, writer)

    def _swallows(self, link: Link, way: Way) -> bool:
        """Whether what just came is lost; what has lost something loses all that follows."""
        if way in self._dead:
            link.lost.add(way)
        return way in link.lost


async def _pass_on(chunk: bytes, writer: asyncio.StreamWriter) -> None:
    """Write what came, or that no more will come. That the receiver is gone is told by reading from it."""
    with contextlib.suppress(OSError):
        if chunk:
            writer.write(chunk)
            await writer.drain()
        else:
            writer.write_eof()
            await writer.drain()


async def _ended(links: Iterable[Link], first: Callable[[Link], None] = lambda _link: None) -> None:
    """End these connections and return when they are gone."""
    tasks = []
    for link in links:
        first(link)
        link.task.cancel()
        tasks.append(link.task)
    await asyncio.gather(*tasks, return_exceptions=True)
