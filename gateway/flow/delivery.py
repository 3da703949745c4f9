"""Delivery: from a batch in the queue to statements in the journal, for one channel, top to bottom.

`Courier.run` keeps `parallel` batches in hand. Each is cut into slices; before a slice the store is asked, in the same
transaction that journals the attempt, whether the dispatch still stands, its time is not over and the batch is in nobody else's
hands: so nothing of a withdrawn alert starts once the withdrawal is on disk, and workers that share a channel never send the same.
What a send does not report is unknown, and is sent again, counted.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import TypeVar

import numpy as np
from structlog.stdlib import BoundLogger

from gateway.channel import Channel, ChannelConfig, Clock
from gateway.errors import Rejected, Throttled, Unavailable, Unstorable
from gateway.flow.keeping import LEASE, keep_leases
from gateway.flow.letters import Letters
from gateway.flow.outcomes import Outcome, answered, far_side_gone, raised
from gateway.flow.records import accepted_block, attempt_block, failed_block
from gateway.model.dispatch import Batch, WorkState
from gateway.model.receipt import Reason
from gateway.model.time import Instant
from gateway.ports.queue import Queue
from gateway.ports.speech import Speech
from gateway.ports.store import BatchRow, Ordinals, Store, Transaction
from gateway.rules.retrying import Breaker, next_attempt, outage
from gateway.telemetry import Metrics

T = TypeVar("T")

DRAIN = 6.0
"""Seconds that sends in flight may take to end when the gateway stops."""

GLANCE = 250
"""Milliseconds between two looks of one who waits for its turn at whether it is still wanted."""

AGAIN = 0.5
"""Seconds until the outcome of a send, which the store could not take, is offered to it again."""

OFFERS = 120
"""How often that is done."""

OPEN = (WorkState.PENDING, WorkState.SENDING)


class Courier:
    """One configured channel at work."""

    def __init__(
        self,
        name: str,
        channel: Channel,
        config: ChannelConfig,
        *,
        owner: str,
        queue: Queue,
        store: Store,
        clock: Clock,
        speech: Speech,
        metrics: Metrics,
        log: BoundLogger,
    ) -> None:
        traits = channel.traits
        rate = traits.rate if config.rate is None else config.rate
        self.name, self.channel, self.config = name, channel, config
        self._owner, self._queue, self._store, self._clock = owner, queue, store, clock
        self._metrics, self._log = metrics, log
        self._letters = Letters(store, speech if traits.media == "audio" else None)
        self._random = Random()
        self._parallel = config.parallel or traits.parallel
        self._slice = max(1, min(traits.max_batch, int(rate) if rate else traits.max_batch))
        self._cost_us = 1_000_000 / rate if rate else 0.0
        self._breaker = Breaker()
        self._number = 0
        self._in_hand: set[int] = set()
        self.last_progress: Instant = 0
        self.fault = ""

    async def run(self) -> None:
        """Deliver until cancelled; then let what is on the wire end within `DRAIN` seconds."""
        self._number = await self._store.write(lambda tx: tx.journal.channel_number(self.name))
        async with asyncio.TaskGroup() as hands:
            leases = keep_leases(self._store, self._clock, self._in_hand, self._renew)
            hands.create_task(leases, name=f"{self.name}-leases")
            for hand in range(self._parallel):
                hands.create_task(self._work(), name=f"{self.name}-{hand}")

    @property
    def up(self) -> bool:
        """Whether the far side answers, as far as we know."""
        return self._breaker.state == "closed" and not self.fault

    async def _work(self) -> None:
        while True:
            await self._far_side_willing()
            row = await self._next()
            delivery = asyncio.create_task(self._deliver_guarded(row))
            try:
                await asyncio.shield(delivery)
            except asyncio.CancelledError:
                await asyncio.wait({delivery}, timeout=DRAIN)
                delivery.cancel()
                await asyncio.wait({delivery}, timeout=1)
                raise

    def _renew(self, tx: Transaction, numbers: Sequence[int], until: Instant) -> None:
        tx.outbox.renew(self._owner, numbers, until)

    async def _next(self) -> BatchRow:
        while True:
            try:
                return await self._queue.take(self.name)
            except Unstorable as error:
                self._log.warning("delivery_waits", channel=self.name, why=str(error))
                await asyncio.sleep(1)

    async def _far_side_willing(self) -> None:
        """While the breaker is open, let one probe through each second."""
        while (wait := self._breaker.due(_now()) - _now()) > 0:
            await asyncio.sleep(wait / 1000)
        self._breaker = self._breaker.sending(_now())

    async def _deliver_guarded(self, row: BatchRow) -> None:
        """A batch whose delivery fails for a reason of our own stays in the store and is found again."""
        self._in_hand.add(row.n)
        try:
            await self._deliver(row)
        except Unstorable as error:
            self._log.warning("delivery_unrecorded", channel=self.name, batch=row.n, why=str(error))
            await asyncio.sleep(1)
            self._queue.wake([self.name])
        except Exception as error:
            self._log.exception("delivery_failed", channel=self.name, batch=row.n)
            await self._fell(row, error)
        finally:
            self._in_hand.discard(row.n)
            self._queue.done(row)

    async def _fell(self, row: BatchRow, error: Exception) -> None:
        """A bug of ours: the batch waits like one whose channel has a bug, so that others get by, and ends as a dead letter."""
        try:
            row = await self._store.read(lambda tx: tx.outbox.get(row.n))
            if row.state in OPEN:
                row = replace(row, doubtful=row.doubtful or row.state is WorkState.SENDING)
                await self._end(
                    row, row.attempts + 1, Outcome((), row.ordinals, error, len(row.ordinals)), row.ordinals
                )
        except Unstorable:
            await asyncio.sleep(1)
            self._queue.wake([self.name])

    async def _deliver(self, row: BatchRow) -> None:
        batch, released_at = await self._letters.open(row)
        again_at_first = row.state is WorkState.SENDING
        row = replace(row, doubtful=row.doubtful or again_at_first)
        left, again, unknown = row.ordinals, np.empty(0, np.int32), 0
        for start in range(0, len(batch.endpoints), self._slice):
            part = replace(batch, endpoints=batch.endpoints[start : start + self._slice])
            await self._paced(row, len(part.endpoints))
            if not await self._begin(row, part, np.concatenate((again, left))):
                return
            if start == 0 and again_at_first:
                self._metrics.duplicates.labels(self.name).inc(len(batch.endpoints))
            outcome = await self._send(part)
            left, again = left[len(part.endpoints) :], np.concatenate((again, outcome.again))
            unknown += outcome.unknown
            row = replace(row, doubtful=row.doubtful or unknown > 0)
            self._count(outcome, released_at)
            if not len(left) or outcome.final or far_side_gone(outcome):
                await self._end(row, part.attempt, replace(outcome, unknown=unknown), np.concatenate((again, left)))
                return
            if not await self._go_on(row, outcome, np.concatenate((again, left))):
                return

    async def _paced(self, row: BatchRow, endpoints: int) -> None:
        """Wait for our turn at the channel's rate, which all its workers keep together. A turn that is not wanted any more, as the
        dispatch was withdrawn meanwhile, is given back: those who are to hear of it go at once."""
        if not self._cost_us:
            return
        now, cost = self._clock.now() * 1000, round(endpoints * self._cost_us)
        begins = await self._store.write(lambda tx: tx.paces.reserve(self.name, now, cost))
        turn = _now() + (begins - now) // 1000
        while (wait := turn - _now()) > 0:
            await asyncio.sleep(min(wait, GLANCE) / 1000)
            if wait > GLANCE and await self._withdrawn(row):
                await self._store.write(lambda tx: tx.paces.reserve(self.name, self._clock.now() * 1000, -cost))
                return

    async def _withdrawn(self, row: BatchRow) -> bool:
        return await self._store.read(lambda tx: tx.dispatches.get(row.dispatch).withdrawn_at is not None)

    async def _begin(self, row: BatchRow, part: Batch, remaining: Ordinals) -> bool:
        """Journal the attempt, unless the batch must not be sent any more: then close it and say so."""
        now = self._clock.now()
        ordinals = np.fromiter((endpoint.ordinal for endpoint in part.endpoints), np.int32, len(part.endpoints))
        block = attempt_block(row, self._number, part.attempt, ordinals, now)

        def work(tx: Transaction) -> WorkState | None:
            withdrawn = tx.dispatches.get(row.dispatch, hold=True).withdrawn_at is not None
            state = tx.outbox.get(row.n).state
            if state not in OPEN:
                return state
            if withdrawn or row.expires_at <= now:
                state = WorkState.EXPIRED if row.expires_at <= now else WorkState.WITHDRAWN
                tx.outbox.close(row.n, self._owner, state, state.value, remaining, row.doubtful)
                return state
            if not tx.outbox.begin(row.n, self._owner, part.attempt, now, LEASE):
                return WorkState.SENDING
            tx.journal.append(attempts=block)
            return None

        ended = await self._store.write(work)
        if ended is not None and ended is not WorkState.SENDING:
            self._metrics.batches.labels(self.name, ended.value).inc()
        return ended is None

    async def _send(self, part: Batch) -> Outcome:
        try:
            async with asyncio.timeout(self.config.timeout):
                receipts = await self.channel.send(part)
        except (Unavailable, TimeoutError) as error:
            self._lost(error)
            return raised(part, error)
        except Rejected as error:
            self.fault = str(error)
            self._log.error("batch_refused", channel=self.name, alert=part.alert, why=str(error))
            return raised(part, error)
        except Exception as error:
            self._log.exception("channel_bug", channel=self.name, alert=part.alert)
            return raised(part, error)
        self._answered(len(receipts))
        return answered(part, receipts, self.channel.traits.proves)

    def _answered(self, receipts: int) -> None:
        self._breaker = self._breaker.succeeded()
        if not receipts:
            return
        self.fault, self.last_progress = "", self._clock.now()
        self._metrics.channel_up.labels(self.name).set(1)
        self._metrics.channel_last_progress.labels(self.name).set(self.last_progress / 1000)

    def _lost(self, error: Unavailable | TimeoutError) -> None:
        now = _now()
        self._breaker = (
            self._breaker.throttled(now, error.after) if isinstance(error, Throttled) else self._breaker.failed(now)
        )
        why = str(error) or f"no answer within {self.config.timeout:g} s"
        if why != self.fault:
            self._log.warning("channel_unavailable", channel=self.name, why=why)
        self.fault = why
        self._metrics.channel_up.labels(self.name).set(0)

    async def _go_on(self, row: BatchRow, outcome: Outcome, remaining: Ordinals) -> bool:
        """Keep what a slice proved. False = meanwhile the batch fell to somebody else."""
        block = accepted_block(row, self.name, self._number, outcome.receipts, self._clock.now())

        def work(tx: Transaction) -> bool:
            tx.journal.append(statements=block)
            return tx.outbox.advance(row.n, self._owner, remaining)

        return await self._kept(work)

    async def _end(self, row: BatchRow, attempt: int, outcome: Outcome, remaining: Ordinals) -> None:
        """Close the batch, or put back what is to be tried again, together with what is proven."""
        now = self._clock.now()
        block = accepted_block(row, self.name, self._number, outcome.receipts, now)
        after = next_attempt(
            attempt,
            outcome.failure,
            attempts=self.config.attempts,
            now=now,
            rng=self._random,
            expires_at=row.expires_at,
        )
        made = attempt - 1 if outage(outcome.failure) else attempt

        def work(tx: Transaction) -> WorkState:
            tx.journal.append(statements=block)
            if not len(remaining):
                tx.outbox.close(row.n, self._owner, WorkState.DONE)
                return WorkState.DONE
            why = outcome.reason.label
            if after.due is not None:
                tx.outbox.put_back(row.n, self._owner, after.due, max(made, 1), remaining, why, row.doubtful)
                return WorkState.PENDING
            if after.state is WorkState.DEAD:
                tx.journal.append(statements=failed_block(row, self._number, remaining, outcome.reason, now))
            tx.outbox.close(row.n, self._owner, after.state, why, remaining, row.doubtful)
            return after.state

        ended = await self._kept(work)
        if ended is WorkState.PENDING:
            self._metrics.duplicates.labels(self.name).inc(outcome.unknown)
            self._queue.wake([self.name])
        else:
            self._metrics.batches.labels(self.name, ended.value).inc()

    async def _kept(self, work: Callable[[Transaction], T]) -> T:
        """What a send proved is offered to the store until it takes it: to forget it would be to send it again."""
        for _ in range(OFFERS):
            try:
                return await self._store.write(work)
            except Unstorable as error:
                self._log.warning("outcome_waits", channel=self.name, why=str(error))
                await asyncio.sleep(AGAIN)
        return await self._store.write(work)

    def _count(self, outcome: Outcome, released_at: Instant) -> None:
        for (level, reason), count in Counter((receipt.level, receipt.reason) for receipt in outcome.receipts).items():
            self._metrics.receipts.labels(self.name, level.label, reason.label).inc(count)
        if len(outcome.again) and outcome.reason is not Reason.NONE:
            self._metrics.receipts.labels(self.name, "failed", outcome.reason.label).inc(len(outcome.again))
        if outcome.receipts:
            self._metrics.handoff.labels(self.name).observe(max(0, self._clock.now() - released_at) / 1000)


def _now() -> Instant:
    """Milliseconds of the loop's clock: breakers watch sockets, and sockets keep real time."""
    return int(asyncio.get_running_loop().time() * 1000)
