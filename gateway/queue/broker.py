"""The broker as the rooms of the queue see it: names and declarations, one connection that comes back, and a deadline
around every call. Used by the relay, the consuming side and the reconciler, each with a connection of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import uniform
from typing import TypeVar
from urllib.parse import quote

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractIncomingMessage
from aio_pika.connection import Connection, make_url
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, ChannelNotFoundEntity, ChannelPreconditionFailed
from pamqp.common import FieldTable
from structlog.stdlib import BoundLogger

from gateway.model.dispatch import Priority

T = TypeVar("T")

DEADLINE = 5.0
"""Seconds that any call to the broker may take. A call that took longer has an unknown outcome."""

HEARTBEAT = 5
"""Seconds. The library gives a silent connection up after 3 x (heartbeat + 1)."""

FIRST_WAIT, LONGEST_WAIT, SETTLED = 0.5, 4.0, 10.0
"""Seconds between attempts to connect (doubled, jittered), and how long a connection must have held for the first
wait again.
"""

BROKEN: tuple[type[Exception], ...] = (*CONNECTION_EXCEPTIONS, TimeoutError)
"""What a call raises when the connection, the channel or the broker is at fault."""

DELIVERY_LIMIT = 20
"""Deliveries of one message that nobody acknowledged (workers that died over it) before it is a dead letter."""


@dataclass(frozen=True, slots=True)
class Topology:
    """Names and declarations. Declaring is idempotent: it makes what is missing and leaves the rest alone."""

    prefix: str = "tongluo"

    @property
    def dead(self) -> str:
        """The exchange and the queue of dead letters."""
        return f"{self.prefix}.dead"

    @property
    def probe(self) -> str:
        """The routing key and, under the prefix, the queue of probes. No other routing key is without a dot."""
        return "probe"

    def route(self, channel: str, priority: Priority) -> str:
        """The routing key of a channel and class. Names of queues are ASCII, and a channel may be called 短信: @E7@9F@AD..."""
        return f"{quote(channel, safe='').replace('%', '@')}.{priority.label}"

    def queue(self, route: str) -> str:
        """The queue that a routing key leads to."""
        return f"{self.prefix}.{route}"

    async def exchange(self, amqp: AbstractChannel) -> AbstractExchange:
        """The exchange of all work, and what stands behind it: the dead letters."""
        dead = await amqp.declare_exchange(self.dead, "fanout", durable=True)
        # A broker of version 4 drops what nobody acknowledged 20 times, unless it is told otherwise.
        endless: FieldTable = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}
        await (await amqp.declare_queue(self.dead, durable=True, arguments=endless)).bind(dead)
        return await amqp.declare_exchange(self.prefix, "topic", durable=True)

    async def work_queue(self, connection: AbstractConnection, route: str) -> str:
        """The queue of a route, bound to the exchange. One that somebody has declared otherwise is used as it is: a warning that
        gets out is worth more than a setting; returns what the broker says of it then, else ""."""
        arguments: FieldTable = {
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": self.dead,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
        otherwise = ""
        async with _brief_channel(connection) as amqp:  # a refusal closes the channel
            try:
                await amqp.declare_queue(self.queue(route), durable=True, arguments=arguments)
            except ChannelPreconditionFailed as error:
                otherwise = plain(error)
        async with _brief_channel(connection) as amqp:
            await (await amqp.get_queue(self.queue(route), ensure=False)).bind(self.prefix, route)
        return otherwise

    async def counts(self, connection: AbstractConnection, route: str) -> tuple[int, int] | None:
        """How many messages stand ready in the queue of a route, and how many consumers it has; None without a queue."""
        async with _brief_channel(connection) as amqp:
            try:
                found = (await amqp.declare_queue(self.queue(route), passive=True)).declaration_result
            except ChannelNotFoundEntity:
                return None
            return found.message_count or 0, found.consumer_count or 0

    async def try_consumer(self, connection: AbstractConnection, route: str) -> None:
        """Consume the queue of a route for a moment. Returns if it can be done; a sick queue never answers."""

        async def ignore(_message: AbstractIncomingMessage) -> None:
            """It goes back when the channel closes."""

        async with _brief_channel(connection) as amqp:
            await amqp.set_qos(prefetch_count=1)
            await (await amqp.get_queue(self.queue(route), ensure=False)).consume(ignore)

    async def renew(self, connection: AbstractConnection, route: str) -> None:
        """Delete the queue of a route and make it anew. The broker takes five seconds to delete a sick one."""
        async with _brief_channel(connection) as amqp:
            await amqp.queue_delete(self.queue(route))
        await self.work_queue(connection, route)

    async def probe_queue(self, amqp: AbstractChannel) -> None:
        """A queue of the same kind as the others, so that it shares their fate; it keeps one message."""
        arguments: FieldTable = {"x-queue-type": "quorum", "x-max-length": 1}
        queue = await amqp.declare_queue(self.queue(self.probe), durable=True, arguments=arguments)
        await queue.bind(self.prefix, self.probe)


def _brief_channel(connection: AbstractConnection) -> AbstractChannel:
    return connection.channel(publisher_confirms=False)


async def within(seconds: float, call: Awaitable[T]) -> T:
    """The result of a call to the broker. Raises TimeoutError after `seconds`, even from a call that cannot be cancelled,
    and ConnectionError where the library cancels its callers because the connection ended."""
    task = asyncio.ensure_future(call)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        give_up(task)
    if not done:
        raise TimeoutError(f"the broker did not answer within {seconds:g} s")
    if task.cancelled():
        raise ConnectionError("the connection to the broker ended")
    return task.result()


def give_up(task: asyncio.Future[T]) -> None:
    """Cancel a call if it still runs; nobody asks any more what became of it."""

    def swallow(ended: asyncio.Future[T]) -> None:
        if not ended.cancelled():
            ended.exception()

    task.cancel()
    task.add_done_callback(swallow)


class Line:
    """One connection to the broker that comes back: dialled when it is wanted, served, dialled again with growing,
    jittered waits."""

    def __init__(self, url: str, name: str, log: BoundLogger) -> None:
        self._url, self._name, self._log = url, name, log
        self.wanted = asyncio.Event()
        self.up = False
        self.fault = "not connected yet"
        _quiet()

    async def run(self, serve: Callable[[AbstractConnection], Awaitable[None]]) -> None:
        """Serve one connection after the other until cancelled. `serve` is cancelled when its connection ends."""
        wait = FIRST_WAIT
        while True:
            await self.wanted.wait()
            began = asyncio.get_running_loop().time()
            try:
                async with self._dialled() as connection:
                    await _until_closed(connection, serve)
            except* BROKEN as errors:
                self._lost(_first(errors))
            finally:
                self.up = False
            if asyncio.get_running_loop().time() - began > SETTLED:
                wait = FIRST_WAIT
            await asyncio.sleep(wait * uniform(0.5, 1))
            wait = min(2 * wait, LONGEST_WAIT)

    @asynccontextmanager
    async def _dialled(self) -> AsyncIterator[AbstractConnection]:
        connection = Connection(make_url(self._url, heartbeat=HEARTBEAT, name=self._name))
        try:
            await within(DEADLINE, connection.connect())
            self._log.info("broker_connected", line=self._name)
            self.up, self.fault = True, ""
            yield connection
        finally:  # one that never came up wants closing too, or the garbage collector tries it in whatever thread
            with contextlib.suppress(*BROKEN):
                await within(DEADLINE, connection.close())

    def _lost(self, error: Exception) -> None:
        why = plain(error)
        if why != self.fault:
            self._log.warning("broker_lost", line=self._name, why=why)
        self.fault = why


async def _until_closed(connection: AbstractConnection, serve: Callable[[AbstractConnection], Awaitable[None]]) -> None:
    """Raises what `serve` raised, or ConnectionError when the connection ended first."""
    closed = asyncio.Event()
    connection.close_callbacks.add(lambda *_: closed.set())
    serving, closing = asyncio.ensure_future(serve(connection)), asyncio.ensure_future(closed.wait())
    try:
        await asyncio.wait({serving, closing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        closing.cancel()
        ended = serving.done()
        serving.cancel()
        await asyncio.wait({serving}, timeout=DEADLINE)
    if ended and not serving.cancelled():
        serving.result()
    raise ConnectionError("the broker closed the connection")


def plain(error: Exception) -> str:
    """A fault of the broker for people, on one line, the same every time."""
    words = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    if "Connection.OpenOk" in words:
        return "the broker refuses the virtual host: is it there, and may this user use it?"
    return re.sub(r" at 0x[0-9a-f]+", "", words)


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


def _quiet() -> None:
    """The library logs every failed attempt as an error; we tell each change once."""
    logging.getLogger("aiormq.connection").setLevel(logging.CRITICAL)
    logging.getLogger("aiormq.channel").setLevel(logging.ERROR)
    logging.getLogger("aio_pika").setLevel(logging.CRITICAL)
