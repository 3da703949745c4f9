"""The tests of the tests: one hard hour in one process, judged by the checker. As it is, nothing is wrong with it; with a promise
broken on purpose, the checker must see it, and in the right place.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checker import Evidence, Got, Verdict, examine
from core import POSTER, Core, cap, core, reference
from store_kit import url_of

from gateway.channel import Batch, Level, Receipt
from gateway.errors import Refused
from gateway.flow import delivery
from gateway.flow.outcomes import answered
from gateway.flow.receipts import Reporter
from gateway.model.dispatch import WorkState
from gateway.model.journal import ATTEMPT
from gateway.ports.store import BatchRow, DispatchRow
from gateway.store import SqlStore
from gateway.store.alerts import SqlAlerts
from gateway.store.dispatches import SqlDispatches
from gateway.store.outbox import SqlOutbox
from gateway.testing.clock import ManualClock
from gateway.testing.hamlet import BEIHE, NANSHAN, QINGYUAN, phone

Patch = pytest.MonkeyPatch
PEOPLE = {
    NANSHAN: frozenset(phone(number) for number in range(1, 7)),
    BEIHE: frozenset(phone(number) for number in range(7, 11)),
    QINGYUAN: frozenset(phone(number) for number in range(1, 11)),
}


async def post(it: Core, evidence: Evidence, identifier: str, region: str, **parts: Any) -> str:
    """Post, and post again with the same bytes as a client does that missed the answer; returns the alert's id."""
    raw = cap(it.clock, identifier, region=region, **parts)
    evidence.wanted[identifier] = PEOPLE[region]
    ids = [(await it.post(raw)).id for _ in range(2)]
    evidence.acked[identifier] = set(ids)
    return ids[0]


async def hard_hour(folder: Path) -> Verdict:
    """A repeated post, a kill in mid-send, a stop in mid-send, a cancel, and receipts just before another kill."""
    evidence, ended = Evidence(), set[str]()
    async with core(folder) as it:
        far = it.far["sms"]

        def watch(batch: Batch) -> None:
            evidence.late += batch.alert in ended

        far.watcher = watch
        await post(it, evidence, "A-1", NANSHAN)
        named = reference(it.clock)
        await it.settle()

        for identifier, manner in (("A-2", "hold"), ("A-4", "stuck")):
            far.manner = manner
            await post(it, evidence, identifier, BEIHE)
            await it.settle()
            await it.crash()
            far.manner = "answer"
            await it.open()
            await it.settle()

        far.manner = "hold"
        stopped = await post(it, evidence, "A-3", QINGYUAN)
        evidence.cancelled["A-3"] = ""
        await it.settle()
        with contextlib.suppress(Refused):
            await it.release.stop(stopped, POSTER)
        ended.add(stopped)
        far.manner = "answer"
        far.let_go.set()
        await it.settle()

        it.clock.forward(1)
        await post(it, evidence, "C-1", NANSHAN, msg_type="Cancel", references=named)
        evidence.cancelled["A-1"] = "C-1"
        await it.settle()

        said = [far.say(message, Level.DELIVERED) for message in far.taken]
        evidence.delivered = frozenset(message.key for message in far.taken)
        await it.report("sms", *said)
        evidence.acknowledged = evidence.delivered
        await it.crash()
        evidence.received = [Got(message.alert, message.key, message.address) for message in far.taken]
    store = SqlStore(url_of(folder), ManualClock())
    try:
        return await examine(store, evidence)
    finally:
        await store.aclose()


def no_attempts_in_the_journal(patch: Patch) -> None:
    patch.setattr(delivery, "attempt_block", lambda *_: np.zeros(0, ATTEMPT))


def no_identity(patch: Patch) -> None:
    insert, numbers = SqlAlerts.insert, count()
    patch.setattr(SqlAlerts, "by_identity", lambda *_: None)
    patch.setattr(
        SqlAlerts, "insert", lambda self, row, *rest: insert(self, replace(row, sent=row.sent + next(numbers)), *rest)
    )


def no_look_at_withdrawals(patch: Patch) -> None:
    get: Callable[[SqlDispatches, int], DispatchRow] = SqlDispatches.get
    patch.setattr(SqlDispatches, "get", lambda self, n, **_: replace(get(self, n), withdrawn_at=None))
    patch.setattr(SqlOutbox, "withdraw", lambda *_: 0)


def answers_before_the_commit(patch: Patch) -> None:
    call, started = Reporter.__call__, []

    async def hasty(self: Reporter, receipts: Sequence[Receipt]) -> None:
        started.append(asyncio.create_task(call(self, receipts)))

    patch.setattr(Reporter, "__call__", hasty)


def forgets_what_was_on_the_wire(patch: Patch) -> None:
    due = SqlOutbox.due

    def pending(self: SqlOutbox, channel: str, owner: str, now: int, limit: int) -> list[BatchRow]:
        return [row for row in due(self, channel, owner, now, limit) if row.state is not WorkState.SENDING]

    patch.setattr(SqlOutbox, "due", pending)


def believes_that_sent_is_delivered(patch: Patch) -> None:

    def boasting(part: Batch, receipts: Sequence[Receipt], proves: Level) -> Any:
        return answered(part, [receipt._replace(level=Level.READ) for receipt in receipts], Level.READ)

    patch.setattr(delivery, "answered", boasting)


def cancels_reach_nobody(patch: Patch) -> None:
    patch.setattr(SqlOutbox, "touched", lambda *_: [])


async def test_as_it_is_nothing_is_wrong(tmp_path: Path) -> None:
    verdict = await hard_hour(tmp_path)
    assert verdict.faults == {}
    assert verdict.duplicates == 4, "what was on the wire at the kill was sent again, and counted"


@pytest.mark.parametrize(
    ("mutate", "seen"),
    [
        (no_attempts_in_the_journal, "uncounted"),
        (no_identity, "unexpected"),
        (no_look_at_withdrawals, "late"),
        (answers_before_the_commit, "underclaimed"),
        (forgets_what_was_on_the_wire, "lost"),
        (cancels_reach_nobody, "untold"),
    ],
)
async def test_a_broken_promise_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutate: Callable[[Patch], None], seen: str
) -> None:
    mutate(monkeypatch)
    verdict = await hard_hour(tmp_path)
    assert seen in verdict.faults, verdict


async def test_a_boast_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Believing that handed over is read claims more than the far side ever said."""
    believes_that_sent_is_delivered(monkeypatch)
    async with core(tmp_path) as it:
        evidence = Evidence()
        await post(it, evidence, "A-1", NANSHAN)
        await it.settle()
        evidence.received = [Got(message.alert, message.key, message.address) for message in it.far["sms"].taken]
        verdict = await examine(it.store, evidence)
    assert verdict.faults == {"overclaimed": 6}
