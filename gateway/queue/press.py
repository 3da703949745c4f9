"""What one connection publishes: letters with publisher confirms, their queues declared first, a deadline around all.
The relay opens a press for each connection and asks it for the fate of every letter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractExchange
from aio_pika.exceptions import PublishError
from pamqp.commands import Basic
from structlog.stdlib import BoundLogger

from gateway.queue.broker import DEADLINE, Topology, give_up, within


class Fate(Enum):
    """What became of a letter: the broker has it safe; no queue takes it; unknown, as the connection broke; unknown,
    as the broker let the deadline pass."""

    CONFIRMED = "confirmed"
    RETURNED = "returned"
    UNKNOWN = "unknown"
    LATE = "late"


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


class Press:
    """See the top of the file. Good for as long as its connection."""

    def __init__(
        self, connection: AbstractConnection, exchange: AbstractExchange, topology: Topology, log: BoundLogger
    ) -> None:
        self._connection, self._exchange, self._topology, self._log = connection, exchange, topology, log
        self._routes: set[str] = set()

    @classmethod
    async def opened(cls, connection: AbstractConnection, topology: Topology, log: BoundLogger) -> Press:
        """A press on a fresh connection; raises BROKEN."""

        async def prepare() -> AbstractExchange:
            amqp = connection.channel(publisher_confirms=True, on_return_raises=True)
            await amqp.initialize()
            exchange = await topology.exchange(amqp)
            await topology.probe_queue(amqp)
            return exchange

        return cls(connection, await within(DEADLINE, prepare()), topology, log)

    async def send(self, letters: Sequence[Letter]) -> list[Fate]:
        """Publish all of them at once; returns their fates in order within `DEADLINE` seconds. Raises BROKEN if a
        queue cannot be declared; then nothing was published."""
        await within(DEADLINE, self._prepare({letter.route for letter in letters}))
        sends = [asyncio.ensure_future(self.publish(letter)) for letter in letters]
        try:
            await asyncio.wait(sends, timeout=DEADLINE)
        finally:
            late = [send for send in sends if not send.done()]
            for send in sends:
                give_up(send)
        fates = [Fate.LATE if send in late else _fate(send) for send in sends]
        self._routes -= {letter.route for letter, fate in zip(letters, fates, strict=True) if fate is Fate.RETURNED}
        return fates

    async def probe(self) -> None:
        """Publish a probe and wait for its confirm, however long that takes. Raises BROKEN."""
        await self.publish(Letter(self._topology.probe, "probe", b"{}"))

    async def publish(self, letter: Letter) -> None:
        """Publish one letter and wait for its confirm. Raises PublishError if no queue takes it, BROKEN if its fate
        is unknown."""
        answer = await self._exchange.publish(letter.message(), letter.route, mandatory=True)
        if not isinstance(answer, Basic.Ack):
            raise ConnectionError(f"the broker answered {answer!r}")

    async def _prepare(self, routes: set[str]) -> None:
        """Declare the queues of routes that this connection has not met."""
        for route in routes - self._routes:
            if why := await self._topology.work_queue(self._connection, route):
                self._log.error("queue_declared_otherwise", route=route, why=why)
            self._routes.add(route)


def _fate(send: asyncio.Future[None]) -> Fate:
    if send.cancelled():
        return Fate.UNKNOWN
    error = send.exception()
    if isinstance(error, PublishError):
        return Fate.RETURNED
    return Fate.CONFIRMED if error is None else Fate.UNKNOWN
