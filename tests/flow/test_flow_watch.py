"""Watch: what happens because time passes. And `report`: receipts are on disk before the far side gets its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from core import Core, cap, core, reference
from sqlalchemy import select

from gateway.errors import Unstorable
from gateway.flow import pulse
from gateway.model.dispatch import WorkState
from gateway.model.receipt import Level, Receipt
from gateway.store import SqlTransaction
from gateway.store.tables import batch


def gauge(it: Core, name: str, **labels: str) -> float | None:
    return it.metrics.registry.get_sample_value(f"tongluo_{name}", labels)


async def batches(it: Core) -> list[str]:
    def work(tx: SqlTransaction) -> list[str]:
        return list(tx.connection.execute(select(batch.c.state).order_by(batch.c.n)).scalars())

    return list(await it.read(work))


async def test_an_alert_and_its_waiting_batches_end_together_as_expired(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        alert = await it.post(cap(it.clock, minutes=5))
        await it.plan()
        it.clock.forward(300)
        await it.watch.tick()
        assert (await it.read(lambda tx: tx.alerts.by_id(alert.id))).state == "expired"
        assert set(await batches(it)) <= {WorkState.EXPIRED, WorkState.SENDING, WorkState.DONE}
        await it.settle()
        assert set(await batches(it)) <= {WorkState.EXPIRED, WorkState.DONE}


async def test_an_alert_that_expires_while_nobody_runs_is_not_sent_afterwards(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        alert = await it.post(cap(it.clock, minutes=5))
        await it.crash()
        it.clock.forward(301)
        await it.open()
        await it.settle()
        assert it.far["sms"].taken == []
        assert (await it.read(lambda tx: tx.alerts.by_id(alert.id))).state == "expired"


async def test_a_channel_with_work_and_no_hand_over_for_half_a_minute_is_stalled(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        it.far["sms"].manner = "hold"
        await it.post(cap(it.clock))
        await it.settle()
        it.clock.forward(pulse.STALLED_AFTER / 1000 - 1)
        await it.watch.tick()
        assert (gauge(it, "channel_stalled", channel="sms"), gauge(it, "queue_depth", channel="sms")) == (0, 4)
        it.clock.forward(1)
        await it.watch.tick()
        assert gauge(it, "channel_stalled", channel="sms") == 1
        assert gauge(it, "channel_oldest_pending_seconds", channel="sms") == pulse.STALLED_AFTER / 1000
        it.far["sms"].manner = "answer"
        it.far["sms"].let_go.set()
        await it.settle()
        await it.watch.tick()
        assert gauge(it, "channel_stalled", channel="sms") == 0
        assert gauge(it, "outbox_pending") == 0


async def test_a_channel_that_is_tried_again_and_again_in_vain_is_stalled(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        it.far["sms"].manner = "busy"
        await it.post(cap(it.clock))
        for _ in range(8):
            await it.settle()
            it.clock.forward(5)
        await it.watch.tick()
        assert len(it.far["sms"].sends) > 8, "every batch was tried more than once"
        assert gauge(it, "channel_stalled", channel="sms") == 1
        assert (
            gauge(it, "channel_oldest_pending_seconds", channel="sms") == gauge(it, "outbox_oldest_age_seconds") == 40
        )


async def test_a_channel_that_hands_over_and_hears_nothing_back_is_stalled(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        for number in range(6):
            await it.post(cap(it.clock, f"A-{number}"))
            await it.settle()
            it.clock.forward(1)
        it.clock.forward(20)
        await it.watch.tick()
        assert gauge(it, "channel_stalled", channel="sms") == 0
        it.clock.forward(20)
        await it.watch.tick()
        assert gauge(it, "channel_stalled", channel="sms") == 1
        far = it.far["sms"]
        await it.report("sms", far.say(far.taken[0], Level.DELIVERED))
        await it.folder.fold()
        await it.watch.tick()
        assert gauge(it, "channel_stalled", channel="sms") == 0


async def test_an_update_ends_the_unsent_work_of_what_it_replaces(tmp_path: Path) -> None:
    async with core(tmp_path) as it:
        it.far["sms"].manner = "gone"
        first = await it.post(cap(it.clock))
        named = reference(it.clock)
        await it.settle()
        it.clock.forward(1)
        update = await it.post(cap(it.clock, "A-2", msg_type="Update", references=named))
        it.far["sms"].manner = "answer"
        it.clock.forward(60)
        await it.settle()
        assert {message.alert for message in it.far["sms"].taken} == {update.id}
        assert (await it.read(lambda tx: tx.alerts.by_id(first.id))).state == "superseded"


async def test_receipts_are_told_only_once_they_are_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with core(tmp_path) as it:
        await it.post(cap(it.clock))
        await it.settle()

        async def full(_work: Any) -> Any:
            raise Unstorable("disk full")

        with monkeypatch.context() as patched:
            patched.setattr(it.store, "write", full)
            with pytest.raises(Unstorable):
                await it.report("sms", Receipt(Level.DELIVERED, far_id="F1"))
        assert gauge(it, "receipts_total", channel="sms", level="delivered", reason="none") is None
        await it.report("sms", Receipt(Level.DELIVERED, far_id="F1"))
        await it.report("sms")
        rows = await it.read(lambda tx: tx.journal.after(0, 100))
        assert rows[-1].statements["level"].tolist() == [Level.DELIVERED]
        assert gauge(it, "receipts_total", channel="sms", level="delivered", reason="none") == 1
