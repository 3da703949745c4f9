"""The consuming side of a queue over RabbitMQ: six queues for each channel that somebody takes from, one pile here.

A message is a hint: whoever takes one gets the batch as the store has it now, and what is over, in other hands or not
due is dropped. A message is acknowledged when its batch is out of hand. None is held for hours, as the broker would
end the connection over it after 30 minutes: what has lain here for `HOLD` is given back to the store, to be published
again, and what has been in a hand for so long is acknowledged, since the lease in the store covers it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from structlog.stdlib import BoundLogger

from gateway.channel import Clock
from gateway.errors import Unstorable
from gateway.model.dispatch import Priority
from gateway.ports.queue import QueueState
from gateway.ports.store import BatchRow, Store
from gateway.queue.broker import BROKEN, DEADLINE, Line, Topology, plain, within
from gateway.queue.notes import OPEN, Unreadable, misfit, read
from gateway.queue.pile import Held, Pile
from gateway.queue.relay import Relay

PREFETCH = 8
"""Messages of each class that may be here, where the channel does not say how many sends it makes at once."""

HOLD = 600.0
"""Seconds that a message may be here unacknowledged."""

PULSE = 5.0
"""Seconds between looks at whether the broker still answers."""


class RabbitQueue:
    """See `ports.queue.Queue`. `prefetch`: by channel, how many sends it makes at once. `relay`: the publishing side
    of this process, if it runs one."""

    def __init__(
        self,
        url: str,
        store: Store,
        clock: Clock,
        log: BoundLogger,
        *,
        prefetch: Mapping[str, int],
        relay: Relay | None = None,
        prefix: str = "tongluo",
    ) -> None:
        self._store, self._clock, self._log, self._prefetch, self._relay = store, clock, log, prefetch, relay
        self._topology = Topology(prefix)
        self._line = Line(url, f"{prefix} consumes", log)
        self._piles: dict[str, Pile] = {}
        self._faults: dict[str, str] = {}
        self._more = asyncio.Event()
        self._replies: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Consume, once anybody takes, until cancelled. Whoever takes before or meanwhile waits."""
        await self._line.run(self._serve)

    async def take(self, channel: str) -> BatchRow:
        pile = self._pile(channel)
        while True:
            held = await pile.pop()
            try:
                row = await self._looked_up(held)
            except BaseException:
                pile.lay_back(held.note.batch)
                raise
            if row is not None:
                return row

    def done(self, row: BatchRow) -> None:
        self._drop(row.channel, row.n)

    def wake(self, channels: Iterable[str] | None = None) -> None:
        if self._relay is not None:
            self._relay.wake()

    @property
    def state(self) -> QueueState:
        """As both sides see it: up if each that works here is up."""
        own = QueueState(self._line.up and not self._faults, detail=next(iter(self._faults.values()), self._line.fault))
        sides = [
            side for side, works in ((own, bool(self._piles)), (self._publishing, self._relay is not None)) if works
        ]
        return QueueState(
            up=all(side.up for side in sides),
            blocked=any(side.blocked for side in sides),
            detail=next((side.detail for side in sides if side.detail), ""),
        )

    @property
    def _publishing(self) -> QueueState:
        return self._relay.state if self._relay is not None else QueueState(True)

    def _pile(self, channel: str) -> Pile:
        if channel not in self._piles:
            self._piles[channel] = Pile()
            self._line.wanted.set()
            self._more.set()
        return self._piles[channel]

    async def _looked_up(self, held: Held) -> BatchRow | None:
        """The batch of a message as the store has it, if it is to be sent now; otherwise the message is answered."""
        note, now = held.note, self._clock.now()
        row = await self._store.read(lambda tx: tx.outbox.find(note.batch))
        if row is None or misfit(note, row):
            self._piles[note.channel].done(note.batch)
            self._refuse(held.message, misfit(note, row))
            return None
        if row.state in OPEN and row.not_before > now:
            await self._store.write(lambda tx: tx.outbox.unpublish([note.batch]))
        elif row.state in OPEN and not row.in_flight(now):
            return row
        self._drop(note.channel, note.batch)
        return None

    def _drop(self, channel: str, batch: int) -> None:
        held = self._pile(channel).done(batch)
        if held is not None:
            self._reply(held.message.ack())

    def _refuse(self, message: AbstractIncomingMessage, why: str) -> None:
        """To the dead letters, where the reconciler looks at it again and people can see it."""
        self._log.warning("message_refused", route=message.routing_key, why=why)
        self._reply(message.reject(requeue=False))

    def _reply(self, answer: Awaitable[None]) -> None:
        """Answer in the background. An answer that comes too late, by a connection that is gone, is nobody's loss:
        the message comes again, and its batch is over."""

        async def give() -> None:
            with contextlib.suppress(*BROKEN):
                await within(DEADLINE, answer)

        task = asyncio.create_task(give())
        self._replies.add(task)
        task.add_done_callback(self._replies.discard)

    async def _serve(self, connection: AbstractConnection) -> None:
        """Consume every channel that is taken from, each class on an AMQP channel of its own."""
        served: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                self._more.clear()
                for channel in self._piles.keys() - served:
                    for priority in Priority:
                        group.create_task(self._kept_consuming(connection, channel, priority))
                    served.add(channel)
                await self._more.wait()

    async def _kept_consuming(self, connection: AbstractConnection, channel: str, priority: Priority) -> None:
        """A fault of one queue does not touch the others: a sick one of drills holds no red warning up."""
        route = self._topology.route(channel, priority)
        while True:
            try:
                await self._consume(connection, channel, priority)
            except BROKEN as error:
                why = f"{route}: {plain(error)}"
                if self._faults.get(route) != why:
                    self._log.warning("queue_lost", route=route, why=why)
                self._faults[route] = why
            except Unstorable as error:
                self._log.warning("queue_waits", route=route, why=str(error))
            await asyncio.sleep(1)

    async def _consume(self, connection: AbstractConnection, channel: str, priority: Priority) -> None:
        """Declare and consume the queue of a class until it is lost. Raises BROKEN, Unstorable."""
        lost = asyncio.Event()
        route = self._topology.route(channel, priority)
        amqp = connection.channel(publisher_confirms=False)
        try:
            self._piles[channel].forget(priority)
            prefetch = self._prefetch.get(channel, PREFETCH)
            await within(2 * DEADLINE, self._subscribe(connection, amqp, route, prefetch, lost.set))
            self._faults.pop(route, None)
            while not lost.is_set():
                await within(DEADLINE, amqp.declare_exchange(self._topology.prefix, passive=True))
                await self._hand_back(channel, priority)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PULSE):
                        await lost.wait()
        finally:
            if self._replies:
                await asyncio.wait(self._replies, timeout=1)
            if amqp.is_initialized:
                with contextlib.suppress(*BROKEN):
                    await within(DEADLINE, amqp.close())

    async def _subscribe(
        self,
        connection: AbstractConnection,
        amqp: AbstractChannel,
        route: str,
        prefetch: int,
        lost: Callable[[], None],
    ) -> None:
        await amqp.initialize()
        amqp.close_callbacks.add(lambda *_: lost())
        (await amqp.get_underlay_channel()).on_consumer_cancel_callbacks.add(lambda _: lost())
        await amqp.set_qos(prefetch_count=prefetch)
        await self._topology.exchange(amqp)
        if why := await self._topology.work_queue(connection, route):
            self._log.error("queue_declared_otherwise", route=route, why=why)
        await (await amqp.get_queue(self._topology.queue(route), ensure=False)).consume(self._arrived)

    async def _arrived(self, message: AbstractIncomingMessage) -> None:
        """A message came: onto the pile, unless it cannot be read or came to the wrong place."""
        try:
            note = read(message.body)
            if self._topology.route(note.channel, note.priority) != message.routing_key:
                raise Unreadable(f"it speaks of {note.channel} {note.label}")
        except Unreadable as error:
            self._refuse(message, str(error))
            return
        older = self._piles[note.channel].put(Held(note, message, asyncio.get_running_loop().time()))
        if older is not None:
            self._reply(older.message.ack())

    async def _hand_back(self, channel: str, priority: Priority) -> None:
        """Let go of what has been here too long."""
        late = self._piles[channel].since(asyncio.get_running_loop().time() - HOLD, priority)
        waiting = [held.note.batch for held in late if not held.in_hand]
        if waiting:
            await self._store.write(lambda tx: tx.outbox.unpublish(waiting))
        for held in late:
            self._drop(channel, held.note.batch)
