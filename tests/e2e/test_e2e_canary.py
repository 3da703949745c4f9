"""Canaries: a self-test through the whole house, a minute after the other, that reaches sinks alone and shows up nowhere else."""

from __future__ import annotations

from pathlib import Path

from gateway.flow.canary import KEPT
from gateway.testing.town import SINKS, Town, town


async def last_success(it: Town, channel: str) -> float:
    """What Prometheus would see now; the watch looks once a second of its clock."""
    it.clock.forward(1)
    return await it.metric("canary_last_success_timestamp_seconds", channel=channel) or 0.0


async def test_each_channel_with_a_sink_is_tried_and_says_when_it_answered(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "pager", canary={"every": "60s"}) as it:
        await it.expect("sms", SINKS["sms"], "自检")
        await it.expect("pager", SINKS["pager"], "自检")
        first = await it.until(lambda: last_success(it, "sms"), "the first canary is back")
        await it.forward(seconds=60)

        async def again() -> bool:
            return await last_success(it, "sms") > first and len(it.sent("sms", SINKS["sms"])) >= 2

        await it.until(again, "the second canary is back")
        assert set(it.reached("sms")) == {SINKS["sms"]}, "a canary never reaches the public"
        assert (await it.read("alerts"))["items"] == []
        assert await it.metric("alert_info") is None


async def test_a_channel_that_does_not_answer_has_no_new_success(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", canary={"every": "60s"}, far={"sms": {"faults": "refuse"}}) as it:
        await it.forward(seconds=61)
        await it.forward(seconds=5)
        assert await last_success(it, "sms") == 0.0


async def test_old_canaries_are_forgotten(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", canary={"every": "60s"}) as it:
        await it.expect("sms", SINKS["sms"], "自检")
        await it.forward(seconds=KEPT / 1000 + 61)

        async def few() -> bool:
            it.clock.forward(1)
            return await it.gateway.store.read(lambda tx: tx.alerts.by_number(1)) is None

        await it.until(few, "the first canary is struck out")


async def test_without_canaries_nothing_is_sent(tmp_path: Path) -> None:
    async with town(tmp_path, "sms") as it:
        await it.forward(seconds=120)
        assert it.reached("sms") == []
