"""The embedded MQTT broker of the demo and the tests: amqtt (MQTT 3.1.1), on loopback, made quiet and able to freeze.

Only the simulator calls it. A real deployment runs Mosquitto or a like broker (docs/channels/loudspeaker.md). It lives in a
thread with a loop of its own, since amqtt makes tasks without end. We open the port and hand each connection to amqtt as an
external one: so port 0 works, and the reader can stop all answers.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker as Amqtt
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

LISTENER = "default"
FROZEN = 0.02

for _noisy in ("amqtt", "transitions"):
    logging.getLogger(_noisy).setLevel(logging.CRITICAL)


class Anyone(BaseAuthPlugin):  # type: ignore[misc]
    """Lets every client of this machine in. Unlike amqtt's anonymous plugin it keeps the messages of those who are away."""

    @dataclass
    class Config:
        """No settings."""

    async def authenticate(self, *, session: Session) -> bool:
        """Always."""
        return True


class Broker:
    """`async with Broker(port=0) as broker:` listens on 127.0.0.1:`broker.port`. `frozen`: connections stay, nothing answers."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.frozen = False
        self._thread = threading.Thread(target=self._run, name="mqtt-broker", daemon=True)
        self._started: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def __aenter__(self) -> Broker:
        self._thread.start()
        self.port, self._loop, self._stop = await asyncio.wrap_future(self._started)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.frozen = False
        self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as problem:
            if self._started.done():
                raise
            self._started.set_exception(problem)

    async def _live(self) -> None:
        loop, stop, house = asyncio.get_running_loop(), asyncio.Event(), _House(self)
        loop.set_exception_handler(lambda loop, context: None)
        port = await house.open()
        self._started.set_result((port, loop, stop))
        await stop.wait()
        await house.close()


class _House:
    """What happens inside the broker's own loop."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._amqtt = Amqtt({"listeners": {LISTENER: {"type": "external"}}, "plugins": {f"{__name__}.Anyone": {}}})
        self._conversations: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> int:
        """Start to listen; the port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._broker.port)
        await self._amqtt.start()
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """End all conversations; amqtt forgets those that come or go while it shuts down."""
        if self._server:
            self._server.close()
        await self._amqtt.shutdown()
        conversations = list(self._conversations)
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        await asyncio.sleep(0)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._converse(reader, writer))
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heard = FreezableReader(reader, self._broker)
            await self._amqtt.external_connected(heard, StreamWriterAdapter(writer), LISTENER)
        finally:
            writer.close()


class FreezableReader(StreamReaderAdapter):  # type: ignore[misc]
    """What a frozen broker has read it does not see before the thaw."""

    def __init__(self, reader: asyncio.StreamReader, broker: Broker) -> None:
        super().__init__(reader)
        self._broker = broker

    async def read(self, n: int = -1) -> bytes:
        """Like its parent."""
        data: bytes = await super().read(n)
        while self._broker.frozen:
            await asyncio.sleep(FROZEN)
        return data
