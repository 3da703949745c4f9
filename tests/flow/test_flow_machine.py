"""A gateway's life at random: messages, updates, cancels, receipts, time, faults of the far sides, restarts and kills in any order.

After every step and at the end the promises hold: what was accepted is kept; nothing of an ended alert begins; nobody is called
whom no dispatch meant; nobody is forgotten; what was sent twice was counted; the ledger claims nothing that was not told, and is
the same after a restart, after a rebuild and by the pure evaluation. HYPOTHESIS_PROFILE=long plays many more lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from core import POSTER, Core, cap, core, quick_folder, reference
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from ledger_oracle import Figures, assert_ledger_is_right, assert_no_overclaim

from gateway.channel import Batch, Level, Reason
from gateway.errors import Refused
from gateway.flow.fanout import STRAGGLING
from gateway.model.alert import AlertState
from gateway.model.dispatch import Cause, WorkState
from gateway.ports.store import AlertRow, BatchRow, DispatchRow
from gateway.store import SqlTransaction
from gateway.testing.hamlet import BEIHE, NANSHAN, QINGYUAN

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
T = TypeVar("T")

STANDING = (AlertState.RELEASED, AlertState.STORED, AlertState.HELD)
OVER = (WorkState.DONE, WorkState.EXPIRED, WorkState.WITHDRAWN, WorkState.DEAD)
MANNERS = ["answer", "answer", "half", "mute", "hold", "stuck", "busy", "gone", "bug", "refuse"]

regions = st.sampled_from([QINGYUAN, NANSHAN, BEIHE])
severities = st.sampled_from(["Extreme", "Severe", "Minor"])
places = st.integers(0, 30)
channels = st.sampled_from(["sms", "speakers"])


@dataclass(frozen=True, slots=True)
class Posted:
    """A message that was accepted."""

    id: str
    identifier: str
    raw: bytes
    reference: str


@dataclass(frozen=True, slots=True)
class Books:
    """All that the store holds of work."""

    alerts: dict[int, AlertRow]
    dispatches: dict[str, DispatchRow]
    batches: dict[int, list[BatchRow]]
    addresses: dict[int, list[str]]


def straggling(tx: SqlTransaction) -> list[bool]:
    """Whether each dispatch waits for the outcome of sends."""
    rows = tx.alerts.page({}, None, 500)
    found = [dispatch for row in rows for dispatch in tx.dispatches.of_alert(row.n)]
    return [dispatch.state == "open" and dispatch.planned_to == STRAGGLING for dispatch in found]


@contextlib.contextmanager
def plain_log() -> Iterator[None]:
    """A channel with a bug is logged with its traceback; with all its variables that would take longer than the rest."""
    before = structlog.get_config()
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])
    try:
        yield
    finally:
        structlog.configure(**before)


class Life(RuleBasedStateMachine):
    """One gateway with ten phones and two loudspeakers."""

    def __init__(self) -> None:
        super().__init__()
        self.runner, self.outer, self.stack = asyncio.Runner(), ExitStack(), AsyncExitStack()
        self.posted: list[Posted] = []
        self.announced: list[tuple[str, str]] = []
        self.ended: set[str] = set()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something and let everything happen that follows at once."""

        async def whole() -> T:
            result = await work
            await self.it.settle()
            rows = await self.it.read(lambda tx: tx.alerts.page({}, None, 500))
            self.ended = {row.id for row in rows if row.state not in STANDING}
            return result

        return self.runner.run(whole())

    @initialize()
    def begin(self) -> None:
        self.outer.enter_context(plain_log())
        folder = self.outer.enter_context(quick_folder())
        self.it: Core = self.runner.run(self.stack.enter_async_context(core(folder, "sms", "speakers")))
        for far in self.it.far.values():
            far.watcher = self.watch

    def watch(self, batch: Batch) -> None:
        """A send begins."""
        assert batch.alert not in self.ended, f"a send of {batch.identifier} began after its end"
        assert self.it.clock.now() < batch.expires_at, f"a send of {batch.identifier} began after its expiry"

    # -- what people and systems do

    @rule(region=regions, severity=severities, minutes=st.sampled_from([5, 60]))
    def post(self, region: str, severity: str, minutes: int) -> None:
        self._post("Alert", region=region, severity=severity, minutes=minutes)

    @precondition(lambda self: self.posted)
    @rule(place=places, region=regions, severity=severities)
    def update(self, place: int, region: str, severity: str) -> None:
        of = self.posted[place % len(self.posted)].reference
        self._post("Update", region=region, severity=severity, references=of)

    @precondition(lambda self: self.posted)
    @rule(place=places, wrong=st.booleans())
    def cancel(self, place: int, wrong: bool) -> None:
        of = self.posted[place % len(self.posted)].reference
        self._post("Cancel", references=of, note="误报" if wrong else "")

    @rule()
    def cancel_what_has_not_come_yet(self) -> None:
        identifier = f"late-{len(self.announced)}"
        named = reference(self.it.clock, identifier)
        self.announced.append((identifier, named.rpartition(",")[2]))
        self._post("Cancel", references=named)

    @precondition(lambda self: self.announced)
    @rule(region=regions)
    def post_what_was_cancelled_before(self, region: str) -> None:
        identifier, sent = self.announced.pop()
        self._accept(
            identifier, cap(self.it.clock, identifier, region=region, sent=sent), f"met@example,{identifier},{sent}"
        )

    @precondition(lambda self: self.posted)
    @rule(place=places)
    def post_again(self, place: int) -> None:
        known = self.posted[place % len(self.posted)]
        again = self.run(self.it.post(known.raw))
        assert (again.id, again.created) == (known.id, False)

    @precondition(lambda self: self.posted)
    @rule(place=places)
    def stop(self, place: int) -> None:
        async def deed() -> None:
            with contextlib.suppress(Refused):
                await self.it.release.stop(self.posted[place % len(self.posted)].id, POSTER)

        self.run(deed())

    # -- what far sides do

    @rule(channel=channels, manner=st.sampled_from(MANNERS))
    def behave(self, channel: str, manner: str) -> None:
        self.it.far[channel].manner = manner

    @rule()
    def let_go(self) -> None:
        self.run(self._let_go())

    async def _let_go(self) -> None:
        for far in self.it.far.values():
            far.let_go.set()
            while far.held:
                await asyncio.sleep(0.001)
            far.let_go.clear()

    @rule(channel=channels, place=places, level=st.sampled_from(list(Level)), by_key=st.booleans())
    def receipt(self, channel: str, place: int, level: Level, by_key: bool) -> None:
        far, honest = self.it.far[channel], min(level, self.it.reporters[channel].proves)
        if far.taken:
            reason = Reason.UNREACHABLE if level is Level.FAILED else Reason.NONE
            said = far.say(far.taken[place % len(far.taken)], honest, reason, by_key=by_key)
            self.run(self.it.report(channel, said))

    # -- time, and the process

    @rule(seconds=st.sampled_from([1, 10, 60, 200, 700]))
    def tick(self, seconds: int) -> None:
        self.it.clock.forward(seconds)
        self.run(asyncio.sleep(0))

    @rule(kill=st.booleans())
    def restart(self, kill: bool) -> None:
        self.run(self._again(kill))

    async def _again(self, kill: bool) -> None:
        for far in self.it.far.values():
            if not kill:
                far.let_go.set()
        await (self.it.crash() if kill else self.it.close())
        await self.it.open()

    # -- what must hold

    @invariant()
    def what_was_sent_twice_was_counted(self) -> None:
        if hasattr(self, "it"):
            twice = sum(far.duplicates for far in self.it.far.values())
            assert twice <= self.it.duplicates()

    def teardown(self) -> None:
        try:
            if hasattr(self, "it"):
                self._end()
        finally:
            self.runner.run(self.stack.aclose())
            self.outer.close()
            self.runner.close()

    def _end(self) -> None:
        """Far sides are well again and time goes by; then the books are looked into."""
        for far in self.it.far.values():
            far.manner = "answer"
        self.let_go()
        self.run(self._stragglers_are_told())
        for _ in range(3):
            self.tick(61)
        books = self.runner.run(self._books())
        self._what_was_accepted_is_kept(books)
        self._nobody_unexpected_and_nobody_forgotten(books)
        self._who_was_warned_is_told_of_the_end(books)
        self.what_was_sent_twice_was_counted()
        self.runner.run(self._the_ledger_is_right(books))

    async def _stragglers_are_told(self) -> None:
        """Whom a send was under way to when a warning ended: they are looked after in real time."""
        async with asyncio.timeout(60):
            while any(await self.it.read(straggling)):
                await asyncio.sleep(0.05)
                await self.it.settle()

    async def _the_ledger_is_right(self, books: Books) -> None:
        figures: dict[str, Figures] = {}
        for n in books.addresses:
            id = books.alerts[n].id
            figures[id] = await assert_ledger_is_right(self.it, id)
            await assert_no_overclaim(self.it, id)
        await self.it.crash()
        await self.it.open()
        for id, before in figures.items():
            assert await assert_ledger_is_right(self.it, id) == before
            await self.it.folder.rebuild((await self.it.account(id)).alert)
            assert await assert_ledger_is_right(self.it, id) == before

    def _what_was_accepted_is_kept(self, books: Books) -> None:
        kept = {row.id: row.raw for row in books.alerts.values()}
        assert {known.id: known.raw for known in self.posted}.items() <= kept.items()
        assert len({known.id for known in self.posted}) == len(self.posted) == len(kept)

    def _nobody_unexpected_and_nobody_forgotten(self, books: Books) -> None:
        for dispatch in books.dispatches.values():
            assert dispatch.state != "open" or dispatch.due_at > self.it.clock.now(), f"{dispatch} was never planned"
        for name, far in self.it.far.items():
            meant: dict[tuple[str, int], BatchRow] = {}
            for id, dispatch in books.dispatches.items():
                for row in books.batches[dispatch.n]:
                    if row.channel == name:
                        assert row.state in OVER, f"{row} is left over"
                        meant |= {(id, ordinal): row for ordinal in row.whole.tolist()}
            for message in far.taken:
                assert (message.dispatch, message.ordinal) in meant, f"{message} was meant by no dispatch"
                assert message.address == books.addresses[books.dispatches[message.dispatch].roster][message.ordinal]
            reached = {(message.dispatch, message.ordinal) for message in far.taken} | far.refused
            lost = [place for place, row in meant.items() if row.state is WorkState.DONE and place not in reached]
            assert lost == []

    def _who_was_warned_is_told_of_the_end(self, books: Books) -> None:
        """A Cancel goes to those who may have got what it ended, and to nobody else."""
        for n, alert in books.alerts.items():
            told = {
                id
                for id, dispatch in books.dispatches.items()
                if dispatch.alert == n and dispatch.cause is not Cause.RELEASE
            }
            if alert.msg_type != "Cancel" or not told:
                continue
            chain = {books.alerts[earlier].id for earlier in self._chain(books, n)}
            for name, far in self.it.far.items():
                called = {batch.alert: set[str]() for batch in far.sends}
                for batch in far.sends:
                    called[batch.alert] |= {endpoint.address for endpoint in batch.endpoints}
                may_know = set[str]().union(*(called.get(id, set()) for id in chain))
                assert called.get(alert.id, set()) <= may_know
                if name == "sms":
                    know = {message.address for message in far.taken if message.alert in chain}
                    assert know <= self._addressed(books, told, name)

    def _addressed(self, books: Books, dispatches: set[str], channel: str) -> set[str]:
        chosen = [books.dispatches[id] for id in dispatches]
        return {
            books.addresses[dispatch.roster][ordinal]
            for dispatch in chosen
            for row in books.batches[dispatch.n]
            if row.channel == channel
            for ordinal in row.whole.tolist()
        }

    def _chain(self, books: Books, n: int) -> set[int]:
        """The alerts that `n` ended, those that they had ended, and so on."""
        chain: set[int] = set()
        waiting = [n]
        while waiting:
            by = waiting.pop()
            ended = {row.n for row in books.alerts.values() if row.ended_by == by} - chain
            chain |= ended
            waiting += ended
        return chain

    async def _books(self) -> Books:
        def read(tx: SqlTransaction) -> Books:
            alerts = {row.n: row for row in tx.alerts.page({}, None, 500)}
            dispatches = {dispatch.id: dispatch for n in alerts for dispatch in tx.dispatches.of_alert(n)}
            batches = {dispatch.n: tx.outbox.of_dispatch(dispatch.n) for dispatch in dispatches.values()}
            rosters = {n: found[0] for n in alerts if (found := tx.rosters.get(n)) is not None}
            addresses = {n: tx.rosters.addresses(n, 0, roster.endpoints) for n, roster in rosters.items()}
            return Books(alerts, dispatches, batches, addresses)

        return await self.it.store.read(read)

    def _post(self, msg_type: str, **parts: Any) -> None:
        identifier = f"{msg_type}-{len(self.posted)}"
        self.it.clock.forward(1)
        self._accept(
            identifier,
            cap(self.it.clock, identifier, msg_type=msg_type, **parts),
            reference(self.it.clock, identifier),
        )

    def _accept(self, identifier: str, raw: bytes, named: str) -> None:
        accepted = self.run(self.it.post(raw))
        assert accepted.created
        self.posted.append(Posted(accepted.id, identifier, raw, named))


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=150 if LONG else 6,
    stateful_step_count=30 if LONG else 14,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
