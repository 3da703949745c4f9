"""Fan-out: from an open dispatch to batches in the outbox. The roster is frozen first, then the words are made, then batches are
written in steps, each of which moves `planned_to` in the same transaction: a crash resumes there, and a graver dispatch goes first.
A dispatch belongs to one planner at a time by a lease; whose lease is lost writes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from structlog.stdlib import BoundLogger

from gateway.channel import Clock
from gateway.errors import Unstorable
from gateway.flow.enlisting import Enlisted, Reached, enlist, reached_before
from gateway.flow.keeping import LEASE, keep_leases
from gateway.flow.records import planned_block
from gateway.flow.stragglers import Stragglers, arrived, on_a_roster_of_its_own, on_the_same_roster, waited_for
from gateway.flow.wording import words
from gateway.flow.world import World
from gateway.model.dispatch import Cause, Priority
from gateway.model.roster import Roster
from gateway.model.time import Instant
from gateway.ports.queue import Queue
from gateway.ports.store import AlertRow, BatchRow, DispatchRow, NewBatch, Store, Transaction
from gateway.rules.batching import BatchPlan, Stretch, batches

STEP_BATCHES = 20
STEP_SECONDS = 0.02
PART = 2000
LOOK_AROUND = 1.0
"""Seconds. Another process may have opened a dispatch, or died over one."""

STRAGGLING = -1
"""`planned_to` of a dispatch that has told everybody but its stragglers."""

LOOK_AGAIN = 0.2
"""Seconds between two looks at sends that were under way when their warning ended."""

OVER = frozenset({Cause.LIFTED, Cause.WITHDRAWN})

Header = Mapping[str, Any]


Effect = Callable[[Transaction], None]


@dataclass(slots=True)
class Plan:
    """A dispatch being planned: its batches still to be written, and how many have been looked at.

    `before` is what must be on disk with the first of them: the roster, if it is new, and the words.
    """

    dispatch: DispatchRow
    batches: Iterator[BatchPlan]
    channels: Sequence[str]
    only: NDArray[np.bool_] | None
    done: int
    before: list[Effect]
    stragglers: Stragglers


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """What planning a dispatch needs of the store."""

    row: AlertRow
    known: tuple[Roster, Header] | None
    reached: Sequence[Reached]
    originals: Mapping[int, AlertRow]
    touched: Sequence[BatchRow]
    addresses: Sequence[str]

    @property
    def frozen(self) -> tuple[Roster, Header]:
        """The roster and its header, once they are known."""
        if self.known is None:
            raise LookupError("the roster is not frozen yet")
        return self.known


class Planner:
    """Plans open dispatches, the gravest first, one step at a time."""

    def __init__(self, store: Store, queue: Queue, clock: Clock, world: World, owner: str, log: BoundLogger) -> None:
        self._store, self._queue, self._clock, self._owner, self._log = store, queue, clock, owner, log
        self._world = world
        self._plans: dict[int, Plan] = {}
        self._opened = asyncio.Event()
        self._straggling: set[int] = set()

    def wake(self) -> None:
        """Say that a dispatch may have been opened."""
        self._opened.set()

    async def run(self) -> None:
        """Plan until cancelled."""
        while True:
            self._opened.clear()
            try:
                if not await self.step():
                    await self._rest()
            except Unstorable as error:
                self._log.warning("planning_waits", why=str(error))
                await asyncio.sleep(1)

    async def step(self) -> bool:
        """Plan a little of the most urgent dispatch; False if there is none."""
        now, besides = self._clock.now(), frozenset(self._straggling)
        dispatch = await self._store.write(lambda tx: tx.dispatches.claim(self._owner, now, LEASE, besides))
        if dispatch is None:
            return False
        try:
            if dispatch.planned_to == STRAGGLING:
                await self._tell_stragglers(dispatch)
            else:
                if not self._is_up_to_date(dispatch):
                    async with self._keeping(dispatch.n):
                        self._plans[dispatch.n] = await self._prepare(dispatch)
                await self._write_some(self._plans[dispatch.n])
        except Unstorable:
            self._plans.pop(dispatch.n, None)
            raise
        except Exception:
            self._plans.pop(dispatch.n, None)
            self._log.exception("planning_failed", dispatch=dispatch.id)
            await self._store.write(lambda tx: tx.dispatches.postpone(dispatch.n, now + LEASE))
        return True

    def _is_up_to_date(self, dispatch: DispatchRow) -> bool:
        """Whether we know where to go on. While we had lost it, another may have planned on."""
        plan = self._plans.get(dispatch.n)
        return plan is not None and plan.done == dispatch.planned_to

    @asynccontextmanager
    async def _keeping(self, n: int) -> AsyncIterator[None]:
        """A dispatch stays ours while the block lasts, however long that takes."""
        keeper = asyncio.create_task(keep_leases(self._store, self._clock, {n}, self._renew))
        try:
            yield
        finally:
            keeper.cancel()

    def _renew(self, tx: Transaction, numbers: Sequence[int], until: Instant) -> None:
        tx.dispatches.renew(self._owner, numbers, until)

    async def _rest(self) -> None:
        besides = frozenset(self._straggling)
        due = await self._store.read(lambda tx: tx.dispatches.next_due(self._owner, besides))
        waits: list[asyncio.Task[Any]] = [asyncio.create_task(self._opened.wait())]
        if due is not None:
            waits.append(asyncio.create_task(self._clock_reaches(due)))
        try:
            await asyncio.wait(waits, timeout=LOOK_AROUND, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()

    async def _clock_reaches(self, due: Instant) -> None:
        await self._clock.until(due)

    async def _write_some(self, plan: Plan) -> None:
        new, looked_at, done = _next_batches(plan)
        written, now = plan.done + looked_at, self._clock.now()

        def work(tx: Transaction) -> bool:
            if not self._mine(tx, plan.dispatch.n):
                return False
            for effect in plan.before:
                effect(tx)
            self._add(tx, plan.dispatch.n, new, now)
            if done and plan.stragglers:
                tx.dispatches.planned(plan.dispatch.n, STRAGGLING, False)
            else:
                tx.dispatches.planned(plan.dispatch.n, written, done)
            return True

        stands = await self._store.write(work)
        plan.done, plan.before = written, []
        if done or not stands:
            self._plans.pop(plan.dispatch.n, None)
        self._queue.wake({batch.channel for batch in new})

    def _mine(self, tx: Transaction, n: int) -> bool:
        """Whether the dispatch still stands and is still in our hands; both stay so while this transaction lasts."""
        return tx.dispatches.holds(n, self._owner) and tx.dispatches.get(n).withdrawn_at is None

    def _add(self, tx: Transaction, n: int, new: Sequence[NewBatch], now: Instant) -> None:
        tx.outbox.add(n, new, now)
        tx.journal.append(attempts=planned_block(n, new))

    async def _tell_stragglers(self, dispatch: DispatchRow) -> None:
        """Look again at who was in mid-send when the warning ended."""
        now = self._clock.now()
        basis = await self._store.read(lambda tx: _basis(tx, dispatch))
        roster, header = basis.frozen
        stretches = list(_stretches(dispatch, roster, header, self._world))

        def work(tx: Transaction) -> list[NewBatch]:
            if not self._mine(tx, dispatch.n):
                return []
            ordinals, left = arrived(tx, dispatch, now)
            chosen = np.zeros(roster.endpoints, bool)
            chosen[ordinals] = True
            new = [batch for plan in batches(stretches, 0) if (batch := _batch(plan, roster.channels, chosen))]
            self._add(tx, dispatch.n, new, now)
            tx.dispatches.set_stragglers(dispatch.n, left)
            tx.dispatches.planned(dispatch.n, STRAGGLING, not left)
            return new

        self._queue.wake({batch.channel for batch in await self._store.write(work)})
        self._leave_for_now(dispatch.n)

    def _leave_for_now(self, n: int) -> None:
        """Sends end in real time, whatever the clock says: look again after that of sockets."""

        def look() -> None:
            self._straggling.discard(n)
            self._opened.set()

        self._straggling.add(n)
        asyncio.get_running_loop().call_later(LOOK_AGAIN, look)

    async def _prepare(self, dispatch: DispatchRow) -> Plan:
        basis = await self._store.read(lambda tx: _basis(tx, dispatch))
        before: list[Effect] = []
        if basis.known is None:
            released_at = basis.row.released_at or self._clock.now()
            enlisted = await asyncio.to_thread(enlist, self._world, basis.row, basis.reached, released_at)
            before += await self._freeze(basis.row.n, enlisted)
            basis = replace(basis, known=(enlisted.roster, enlisted.header), addresses=enlisted.addresses)
        roster, header = basis.frozen
        stretches = list(_stretches(dispatch, roster, header, self._world))
        if not dispatch.planned_to:
            used = {(roster.channels[stretch.channel], stretch.variant) for stretch in stretches}
            before.append(self._words(dispatch, basis, header, used))
        told, stragglers = await asyncio.to_thread(_told, dispatch, basis, self._clock.now())
        if stragglers and not dispatch.planned_to:
            before.append(lambda tx: tx.dispatches.set_stragglers(dispatch.n, stragglers))
        remaining = batches(stretches, dispatch.planned_to)
        only = _only(dispatch, roster, told)
        return Plan(dispatch, remaining, roster.channels, only, dispatch.planned_to, before, stragglers)

    async def _freeze(self, alert: int, enlisted: Enlisted) -> list[Effect]:
        """What puts the roster on disk. The parts of a large one go ahead in commits of their own, so that others may write
        between them; it stands once its last row does."""
        size, now = enlisted.roster.endpoints, self._clock.now()
        parts = [_part(alert, enlisted, first) for first in range(0, size, PART)]
        if len(parts) > 1:
            await self._store.write(lambda tx: tx.rosters.clear_parts(alert))
            for part in parts:
                await self._store.write(part)
            parts = []

        def freeze(tx: Transaction) -> None:
            tx.rosters.freeze(alert, enlisted.roster, enlisted.header, now)
            tx.alerts.add_findings(alert, enlisted.header["findings"])

        return [*parts, freeze]

    def _words(self, dispatch: DispatchRow, basis: Basis, header: Header, used: set[tuple[str, int]]) -> Effect:
        """The words of every channel and voice that is used, once each."""
        spoken = [
            (channel, voice, words(self._world, basis.row, dispatch, channel, header["voices"][voice], basis.originals))
            for channel, voice in sorted(used)
        ]

        def keep(tx: Transaction) -> None:
            for channel, voice, rendered in spoken:
                tx.dispatches.put_message(dispatch.n, channel, voice, rendered.message, rendered.flags)

        return keep


def _basis(tx: Transaction, dispatch: DispatchRow) -> Basis:
    row = tx.alerts.by_number(dispatch.alert)
    if row is None:
        raise LookupError(f"dispatch {dispatch.id} without its alert")
    known, own = tx.rosters.get(dispatch.roster), dispatch.roster == dispatch.alert
    reached = reached_before(tx, row.n) if own and dispatch.cause in OVER else []
    others = {dispatch.roster, *(each.row.n for each in reached)}
    if known is not None:
        others |= {voice["of"] for voice in known[1]["voices"] if voice["of"]}
    originals = {n: other for n in others - {row.n} if (other := tx.alerts.by_number(n)) is not None}
    touched = [] if own else tx.outbox.touched(dispatch.roster)
    addresses = tx.rosters.addresses(row.n, 0, known[0].endpoints) if known is not None and reached else []
    return Basis(row, known, reached, originals, touched, addresses)


def _told(dispatch: DispatchRow, basis: Basis, now: Instant) -> tuple[NDArray[np.bool_] | None, Stragglers]:
    """Whom a dispatch that ends a warning tells now (None = everybody of its roster), and who has to be waited for."""
    if dispatch.cause not in OVER:
        return None, {}
    roster, kept = basis.frozen[0], dispatch.targets.get("stragglers")
    if dispatch.roster == dispatch.alert:
        told, later = on_a_roster_of_its_own(roster, basis.addresses, basis.reached, now)
    else:
        told, later = on_the_same_roster(roster, basis.touched, now)
    if kept is not None:
        later = kept
        told[waited_for(later)] = False
    return told, later


def _part(alert: int, enlisted: Enlisted, first: int) -> Effect:
    addresses, names = enlisted.addresses[first : first + PART], enlisted.names[first : first + PART]
    return lambda tx: tx.rosters.put_part(alert, first, addresses, names)


def _next_batches(plan: Plan) -> tuple[list[NewBatch], int, bool]:
    """The batches of one step, how many were looked at, and whether these were the last."""
    started = time.monotonic()
    new: list[NewBatch] = []
    for looked_at, planned in enumerate(plan.batches, 1):
        batch = _batch(planned, plan.channels, plan.only)
        if batch is not None:
            new.append(batch)
        if looked_at >= STEP_BATCHES or time.monotonic() - started > STEP_SECONDS:
            return new, looked_at, False
    return new, 0, True


def _batch(plan: BatchPlan, channels: Sequence[str], only: NDArray[np.bool_] | None) -> NewBatch | None:
    """A planned batch for those of it who are meant (None = all of it); None if nobody is."""
    ordinals = None
    if only is not None:
        ordinals = (np.flatnonzero(only[plan.first : plan.first + plan.count]) + plan.first).astype(np.int32)
        if not len(ordinals):
            return None
    channel = channels[plan.channel]
    return NewBatch(channel, plan.variant, plan.priority, plan.first, plan.count, plan.expires_at, ordinals)


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


def _only(dispatch: DispatchRow, roster: Roster, told: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """bool[endpoints]: those meant by a dispatch that is not for all of the roster; None = all of it.

    A dispatch that ends a warning is for those whom it reached. `leaves` limits to some regions, for the channels in `limited`
    alone if that is given.
    """
    codes = dispatch.targets.get("leaves")
    if codes is None:
        return told
    meant = np.isin([leaf.code for leaf in roster.leaves], codes)
    chosen = np.append(meant, False)[roster.endpoint_leaf]
    chosen[roster.catch_endpoint[meant[roster.catch_leaf]]] = True
    limited = dispatch.targets.get("limited")
    if limited is not None:
        chosen |= ~np.isin(list(roster.channels), limited)[roster.endpoint_channel]
    return chosen if told is None else chosen & told
