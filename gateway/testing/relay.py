"""A port on loopback between a channel and its simulator, through which the contract kit makes any far side misbehave.

It passes bytes on and knows no protocol, so every channel meets the same troubles whatever its simulator can play.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

CHUNK = 65_536
LOOPBACK = "127.0.0.1"
_PLACE = re.compile(r"(?<=127\.0\.0\.1:)\d+|(?<=localhost:)\d+")


class Trouble(StrEnum):
    """What the far side does instead of answering."""

    NONE = "none"
    REFUSES = "refuses connections"
    HANGS = "reads and says nothing"
    CUTS = "ends the connection after the question"
    RAVES = "answers random bytes"


class Relay:
    """`async with Relay(port) as relay:` listens on 127.0.0.1:`relay.port` and leads to `port`.

    `seen`: how many bytes came from the channel's side, passed on or not; `open`: its connections now.
    """

    def __init__(self, target: int) -> None:
        self.port = self.seen = 0
        self._target, self._trouble, self._answer = target, Trouble.NONE, b""
        self._chance = random.Random(target)
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        self._anchor = _bound(0)  # holds the port while nobody listens on it
        self.port = self._anchor.getsockname()[1]
        await self._listen()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._anchor.close()
        await self._deafen()

    @property
    def open(self) -> int:
        """Connections that the channel holds."""
        return len(self._connections)

    async def play(self, trouble: Trouble, answer: bytes = b"") -> None:
        """From now on this trouble, on new connections and on those there are; with NONE a client has to come anew.

        RAVES answers everything with `answer` and the end of the connection, or goes on with random bytes if there is none.
        """
        self._trouble, self._answer = trouble, answer
        if trouble in (Trouble.NONE, Trouble.REFUSES):
            await self._deafen()
        if trouble is not Trouble.REFUSES:
            await self._listen()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, sock=_bound(self.port))

    async def _deafen(self) -> None:
        if self._server is not None:
            await _stop_accepting(self._server)
            self._server.close()
            self._server = None
        tasks = list(self._connections)
        for task, writer in self._connections.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _few_turns()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(lambda done: self._connections.pop(done, None))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_writer = None
        try:
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self._target)
            ways = {
                asyncio.create_task(self._outward(reader, far_writer, writer)),
                asyncio.create_task(self._homeward(far_reader, writer)),
            }
            await _first_to_end(ways)
        except OSError:
            pass  # one end is gone, so the other one ends, too
        finally:
            for end in filter(None, (writer, far_writer)):
                end.close()

    async def _outward(
        self, reader: asyncio.StreamReader, far_side: asyncio.StreamWriter, home: asyncio.StreamWriter
    ) -> None:
        while chunk := await reader.read(CHUNK):
            self.seen += len(chunk)
            if self._trouble is Trouble.NONE:
                far_side.write(chunk)
                await far_side.drain()
            elif self._trouble is Trouble.CUTS:
                home.transport.abort()
            elif self._answer:
                home.write(self._answer)
                await home.drain()
                return
            elif self._trouble is Trouble.RAVES:
                home.write(self._chance.randbytes(self._chance.randint(1, 400)))

    async def _homeward(self, far_side: asyncio.StreamReader, home: asyncio.StreamWriter) -> None:
        while chunk := await far_side.read(CHUNK):
            if self._trouble is Trouble.NONE:
                home.write(chunk)
                await home.drain()


async def _first_to_end(ways: set[asyncio.Task[None]]) -> None:
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _stop_accepting(server: asyncio.Server) -> None:
    """asyncio loses the socket of a connection that it is just taking when its server is closed: let it finish first."""
    for listener in server.sockets:
        asyncio.get_running_loop().remove_reader(listener.fileno())
    await _few_turns()


async def _few_turns() -> None:
    """What the loop has begun about connections, here and at the simulator, comes to its end."""
    for _ in range(5):
        await asyncio.sleep(0)


def _bound(port: int) -> socket.socket:
    """A socket on that port of loopback (0 = a free one). Several may be bound to a port while one of them listens."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setblocking(False)
    bound.bind((LOOPBACK, port))
    return bound


def ports_in(value: Any, name: str = "") -> set[int]:
    """The ports that settings name: numbers under `port`, and `127.0.0.1:N` in any text."""
    if isinstance(value, Mapping):
        return set[int]().union(*(ports_in(inner, key) for key, inner in value.items()))
    if isinstance(value, (list, tuple)):
        return set[int]().union(*(ports_in(inner) for inner in value))
    if isinstance(value, str):
        return {int(port) for port in _PLACE.findall(value)}
    return {value} if name == "port" and isinstance(value, int) else set()


def rerouted(value: Any, routes: Mapping[int, int], name: str = "") -> Any:
    """The same settings (or address) with ports replaced as `routes` says."""
    if isinstance(value, Mapping):
        return {key: rerouted(inner, routes, key) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [rerouted(inner, routes) for inner in value]
    if isinstance(value, str):
        return _PLACE.sub(lambda place: str(routes.get(int(place[0]), place[0])), value)
    return routes.get(value, value) if name == "port" and isinstance(value, int) else value
