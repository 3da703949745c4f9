"""What one connection publishes: letters with publisher confirms, their queues declared first, a deadline around all.
The relay opens a press for each connection and asks it for the fate of every letter.

Each route has an AMQP channel of its own, as one whose queue is sick stands still with all that was published by it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aio_pika.exceptions import PublishError
from pamqp.commands import Basic
from structlog.stdlib import BoundLogger

from gateway.queue.broker import DEADLINE, Topology, give_up, within

SHUNNED = (0.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds that nothing is published to a queue that confirmed nothing, so that the others are not held up by it: the first
time (a broker that has just come back elects leaders), the second, and so on. Till then lesser classes may overtake it."""


class Fate(Enum):
    """What became of a letter: the broker has it safe; no queue takes it; unknown, as the connection broke; unknown,
    as the broker let the deadline pass; not published, as its queue confirmed nothing a moment ago."""

    CONFIRMED = "confirmed"
    RETURNED = "returned"
    UNKNOWN = "unknown"
    LATE = "late"
    SHUNNED = "shunned"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to be: `id` is fixed before the first attempt and the same at every other."""

    route: str
    id: str
    body: bytes

    def message(self) -> aio_pika.Message:
        """As it goes to the broker: persistent."""
        return aio_pika.Message(
            self.body,
            message_id=self.id,
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )


@dataclass(frozen=True, slots=True)
class Outlet:
    """An AMQP channel to publish by, and the exchange of all work as it is seen from there."""

    amqp: AbstractChannel
    exchange: AbstractExchange

    @classmethod
    async def opened(cls, connection: AbstractConnection, topology: Topology) -> Outlet:
        """A new one; raises BROKEN."""
        amqp = connection.channel(publisher_confirms=True, on_return_raises=True)
        await amqp.initialize()
        return cls(amqp, await amqp.get_exchange(topology.prefix, ensure=False))

    async def publish(self, letter: Letter) -> None:
        """Publish one letter and wait for its confirm. Raises PublishError if no queue takes it, BROKEN if its fate is
        unknown."""
        answer = await self.exchange.publish(letter.message(), letter.route, mandatory=True)
        if not isinstance(answer, Basic.Ack):
            raise ConnectionError(f"the broker answered {answer!r}")


class Press:
    """See the top of the file. Good for as long as its connection."""

    def __init__(self, connection: AbstractConnection, probes: Outlet, topology: Topology, log: BoundLogger) -> None:
        self._connection, self._probes, self._topology, self._log = connection, probes, topology, log
        self._routes: dict[str, Outlet] = {}
        self._shunned: dict[str, float] = {}
        self._late: Counter[str] = Counter()
        self._closing: set[asyncio.Future[None]] = set()

    @classmethod
    async def opened(cls, connection: AbstractConnection, topology: Topology, log: BoundLogger) -> Press:
        """A press on a fresh connection; raises BROKEN."""

        async def prepare() -> Outlet:
            probes = await Outlet.opened(connection, topology)
            await topology.exchange(probes.amqp)
            await topology.probe_queue(probes.amqp)
            return probes

        return cls(connection, await within(DEADLINE, prepare()), topology, log)

    async def send(self, letters: Sequence[Letter]) -> list[Fate]:
        """Publish all of them at once; returns their fates in order, within twice `DEADLINE`. Raises BROKEN if a queue
        cannot be declared; then nothing was published."""
        now = asyncio.get_running_loop().time()
        self._shunned = {route: until for route, until in self._shunned.items() if until > now}
        going = [letter for letter in letters if letter.route not in self._shunned]
        await within(DEADLINE, self._prepare({letter.route for letter in going}))
        fates = dict(zip((letter.id for letter in going), await self._fates(going), strict=True))
        met: dict[str, set[Fate]] = defaultdict(set)
        for letter in going:
            met[letter.route].add(fates[letter.id])
        for route, those in met.items():
            self._learn(route, those)
        return [fates.get(letter.id, Fate.SHUNNED) for letter in letters]

    def pardon(self) -> None:
        """It was the broker that confirmed nothing, not this queue or that."""
        self._shunned.clear()
        self._late.clear()

    async def probe(self) -> None:
        """Publish a probe and wait for its confirm, however long that takes. Raises BROKEN."""
        await self._probes.publish(Letter(self._topology.probe, "probe", b"{}"))

    async def _prepare(self, routes: set[str]) -> None:
        """Declare the queues of routes that this connection has not met, or that are to be met anew."""
        for route in routes - self._routes.keys():
            if why := await self._topology.work_queue(self._connection, route):
                self._log.error("queue_declared_otherwise", route=route, why=why)
            self._routes[route] = await Outlet.opened(self._connection, self._topology)

    async def _fates(self, letters: Sequence[Letter]) -> list[Fate]:
        if not letters:
            return []
        sends = [asyncio.ensure_future(self._routes[letter.route].publish(letter)) for letter in letters]
        try:
            await asyncio.wait(sends, timeout=DEADLINE)
        finally:
            late = {send for send in sends if not send.done()}
            for send in sends:
                give_up(send)
        return [Fate.LATE if send in late else _fate(send) for send in sends]

    def _learn(self, route: str, met: set[Fate]) -> None:
        """A route that returned a letter is declared again next time; one that confirmed nothing is shunned, too."""
        if Fate.RETURNED in met or met == {Fate.LATE}:
            closing = asyncio.ensure_future(self._routes.pop(route).amqp.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            asyncio.get_running_loop().call_later(DEADLINE, give_up, closing)
        if met == {Fate.LATE}:
            wait = SHUNNED[min(self._late[route], len(SHUNNED) - 1)]
            self._late[route] += 1
            self._shunned[route] = asyncio.get_running_loop().time() + wait
        elif Fate.CONFIRMED in met:
            del self._late[route]


def _fate(send: asyncio.Future[None]) -> Fate:
    if send.cancelled():
        return Fate.UNKNOWN
    error = send.exception()
    if isinstance(error, PublishError):
        return Fate.RETURNED
    return Fate.CONFIRMED if error is None else Fate.UNKNOWN
