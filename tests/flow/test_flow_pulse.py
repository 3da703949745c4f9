"""Pulse and watch: a channel is stuck or silent, as the journal tells; the holder of the office alone tells the store's figures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import structlog
from store_kit import LATER, NOW, keep, new_batch, open_dispatch, opened

from gateway.flow.office import TERM, Elected
from gateway.flow.pulse import SILENT_HANDOVERS, SILENT_WINDOW, STALLED_AFTER, Pulse
from gateway.flow.watch import Watch
from gateway.model.dispatch import WorkState
from gateway.model.journal import ACCEPTED, RECEIPT, STATEMENT, Statements
from gateway.model.receipt import Level
from gateway.store import SqlStore, SqlTransaction
from gateway.telemetry import Metrics
from gateway.testing.clock import ManualClock

LOG = structlog.get_logger("pulse")


def said(count: int, at: int, kind: int = ACCEPTED, level: Level = Level.ACCEPTED) -> Statements:
    """Statements of one journal row."""
    block = np.zeros(count, STATEMENT)
    block["kind"], block["level"], block["received_at"] = kind, level, at
    return block


def beating(*rows: Statements) -> Pulse:
    """A pulse that has taken these."""
    pulse = Pulse()
    for row in rows:
        pulse.take(row)
    return pulse


# -- stuck: work waits, and nothing is handed over


def test_work_that_waits_for_half_a_minute_is_stuck() -> None:
    pulse = Pulse()
    assert not pulse.stuck(NOW + 10 * STALLED_AFTER, None), "nothing waits"
    assert not pulse.stuck(NOW + STALLED_AFTER - 1, NOW)
    assert pulse.stuck(NOW + STALLED_AFTER, NOW)


def test_a_hand_over_shows_that_it_moves() -> None:
    pulse = beating(said(1, NOW + 20_000))
    assert not pulse.stuck(NOW + 20_000 + STALLED_AFTER - 1, NOW)
    assert pulse.stuck(NOW + 20_000 + STALLED_AFTER, NOW)
    assert not pulse.stuck(NOW + 60_000, NOW + 59_000), "what waits has only just come"


def test_a_receipt_that_comes_later_is_no_hand_over() -> None:
    pulse = beating(said(5, NOW + 20_000, RECEIPT, Level.DELIVERED))
    assert pulse.stuck(NOW + STALLED_AFTER, NOW)


def test_rows_out_of_their_order_do_not_set_it_back() -> None:
    pulse = beating(said(1, NOW + 20_000), said(1, NOW))
    assert pulse.progress == NOW + 20_000


# -- silent: much handed over, and nothing heard


def test_fifty_hand_overs_and_no_receipt_for_half_a_minute_is_silence() -> None:
    pulse = beating(said(SILENT_HANDOVERS - 1, NOW), said(1, NOW + 10_000))
    assert not pulse.silent(NOW + STALLED_AFTER - 1)
    assert pulse.silent(NOW + STALLED_AFTER)


def test_fewer_hand_overs_prove_nothing() -> None:
    assert not beating(said(SILENT_HANDOVERS - 1, NOW)).silent(NOW + STALLED_AFTER)


def test_hand_overs_of_long_ago_do_not_count() -> None:
    first, later = said(SILENT_HANDOVERS - 1, NOW), said(1, NOW + SILENT_WINDOW - 1)
    pulse = beating(first, later)
    assert pulse.silent(NOW + SILENT_WINDOW - 1)
    assert not pulse.silent(NOW + SILENT_WINDOW)
    pulse.take(said(1, NOW + SILENT_WINDOW))
    assert [count for _, count in pulse.handed] == [1, 1], "nor are they kept"


@pytest.mark.parametrize("level", [Level.DELIVERED, Level.READ, Level.ACK, Level.FAILED])
def test_any_word_of_the_far_side_about_an_endpoint_ends_the_silence(level: Level) -> None:
    pulse = beating(said(SILENT_HANDOVERS, NOW), said(1, NOW + 40_000, RECEIPT, level))
    assert not pulse.silent(NOW + 40_000)
    assert not pulse.silent(NOW + 40_000 + STALLED_AFTER), "whoever has nothing more to answer for may be silent"
    pulse.take(said(SILENT_HANDOVERS - 1, NOW + 41_000))
    assert not pulse.silent(NOW + 41_000 + STALLED_AFTER)
    pulse.take(said(1, NOW + 42_000))
    assert not pulse.silent(NOW + 41_000 + STALLED_AFTER - 1)
    assert pulse.silent(NOW + 41_000 + STALLED_AFTER)


@pytest.mark.parametrize("level", [Level.SENT, Level.ACCEPTED])
def test_that_it_took_a_message_is_no_receipt(level: Level) -> None:
    assert beating(said(SILENT_HANDOVERS, NOW), said(1, NOW + 29_000, RECEIPT, level)).silent(NOW + STALLED_AFTER)


# -- the watch


class Post:
    """One who stands for the watch office, with what it tells."""

    def __init__(self, store: SqlStore, clock: ManualClock, owner: str, pulses: dict[str, Pulse]) -> None:
        self.metrics, self.office = Metrics(), Elected("watch", store, clock, owner, LOG)
        self.metrics.know_channel("sms")
        self.watch = Watch(store, clock, self.office, self.metrics, LOG, {"sms": Level.DELIVERED}, pulses)

    def figures(self) -> dict[str, float]:
        """The store's figures as this process tells them."""
        names = ("outbox_pending", "outbox_oldest_age_seconds")
        of_sms = ("queue_depth", "channel_oldest_pending_seconds", "channel_stalled")
        return {name: self._value(name) for name in names} | {n: self._value(n, channel="sms") for n in of_sms}

    def _value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"tongluo_{name}", labels) or 0


