"""Stragglers: who is told that it is over, when the end comes while sends are on the wire. Nobody is told who was not warned,
nobody who was is forgotten, nobody is told twice; over crashes, too.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from core import KINDS, SMS, Core, cap, core, reference
from far_side import FarSide, Line

from gateway.channel import Batch, Receipt, Traits, Unavailable
from gateway.flow import fanout
from gateway.flow.keeping import LEASE
from gateway.model.dispatch import Cause, WorkState
from gateway.testing.hamlet import BEIHE, NANSHAN, QINGYUAN, phone

PATIENCE = 30.0


class Wire(Line):
    """A line on which sends of some messages to some addresses hang until they are let go, and then may come to nothing."""

    def __init__(self, far: FarSide, traits: Traits, delays: Sequence[Delay]) -> None:
        super().__init__(far, traits)
        self._delays = delays

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        """See `gateway.channel.Channel`."""
        for delay in self._delays:
            if batch.identifier == delay.identifier and delay.address in {one.address for one in batch.endpoints}:
                await self._hangs(delay)
        return await super().send(batch)

    async def _hangs(self, delay: Delay) -> None:
        self.far.held += 1
        try:
            await delay.over.wait()
        finally:
            self.far.held -= 1
        if delay.vain:
            raise Unavailable("nobody there after all")


@dataclass(slots=True)
class Delay:
    """Sends of the message `identifier` that have `address` among their endpoints hang until `over`; `vain` = and then fail."""

    identifier: str
    address: str
    vain: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)


def wired(it: Core, *delays: Delay) -> None:
    """Let these sends hang."""
    it.couriers["sms"].channel = Wire(it.far["sms"], KINDS["sms"], delays)


@pytest.fixture(autouse=True)
def _many_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hands for other sends while some hang."""
    monkeypatch.setitem(KINDS, "sms", replace(SMS, parallel=6))


def told(it: Core, identifier: str, channel: str = "sms") -> list[str]:
    """The addresses that took a message, sorted, each as often as it did."""
    far = it.far[channel]
    dispatches = {batch.dispatch for batch in far.sends if batch.identifier == identifier}
    return sorted(message.address for message in far.taken if message.dispatch in dispatches)


def phones(*numbers: int) -> list[str]:
    return [phone(number) for number in numbers]


async def until(it: Core, condition: Callable[[], Awaitable[bool]]) -> None:
    """Go on until it holds: stragglers are looked at in real time."""
    async with asyncio.timeout(PATIENCE):
        await it.settle()
        while not await condition():
            await asyncio.sleep(0.05)
            await it.settle()


async def all_planned(it: Core) -> bool:
    """Whether no dispatch waits for anything but its time."""
    return not await it.read(
        lambda tx: [
            dispatch
            for row in tx.alerts.page({}, None, 99)
            for dispatch in tx.dispatches.of_alert(row.n)
            if dispatch.state == "open" and dispatch.due_at <= it.clock.now()
        ]
    )


async def posted(it: Core, identifier: str, msg_type: str = "Alert", **parts: Any) -> str:
    """Post a message a second after the last, and let happen what can; returns how others refer to it."""
    it.clock.forward(1)
    named = reference(it.clock, identifier)
    await it.post(cap(it.clock, identifier, msg_type=msg_type, **parts))
    await it.settle()
    return named


async def cancelled(it: Core, named: str, **parts: Any) -> None:
    await posted(it, "C", "Cancel", references=named, **parts)


@pytest.mark.parametrize("vain", [False, True], ids=["handed-over", "in-vain"])
async def test_whom_a_send_under_way_may_warn_is_told_when_it_has_ended_and_if_it_did(
    tmp_path: Path, vain: bool
) -> None:
    async with core(tmp_path) as it:
        hanging = Delay("A", phone(1), vain)
        wired(it, hanging)
        named = await posted(it, "A")
        assert told(it, "A") == phones(*range(4, 11))
        await cancelled(it, named)
        assert told(it, "C") == phones(*range(4, 11)), "those who were warned are told at once"
        await asyncio.sleep(2 * fanout.LOOK_AGAIN)
        await it.settle()
        assert told(it, "C") == phones(*range(4, 11)), "the others not while it is not known"
        hanging.over.set()
        await until(it, lambda: all_planned(it))
        assert told(it, "A") == phones(*range(4 if vain else 1, 11))
        assert told(it, "C") == told(it, "A")


