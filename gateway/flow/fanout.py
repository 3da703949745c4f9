"""Fan-out: from an open dispatch to batches in the outbox. The roster is frozen first, then the words are made, then batches are
written in steps, each of which moves `planned_to` in the same transaction: a crash resumes there, and a graver dispatch goes first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from structlog.stdlib import BoundLogger

from gateway.channel import Clock
from gateway.flow.enlisting import Enlisted, enlist, reached_before
from gateway.flow.wording import Words
from gateway.flow.world import World
from gateway.model.dispatch import Priority
from gateway.model.roster import Roster
from gateway.model.time import Instant
from gateway.ports.queue import Queue
from gateway.ports.speech import Speech
from gateway.ports.store import AlertRow, DispatchRow, NewBatch, Store, Transaction
from gateway.rules.batching import BatchPlan, Stretch, batches

STEP_BATCHES = 20
STEP_SECONDS = 0.02
PART = 2000
LEASE = 10_000

Header = Mapping[str, Any]


@dataclass(slots=True)
class Plan:
    """A dispatch being planned: its batches still to be written, and how many have been looked at."""

    dispatch: DispatchRow
    batches: Iterator[BatchPlan]
    channels: Sequence[str]
    only: NDArray[np.bool_] | None
    done: int


class Planner:
    """Plans open dispatches, the gravest first, one step at a time."""

    def __init__(
        self, store: Store, queue: Queue, clock: Clock, world: World, speech: Speech, owner: str, log: BoundLogger
    ) -> None:
        self._store, self._queue, self._clock, self._owner, self._log = store, queue, clock, owner, log
        self._world = world
        self._words = Words(world, speech)
        self._plans: dict[int, Plan] = {}
        self._opened = asyncio.Event()

    def wake(self) -> None:
        """Say that a dispatch may have been opened."""
        self._opened.set()

    async def run(self) -> None:
        """Plan until cancelled."""
        while True:
            self._opened.clear()
            if not await self.step():
                await self._rest()

    async def step(self) -> bool:
        """Plan a little of the most urgent dispatch; False if there is none."""
        now = self._clock.now()
        if not await self._store.read(lambda tx: tx.dispatches.any_due(now)):
            return False
        dispatch = await self._store.write(lambda tx: tx.dispatches.claim(self._owner, now, LEASE))
        if dispatch is None:
            return False
        try:
            if dispatch.n not in self._plans:
                self._plans[dispatch.n] = await self._prepare(dispatch)
            await self._write_some(self._plans[dispatch.n])
        except Exception:
            self._plans.pop(dispatch.n, None)
            self._log.exception("planning_failed", dispatch=dispatch.id)
            await asyncio.sleep(1)
        return True

    async def _rest(self) -> None:
        due = await self._store.read(lambda tx: tx.dispatches.next_due())
        waits: list[asyncio.Task[Any]] = [asyncio.create_task(self._opened.wait())]
        if due is not None:
            waits.append(asyncio.create_task(self._clock_reaches(due)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()

    async def _clock_reaches(self, due: Instant) -> None:
        await self._clock.until(due)

    async def _write_some(self, plan: Plan) -> None:
        new, looked_at, done = _next_batches(plan)
        written, now = plan.done + looked_at, self._clock.now()

        def work(tx: Transaction) -> None:
            if tx.dispatches.get(plan.dispatch.n).withdrawn_at is None:
                tx.outbox.add(plan.dispatch.n, new, now)
                tx.dispatches.planned(plan.dispatch.n, written, done)

        await self._store.write(work)
        plan.done = written
        if done:
            self._plans.pop(plan.dispatch.n, None)
        self._queue.wake({batch.channel for batch in new})

    async def _prepare(self, dispatch: DispatchRow) -> Plan:
        row = await self._store.read(lambda tx: tx.alerts.by_number(dispatch.alert))
        if row is None:
            raise LookupError(f"dispatch {dispatch.id} without its alert")
        roster, header = await self._roster(dispatch, row)
        stretches = list(_stretches(dispatch, roster, header, self._world))
        if not dispatch.planned_to:
            await self._say(dispatch, row, header, {(roster.channels[s.channel], s.variant) for s in stretches})
        only = _only(dispatch, roster)
        return Plan(dispatch, batches(stretches, dispatch.planned_to), roster.channels, only, dispatch.planned_to)

    async def _roster(self, dispatch: DispatchRow, row: AlertRow) -> tuple[Roster, Header]:
        known = await self._store.read(lambda tx: tx.rosters.get(dispatch.roster))
        if known is not None:
            return known
        reached = await self._store.read(lambda tx: reached_before(tx, row.n))
        released_at = row.released_at or self._clock.now()
        enlisted = await asyncio.to_thread(enlist, self._world, row, reached, released_at)
        await self._freeze(row.n, enlisted)
        return enlisted.roster, enlisted.header

    async def _freeze(self, alert: int, enlisted: Enlisted) -> None:
        """Parts first, in commits of their own, the roster last: what is not whole is not there."""
        await self._store.write(lambda tx: tx.rosters.clear_parts(alert))
        for first in range(0, enlisted.roster.endpoints, PART):
            addresses, names = enlisted.addresses[first : first + PART], enlisted.names[first : first + PART]
            await self._store.write(lambda tx, at=first, a=addresses, n=names: tx.rosters.put_part(alert, at, a, n))  # type: ignore[misc]
        now = self._clock.now()
        await self._store.write(lambda tx: tx.rosters.freeze(alert, enlisted.roster, enlisted.header, now))

    async def _say(self, dispatch: DispatchRow, row: AlertRow, header: Header, variants: set[tuple[str, int]]) -> None:
        """Make the words of every channel and voice that is used, once each."""
        voices = header["voices"]
        others = {voice["of"] for voice in voices if voice["of"]} | {dispatch.roster} - {row.n}
        originals = await self._store.read(lambda tx: {n: tx.alerts.by_number(n) for n in others})
        spoken = [
            (channel, voice, await self._words.make(row, dispatch, channel, voices[voice], originals))
            for channel, voice in sorted(variants)
        ]

        def work(tx: Transaction) -> None:
            for channel, voice, rendered in spoken:
                tx.dispatches.put_message(dispatch.n, channel, voice, rendered.message, rendered.flags)

        await self._store.write(work)


def _next_batches(plan: Plan) -> tuple[list[NewBatch], int, bool]:
    """The batches of one step, how many were looked at, and whether these were the last."""
    started = time.monotonic()
    new: list[NewBatch] = []
    for looked_at, batch in enumerate(plan.batches, 1):
        ordinals = None
        if plan.only is not None:
            ordinals = np.flatnonzero(plan.only[batch.first : batch.first + batch.count]).astype(np.int32) + np.int32(
                batch.first
            )
        if ordinals is None or len(ordinals):
            channel = plan.channels[batch.channel]
            new.append(
                NewBatch(channel, batch.variant, batch.priority, batch.first, batch.count, batch.expires_at, ordinals)
            )
        if looked_at >= STEP_BATCHES or time.monotonic() - started > STEP_SECONDS:
            return new, looked_at, False
    return new, 0, True


def _stretches(dispatch: DispatchRow, roster: Roster, header: Header, world: World) -> Iterator[Stretch]:
    """The runs of the roster that this dispatch sends to, with the class and expiry of their voice."""
    choices = dispatch.targets["choices"]
    for channel, voice, first, length in header["runs"]:
        choice, profile = choices[min(voice, len(choices) - 1)], world.channel(channel)
        if channel not in choice["first"] or profile is None:
            continue
        expires_at = (
            max(header["voices"][voice]["expires_at"], 0) if dispatch.roster == dispatch.alert else dispatch.expires_at
        )
        number, grade = roster.channels.index(channel), Priority(choice.get("priority", dispatch.priority))
        yield Stretch(number, voice, first, length, grade, min(expires_at, dispatch.expires_at), profile.max_batch)


def _only(dispatch: DispatchRow, roster: Roster) -> NDArray[np.bool_] | None:
    """bool[endpoints]: those meant by a dispatch that is for some regions or some channels' new regions alone; None = all."""
    codes = dispatch.targets.get("leaves")
    if codes is None:
        return None
    meant = np.isin([leaf.code for leaf in roster.leaves], codes)
    stands = roster.endpoint_leaf >= 0
    chosen = np.zeros(roster.endpoints, bool)
    chosen[stands] = meant[roster.endpoint_leaf[stands]]
    chosen[roster.catch_endpoint[meant[roster.catch_leaf]]] = True
    limited = dispatch.targets.get("limited")
    if limited is not None:
        free = ~np.isin(list(roster.channels), limited)
        chosen |= free[roster.endpoint_channel]
    return chosen