def waiting(tx: SqlTransaction) -> None:
    """Two batches that nobody sends."""
    tx.outbox.add(open_dispatch(tx, keep(tx)), [new_batch(), new_batch()], NOW)


@asynccontextmanager
async def posts(url: str) -> AsyncIterator[tuple[ManualClock, Post, Post, dict[str, Pulse]]]:
    """A store with work that waits, and two who stand for the office; the first holds it."""
    clock, pulses = ManualClock(NOW), dict[str, Pulse]()
    async with opened(url, clock) as store, opened(url, clock) as other:
        await store.write(waiting)
        one, two = Post(store, clock, "one", pulses), Post(other, clock, "two", pulses)
        await one.office._stand()
        await two.office._stand()
        yield clock, one, two, pulses


NOTHING = dict.fromkeys(
    (
        "outbox_pending",
        "outbox_oldest_age_seconds",
        "queue_depth",
        "channel_oldest_pending_seconds",
        "channel_stalled",
    ),
    0.0,
)


async def test_a_standby_tells_nothing_of_the_store_and_knows_it_all_the_same(store_url: str) -> None:
    async with posts(store_url) as (clock, leader, standby, _):
        clock.forward(STALLED_AFTER / 1000)
        await leader.office._stand()
        for each in (leader, standby):
            await each.watch.tick()
        assert leader.figures() == {
            "outbox_pending": 2,
            "outbox_oldest_age_seconds": 30,
            "queue_depth": 2,
            "channel_oldest_pending_seconds": 30,
            "channel_stalled": 1,
        }
        assert standby.figures() == NOTHING
        assert set(standby.watch.stalled) == {"sms"}, "its pages show it"
        assert standby.watch.depths["sms"].batches == 2


async def test_who_loses_the_office_falls_silent_and_the_next_speaks(store_url: str) -> None:
    async with posts(store_url) as (clock, leader, heir, _):
        await leader.watch.tick()
        assert leader.figures()["outbox_pending"] == 2
        clock.forward(TERM / 1000)
        await heir.office._stand()
        for each in (leader, heir):
            await each.watch.tick()
        assert leader.figures() == NOTHING
        assert heir.figures()["outbox_pending"] == 2


async def test_the_holder_alone_ends_what_is_over(store_url: str) -> None:
    async with posts(store_url) as (clock, leader, standby, _):
        clock.forward((LATER - NOW) / 1000)
        await leader.office._stand()
        await standby.watch.tick()
        store: Any = leader.office._store
        assert await store.read(lambda tx: tx.outbox.get(1).state) is WorkState.PENDING
        await leader.watch.tick()
        assert await store.read(lambda tx: tx.outbox.get(1).state) is WorkState.EXPIRED
        assert (await store.read(lambda tx: tx.alerts.by_number(1))).state == "expired"


async def test_who_was_deposed_without_noticing_ends_nothing(store_url: str) -> None:
    async with posts(store_url) as (clock, leader, heir, _):
        clock.forward((LATER - NOW) / 1000)
        await heir.office._stand()
        leader.office._until = clock.now() + TERM  # it was frozen, and has not looked at its clock yet
        with pytest.raises(Exception, match="has passed to another process"):
            await leader.watch.tick()
        store: Any = leader.office._store
        assert await store.read(lambda tx: tx.outbox.get(1).state) is WorkState.PENDING
        await leader.watch.tick()
        assert leader.figures() == NOTHING


async def test_stuck_and_silent_are_told_apart_and_both_end(store_url: str) -> None:
    async with posts(store_url) as (clock, leader, _, pulses):

        async def stalled_after(seconds: float) -> bool:
            clock.forward(seconds)
            await leader.office._stand()
            await leader.watch.tick()
            return leader.figures()["channel_stalled"] == 1

        assert not await stalled_after(29)
        assert await stalled_after(1)
        assert leader.watch.stalled == {"sms": NOW + STALLED_AFTER}
        pulses["sms"] = beating(said(SILENT_HANDOVERS, clock.now()))
        assert not await stalled_after(0), "it moves"
        pulses["sms"].take(said(1, clock.now() + 29_000))
        assert await stalled_after(30), "it moves, and nothing is heard of it"
        pulses["sms"].take(said(1, clock.now(), RECEIPT, Level.DELIVERED))
        assert not await stalled_after(0)


async def test_silence_means_nothing_of_a_channel_that_proves_no_more_than_that_it_was_taken(store_url: str) -> None:
    async with posts(store_url) as (clock, leader, _, pulses):
        leader.watch._channels = {"sms": Level.ACCEPTED}
        pulses["sms"] = beating(said(SILENT_HANDOVERS, NOW), said(1, NOW + 29_000))
        clock.forward(30)
        await leader.office._stand()
        await leader.watch.tick()
        assert leader.watch.stalled == {}