async def test_who_was_never_sent_to_is_told_nothing(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        hanging = Delay("A", phone(1))
        wired(it, hanging)
        it.far["sms"].manner = "gone"
        named = await posted(it, "A", region=NANSHAN)
        await cancelled(it, named)
        it.far["sms"].manner = "answer"
        hanging.over.set()
        await until(it, lambda: all_planned(it))
        assert (told(it, "A"), told(it, "C")) == (phones(1, 2, 3), phones(1, 2, 3))


@pytest.mark.parametrize(("first", "second"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in-order", "against-it"])
async def test_who_has_two_warnings_of_a_chain_on_the_wire_is_told_once(
    tmp_path: Path, first: bool, second: bool, order: tuple[int, int]
) -> None:
    async with core(tmp_path) as it:
        hanging = [Delay("A", phone(1), first), Delay("U", phone(1), second)]
        wired(it, *hanging)
        alert = await posted(it, "A", region=NANSHAN)
        update = await posted(it, "U", "Update", references=alert, region=NANSHAN)
        await cancelled(it, update)
        assert told(it, "C") == phones(4, 5, 6)
        hanging[order[0]].over.set()
        await asyncio.sleep(2 * fanout.LOOK_AGAIN)
        await it.settle()
        assert told(it, "C") == phones(4, 5, 6), "one of them may still come"
        hanging[order[1]].over.set()
        await until(it, lambda: all_planned(it))
        assert told(it, "C") == phones(*range(4 if first and second else 1, 7))


@pytest.mark.parametrize("vain", [False, True], ids=["handed-over", "in-vain"])
async def test_who_was_warned_before_is_told_once_the_last_send_has_ended_whatever_came_of_it(
    tmp_path: Path, vain: bool
) -> None:
    async with core(tmp_path) as it:
        hanging = Delay("U", phone(1), vain)
        wired(it, hanging)
        alert = await posted(it, "A", region=NANSHAN)
        update = await posted(it, "U", "Update", references=alert, region=NANSHAN)
        await cancelled(it, update)
        assert told(it, "C") == phones(4, 5, 6)
        hanging.over.set()
        await until(it, lambda: all_planned(it))
        assert told(it, "C") == phones(*range(1, 7))


@pytest.mark.parametrize("vain", [False, True], ids=["handed-over", "in-vain"])
async def test_regions_that_an_update_drops_are_told_like_those_of_a_cancel(tmp_path: Path, vain: bool) -> None:
    async with core(tmp_path) as it:
        hanging = Delay("A", phone(7), vain)
        wired(it, hanging)
        named = await posted(it, "A", region=QINGYUAN)
        await posted(it, "U", "Update", references=named, region=NANSHAN)
        assert lifted(it) == phones(10)
        hanging.over.set()
        await until(it, lambda: all_planned(it))
        assert lifted(it) == (phones(10) if vain else phones(7, 8, 9, 10))


def lifted(it: Core) -> list[str]:
    """Whom an Update told that it is over for them, sorted."""
    return sorted(message.address for message in it.far["sms"].taken if "解除" in message.text)


async def batched(it: Core, cause: Cause = Cause.LIFTED) -> Counter[str]:
    """How often each address stands in batches of the dispatches with this cause."""

    def read(tx: Any) -> Counter[str]:
        found: Counter[str] = Counter()
        for row in tx.alerts.page({}, None, 99):
            for dispatch in tx.dispatches.of_alert(row.n):
                if dispatch.cause is cause:
                    ordinals = [n for batch in tx.outbox.of_dispatch(dispatch.n) for n in batch.whole.tolist()]
                    roster, _ = tx.rosters.get(dispatch.roster) or (None, None)
                    addresses = tx.rosters.addresses(dispatch.roster, 0, roster.endpoints) if roster else []
                    found.update(addresses[ordinal] for ordinal in ordinals)
        return found

    return Counter(await it.read(read))


@pytest.mark.parametrize("ending", ["cancel", "update"])
@pytest.mark.parametrize("steps", range(8))
async def test_a_crash_between_any_two_steps_forgets_nobody_and_tells_nobody_twice(
    tmp_path: Path, steps: int, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "STEP_BATCHES", 1)
    async with core(tmp_path) as it:
        wired(it, Delay("A", phone(7)))
        named = await posted(it, "A")
        it.clock.forward(1)
        await it.post(cap(it.clock, "E", msg_type=ending.capitalize(), references=named, region=NANSHAN))
        for _ in range(steps):
            await it.planner.step()
            await asyncio.sleep(0.01)
        await it.crash()
        await it.open()
        await until(it, lambda: all_planned(it))
        everybody = phones(*range(7 if ending == "update" else 1, 11))
        assert await batched(it) == Counter(everybody), "7, 8 and 9 were on the wire when the gateway died"
        assert (lifted(it) if ending == "update" else told(it, "E")) == everybody


@pytest.mark.parametrize("ending", ["cancel", "update"])
async def test_a_straggler_whose_send_ends_while_the_others_are_planned_is_told_once(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planner that goes on from the second batch is another than the one that noted the stragglers."""
    monkeypatch.setattr(fanout, "STEP_BATCHES", 1)
    async with core(tmp_path) as it:
        hanging = Delay("A", phone(7))
        wired(it, hanging)
        named = await posted(it, "A")
        it.clock.forward(1)
        await it.post(cap(it.clock, "E", msg_type=ending.capitalize(), references=named, region=NANSHAN))
        assert await it.planner.step()
        hanging.over.set()
        async with asyncio.timeout(PATIENCE):
            while any(row.in_flight(it.clock.now()) for row in await it.read(lambda tx: tx.outbox.of_dispatch(1))):
                await asyncio.sleep(0.01)
        it.planner._plans.clear()
        await until(it, lambda: all_planned(it))
        assert await batched(it) == Counter(phones(*range(7 if ending == "update" else 1, 11)))


async def test_stragglers_outlive_the_process_that_noted_them(tmp_path: Path) -> None:
    """The send hangs in another process, which goes on; the planner's dies after it has told the others."""
    async with core(tmp_path) as it:
        hanging = Delay("A", phone(1))
        wired(it, hanging)
        named = await posted(it, "A", region=NANSHAN)
        await cancelled(it, named)
        assert told(it, "C") == phones(4, 5, 6)
        heir = fanout.Planner(it.store, it.planner._queue, it.clock, it.world, "heir", it.planner._log)
        assert not await heir.step(), "it is not its own yet"
        await it.store.write(lambda tx: tx.outbox.renew("core", range(1, 9), it.clock.now() + 60_000))
        it.clock.forward(LEASE / 1000)
        it.planner = heir
        await it.settle()
        assert told(it, "C") == phones(4, 5, 6)
        hanging.over.set()
        await until(it, lambda: all_planned(it))
        assert told(it, "C") == phones(*range(1, 7))


async def test_a_send_of_a_process_that_died_counts_as_handed_over_when_its_lease_ends(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        wired(it, Delay("A", phone(1)))
        named = await posted(it, "A", region=NANSHAN)
        await cancelled(it, named)
        for task in it.tasks:
            task.cancel()
        await asyncio.gather(*it.tasks, return_exceptions=True)
        await it.plan()
        assert set(await batched(it)) == set(phones(4, 5, 6))
        it.clock.forward(LEASE / 1000)
        await asyncio.sleep(2 * fanout.LOOK_AGAIN)
        await it.plan()
        assert await batched(it) == Counter(phones(*range(1, 7)))


async def test_the_all_clear_of_the_morning_speaks_to_those_who_were_warned_alone(tmp_path: Path) -> None:
    async with core(tmp_path, "sms", "speakers") as it:
        alert = await posted(it, "A", region=NANSHAN, minutes=24 * 60)
        it.far["speakers"].manner = "gone"
        update = await posted(it, "U", "Update", references=alert, region=QINGYUAN, minutes=24 * 60)
        it.clock.forward(9 * 3600)
        await cancelled(it, update)
        it.far["speakers"].manner = "answer"
        assert (len(told(it, "C")), told(it, "C", "speakers")) == (10, [])
        it.clock.forward(8 * 3600)
        await until(it, lambda: all_planned(it))
        assert told(it, "C", "speakers") == ["spk-1"]
        assert len(told(it, "C")) == 10


async def test_the_all_clear_of_the_morning_is_not_stopped_by_a_warning_that_came_into_the_chain_by_night(
    tmp_path: Path,
) -> None:
    """A Cancel of two: of one in force, and of an Update that has not come yet. When it comes, it shows what it had replaced."""
    async with core(tmp_path, "sms", "speakers") as it:
        known = await posted(it, "A", region=BEIHE, minutes=24 * 60)
        other = await posted(it, "B", region=NANSHAN, minutes=24 * 60)
        it.clock.forward(9 * 3600)
        late = reference(it.clock, "U")
        sent = late.rpartition(",")[2]
        await cancelled(it, f"{other} {late}")
        assert told(it, "C") == phones(*range(1, 7))
        await posted(it, "U", "Update", references=known, region=BEIHE, sent=sent)
        assert told(it, "C") == phones(*range(1, 11))
        it.clock.forward(8 * 3600)
        await it.settle()
        assert await all_planned(it)
        assert told(it, "C", "speakers") == ["spk-1", "spk-2"]


async def test_an_all_clear_does_not_wait_for_sends_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken up by another planner while its first batches are on the wire."""
    monkeypatch.setattr(fanout, "STEP_BATCHES", 1)
    async with core(tmp_path) as it:
        named = await posted(it, "A")
        it.clock.forward(1)
        await it.post(cap(it.clock, "U", msg_type="Update", references=named, region=NANSHAN))
        it.far["sms"].manner = "stuck"
        lifted = await it.read(lambda tx: next(row for row in tx.dispatches.of_alert(2) if row.cause is Cause.LIFTED))
        while (await it.read(lambda tx: tx.dispatches.get(lifted.n))).planned_to < 3:
            await it.planner.step()
        async with asyncio.timeout(PATIENCE):
            while not any(
                row.state is WorkState.SENDING for row in await it.read(lambda tx: tx.outbox.of_dispatch(lifted.n))
            ):
                await asyncio.sleep(0.01)
        it.planner._plans.clear()
        while (await it.read(lambda tx: tx.dispatches.get(lifted.n))).state == "open":
            assert await it.planner.step(), "it waits for itself"
        assert await batched(it) == Counter(phones(7, 8, 9, 10))
