"""What the tests of the queue over RabbitMQ share: a deployment on one store and a private broker, with hands that send."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aio_pika
import structlog
from aio_pika.exceptions import ChannelNotFoundEntity
from rabbit import Vhost
from store_kit import NOW, keep, new_batch, open_dispatch, opened

from gateway.model.dispatch import WorkState
from gateway.ports.store import BatchRow
from gateway.queue.broker import Topology
from gateway.queue.rabbit import RabbitQueue
from gateway.queue.reconciler import Reconciler
from gateway.queue.relay import Relay
from gateway.store import SqlStore
from gateway.testing.clock import ManualClock

PATIENCE = 60.0
LEASE = 30_000


class Works:
    """A relay and a reconciler over one store, and as many workers as a test wants; `sent` has what they sent, in order."""

    def __init__(self, url: str, store: SqlStore, clock: ManualClock) -> None:
        self.url, self.store, self.clock = url, store, clock
        self.log = structlog.get_logger("queue")
        self.relay = Relay(url, store, clock, self.log)
        self.strays = 0
        self.reconciler = Reconciler(
            url, store, clock, self.relay, self.log, channels=["sms", "wechat"], strayed=self._strayed
        )
        self.sent: list[int] = []
        self.senders: dict[int, str] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._workers = 0
        self.running: dict[RabbitQueue, asyncio.Task[Any]] = {}

    async def add(self, *firsts: int, **changes: Any) -> None:
        """Batches of one endpoint each; the relay is told."""
        now = self.clock.now()
        await self.store.write(lambda tx: tx.outbox.add(1, [new_batch(first, 1, **changes) for first in firsts], now))
        self.relay.wake()

    def worker(self, prefetch: int = 4) -> RabbitQueue:
        """The queue of a further process, running."""
        self._workers += 1
        queue = RabbitQueue(self.url, self.store, self.clock, self.log, prefetch={"sms": prefetch}, relay=self.relay)
        self.running[queue] = self.start(queue.run())
        return queue

    def hands(self, queue: RabbitQueue, count: int = 4, pause: float = 0.0) -> list[asyncio.Task[Any]]:
        """Hands that send whatever the queue gives them, each send `pause` seconds long."""
        owner = f"worker-{self._workers}"
        return [self.start(self._work(queue, owner, pause)) for _ in range(count)]

    def start(self, work: Any) -> asyncio.Task[Any]:
        """Let something run until the end of the test."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        return task

    async def stop(self, *tasks: asyncio.Task[Any]) -> None:
        for task in tasks or tuple(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            self._tasks.discard(task)

    async def send(self, queue: RabbitQueue, row: BatchRow, owner: str, pause: float = 0.0) -> None:
        """What a courier does with a batch in hand."""
        now = self.clock.now()
        if await self.store.write(lambda tx: tx.outbox.begin(row.n, owner, row.attempts + 1, now, LEASE)):
            await asyncio.sleep(pause)
            self.sent.append(row.n)
            self.senders[row.n] = owner
            await self.store.write(lambda tx: tx.outbox.close(row.n, owner, WorkState.DONE))
        queue.done(row)

    async def states(self) -> list[WorkState]:
        """The states of all batches, in the order of their numbers."""
        rows = await self.store.read(lambda tx: tx.outbox.of_dispatch(1))
        return [row.state for row in rows]

    async def all_sent(self, count: int) -> None:
        """Wait until so many batches are done in the store."""
        await until(lambda: len(set(self.sent)) >= count, f"{count} batches to be sent")

        async def done() -> bool:
            return (await self.states()).count(WorkState.DONE) >= count

        await until(done, f"{count} batches to be done")

    async def carried(self) -> None:
        """Wait until all that waits in the store stands ready at the broker; for as long as nobody consumes."""

        async def carried() -> bool:
            rows = await self.store.read(lambda tx: tx.outbox.of_dispatch(1))
            waiting = Counter(f"{row.channel}.{row.priority.label}" for row in rows if row.state is WorkState.PENDING)
            return all([await ready(self.url, route) == count for route, count in waiting.items()])

        await until(carried, "all to be carried by the broker")

    async def tick(self, seconds: float = 0) -> None:
        """Let the clock go on and the watch look."""
        self.clock.forward(seconds)
        await self.reconciler.tick()

    async def ticked_until(self, condition: Callable[[], bool]) -> None:
        """Tick, without any time going by, until the reconciler has done something."""

        async def ticked() -> bool:
            await self.tick()
            return condition()

        await until(ticked, "the reconciler")

    async def keep_ticking(self) -> None:
        """Let the clock go and the watch look, as in a gateway at work."""
        while True:
            await self.tick(0.5)
            await asyncio.sleep(0.5)

    def _strayed(self) -> None:
        self.strays += 1

    async def _work(self, queue: RabbitQueue, owner: str, pause: float) -> None:
        while True:
            await self.send(queue, await queue.take("sms"), owner, pause)


@asynccontextmanager
async def works(where: Path | str, url: str) -> AsyncIterator[Works]:
    """A deployment on a new store (a folder for SQLite, or its URL) and a broker, with one dispatch; its relay and its
    reconciler run, and no worker yet."""
    clock = ManualClock(NOW)
    async with opened(where, clock) as store:
        await store.write(lambda tx: open_dispatch(tx, keep(tx)))
        it = Works(url, store, clock)
        it.start(it.relay.run())
        it.start(it.reconciler.run())
        try:
            yield it
        finally:
            await it.stop()


async def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> None:
    """Wait for a condition (a function, or a coroutine function)."""
    try:
        async with asyncio.timeout(patience):
            while not (found := condition()) or (asyncio.iscoroutine(found) and not await found):
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {patience:g} s for {what}") from None


@asynccontextmanager
async def stranger(url: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    """An AMQP channel of somebody else."""
    connection = await aio_pika.connect(url)
    try:
        yield await connection.channel()
    finally:
        await connection.close()


async def ready(url: str, route: str) -> int:
    """How many messages stand ready in the queue of a route, as the broker says this moment; 0 without a queue."""
    async with stranger(url) as amqp:
        try:
            queue = await amqp.declare_queue(Topology().queue(route), passive=True)
        except ChannelNotFoundEntity:
            return 0
        return queue.declaration_result.message_count or 0


async def post(url: str, route: str, body: bytes | dict[str, Any], *, straight: bool = False) -> None:
    """Publish anything under a route, as a stranger with a login could; `straight` to its queue, by the default exchange."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with stranger(url) as amqp:
        if straight:
            await amqp.default_exchange.publish(aio_pika.Message(content), f"tongluo.{route}")
            return
        exchange = await amqp.get_exchange("tongluo", ensure=False)
        await exchange.publish(aio_pika.Message(content), route)


async def server_side(call: Callable[[], Any]) -> Any:
    """Something done to the broker, which blocks."""
    return await asyncio.to_thread(call)


__all__ = ["Vhost", "Works", "post", "ready", "server_side", "stranger", "until", "works"]
