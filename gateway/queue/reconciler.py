"""Store against broker: what the store calls unfinished and the broker does not carry any more is published again,
and messages that nobody could read become visible to people. The leader of the watch ticks it once a second; nobody
else does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, HeadersType
from structlog.stdlib import BoundLogger

from gateway.channel import Clock
from gateway.errors import Unstorable
from gateway.model.dispatch import Priority
from gateway.model.time import Instant
from gateway.ports.store import Store, StrayRow, Transaction
from gateway.queue.broker import DEADLINE, Line, Topology, within
from gateway.queue.notes import OPEN, Note, Unreadable, misfit, read
from gateway.queue.press import Fate, Letter
from gateway.queue.relay import Relay

LOOK_EVERY = 5_000
"""Milliseconds between comparisons of store and broker."""

CLAIMED_WITHIN = 15_000
"""Milliseconds after which a published batch that no process has begun, with an empty queue, counts as lost."""

AT_ONCE = 100
"""Dead letters and replays dealt with in one go."""


class Reconciler:
    """See the top of the file. `channels`: the names of all configured channels; `strayed` is called for each message
    kept for people."""

    def __init__(
        self,
        url: str,
        store: Store,
        clock: Clock,
        relay: Relay,
        log: BoundLogger,
        *,
        channels: Sequence[str],
        strayed: Callable[[], None] = lambda: None,
        prefix: str = "tongluo",
    ) -> None:
        self._store, self._clock, self._relay, self._log, self._strayed = store, clock, relay, log, strayed
        self._topology = Topology(prefix)
        self._line = Line(url, f"{prefix} reconciles", log)
        self._routes = {
            self._topology.route(channel, priority): (channel, priority)
            for channel in channels
            for priority in Priority
        }
        self._due = asyncio.Event()
        self._look_at: Instant = 0

    async def tick(self) -> None:
        """Free the batches of dead processes, and let the rest be done in the background: a broker that does not
        answer holds nobody up here. Raises Unstorable."""
        now = self._clock.now()
        freed = await self._store.write(lambda tx: tx.outbox.reclaim(now))
        if freed:
            self._log.warning("batches_reclaimed", batches=freed)
            self._relay.wake()
        self._line.wanted.set()
        self._due.set()

    async def run(self) -> None:
        """Work after each tick until cancelled; without a tick there is not even a connection."""
        await self._line.run(self._serve)

    async def _serve(self, connection: AbstractConnection) -> None:
        amqp = connection.channel(publisher_confirms=False)
        await within(DEADLINE, amqp.initialize())
        await within(DEADLINE, self._topology.exchange(amqp))
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self._bury(amqp)
                await self._replay()
                if (now := self._clock.now()) >= self._look_at:
                    self._look_at = now + LOOK_EVERY
                    await self._compare(connection)
            except Unstorable as error:
                self._log.warning("reconciler_waits", why=str(error))

    async def _compare(self, connection: AbstractConnection) -> None:
        """Publish again what no process has begun although its queue is empty. A queue that is missing is made anew."""
        for route, (channel, priority) in self._routes.items():
            counts = await within(DEADLINE, self._topology.counts(connection, route))
            if counts is None:
                await within(DEADLINE, self._topology.work_queue(connection, route))
            elif counts == (0, 0):
                await self._examine(connection, route)
            while not (counts and counts[0]) and (lost := await self._lost(channel, priority)):
                self._log.warning("batches_published_again", channel=channel, grade=priority.label, batches=lost)
                self._relay.wake()

    async def _examine(self, connection: AbstractConnection, route: str) -> None:
        """Nobody consumes a queue: find out whether anybody could, and make it anew if not.

        A quorum queue that was declared just before its broker was killed comes back without a leader, and for good: it
        can be declared, takes no message and no consumer, and never says so (RabbitMQ 3.10). The store has all its work.
        """
        try:
            await within(DEADLINE, self._topology.try_consumer(connection, route))
        except TimeoutError:
            self._log.error("sick_queue_made_anew", route=route)
            await within(4 * DEADLINE, self._topology.renew(connection, route))
            raise ConnectionError(f"a call about {route} was left hanging") from None

    async def _lost(self, channel: str, priority: Priority) -> int:
        """Mark a page of lost batches as not published; returns how many."""
        now = self._clock.now()
        claim = (channel, priority, now - CLAIMED_WITHIN, now)
        if not await self._store.read(lambda tx: tx.outbox.unclaimed(*claim)):
            return 0

        def work(tx: Transaction) -> int:
            numbers = tx.outbox.unclaimed(*claim)
            tx.outbox.unpublish(numbers)
            return len(numbers)

        return await self._store.write(work)

    async def _bury(self, amqp: AbstractChannel) -> None:
        """Take the dead letters, one after the other."""
        queue = await amqp.get_queue(self._topology.dead, ensure=False)
        for _ in range(AT_ONCE):
            message = await within(DEADLINE, queue.get(fail=False, timeout=DEADLINE))
            if message is None:
                return
            try:
                await self._judge(message)
            except BaseException:
                await within(DEADLINE, message.reject(requeue=True))
                raise
            await within(DEADLINE, message.ack())

    async def _judge(self, message: AbstractIncomingMessage) -> None:
        """A message that speaks of unfinished work is published again; one of finished work is forgotten; any other
        is kept."""
        now, route, died = self._clock.now(), self._route(message), _cause(message.headers)
        try:
            note, fault = read(message.body), ""
        except Unreadable as error:
            note, fault = None, str(error)

        def work(tx: Transaction) -> str:
            reason = fault if note is None else _unpublished(tx, note)
            if reason:
                kept = tx.strays.keep(route, reason, message.body, now)
                tx.chronicle.tell("deadletter", {"n": kept, "route": route, "reason": reason}, now)
            return reason

        reason = await self._store.write(work)
        self._log.warning("dead_letter", route=route, died=died, kept=bool(reason), why=reason)
        if reason:
            self._strayed()
        else:
            self._relay.wake()

    def _route(self, message: AbstractIncomingMessage) -> str:
        """The route that a message came by; by the default exchange it is the queue's name."""
        return (message.routing_key or "").removeprefix(f"{self._topology.prefix}.")

    async def _replay(self) -> None:
        """Publish as they were the messages that somebody asked for. One that no queue takes becomes a dead letter
        anew."""
        for stray in await self._store.read(lambda tx: tx.strays.to_replay(AT_ONCE)):
            known = stray.route in self._routes
            letter = Letter(stray.route, f"stray-{stray.n}", stray.body)
            fate = await self._relay.publish(letter) if known else Fate.RETURNED
            if fate in (Fate.CONFIRMED, Fate.RETURNED):
                await self._replayed(stray, fate)

    async def _replayed(self, stray: StrayRow, fate: Fate) -> None:
        now = self._clock.now()

        def work(tx: Transaction) -> None:
            tx.strays.drop(stray.n)
            if fate is Fate.RETURNED:
                tx.strays.keep(stray.route, f"no queue takes it; {stray.reason}", stray.body, now)

        await self._store.write(work)
        self._log.info("dead_letter_replayed", route=stray.route, fate=fate.value)


def _unpublished(tx: Transaction, note: Note) -> str:
    """Mark the batch of a note as not published if it is unfinished. Returns why the note speaks of no batch of ours,
    or ""."""
    row = tx.outbox.find(note.batch)
    if row is not None and row.state in OPEN and not misfit(note, row):
        tx.outbox.unpublish([row.n])
    return misfit(note, row)


def _cause(headers: HeadersType) -> str:
    """Why the broker calls it dead: rejected, delivery_limit, expired."""
    deaths = headers.get("x-death")
    last = deaths[0] if isinstance(deaths, list) and deaths else None
    return str(last.get("reason", "")) if isinstance(last, dict) else ""
