"""Delivery when far sides misbehave: dead, slow, throttling, cutting connections, wrong addresses; and a gateway that is stopped in
the middle. Nothing is lost, nothing is sent after its time, what may be double is counted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from messages import area, cap, info

from gateway.testing.hamlet import JIANNONG, NANSHAN, QINGYUAN, phone
from gateway.testing.town import Town, town

BROKEN = {"pager": {"faults": "drop", "secret": ""}}
"""It takes a call, cuts the line before the answer, and sends no receipts."""

RESIDENTS = [phone(number) for number in range(1, 11)]


async def back_again(it: Town, **faults: str) -> None:
    """The far sides behave from now on; time passes until all that waited has gone out."""
    await it.settled()
    for name in faults or it.far:
        it.far[name].set_faults(faults.get(name, ""))

    async def moved() -> bool:
        it.clock.forward(1)
        return not await it.gateway.store.read(lambda tx: tx.outbox.depths())

    await it.until(moved, "an empty outbox", 30)
    await it.settled()


@pytest.mark.parametrize("fault", ["blackhole", "refuse", "slow=3"])
async def test_a_dead_channel_never_delays_another(tmp_path: Path, fault: str) -> None:
    brief = {"sms": {"timeout": 1.0, "response_timeout": 0.5}}
    async with town(tmp_path, "sms", "speakers", "wechat", far={"sms": {"faults": fault}}, channel=brief) as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN))))
        await it.expect_loudspeaker("spk-1")
        await it.expect_loudspeaker("spk-2")
        await it.expect("wechat", "o-8")
        await it.expect_coverage(alert, lo=2)  # the two followers of the account
        figures = {each["channel"]: each for each in await it.read(f"alerts/{alert}/channels")}
        assert (figures["sms"]["receipts"], figures["wechat"]["receipts"]) == (0, 2)


async def test_a_channel_that_comes_back_gets_what_waited_exactly_once(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "wechat", far={"sms": {"faults": "refuse"}}) as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN))))
        await it.settled()
        await it.forward(seconds=31)
        states = {each["channel"]: each["state"] for each in await it.read("channels")}
        assert states["sms"] in ("down", "stalled")
        await it.until(lambda: _is(it, "channel_stalled", 1, channel="sms"), "the stall to be noticed")
        await back_again(it)
        assert it.reached("sms") == RESIDENTS
        assert await it.metric("duplicates_total", channel="sms") == 0
        await it.expect_coverage(alert, lo=10)
        await it.forward(seconds=2)
        await it.until(lambda: _is(it, "channel_stalled", 0, channel="sms"), "the recovery to be noticed")


async def _is(it: Town, name: str, value: float, **labels: str) -> bool:
    return await it.metric(name, **labels) == value


async def test_a_throttling_far_side_is_given_time_and_loses_nothing(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", far={"sms": {"faults": "throttle=0.5"}}) as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN))))
        await back_again(it, sms="throttle=0.5")
        assert it.reached("sms") == RESIDENTS
        assert (await it.read("whoami"))["name"] == "admin"
        assert {item["state"] for item in await it.deliveries(alert)} == {"done"}
        assert (await it.metric("dead_letters", channel="sms")) == 0


async def test_what_may_have_arrived_is_sent_again_and_counted(tmp_path: Path) -> None:
    async with town(tmp_path, "pager", far={"pager": {"faults": "drop"}}, channel={"pager": {"attempts": 9}}) as it:
        await it.post(cap(it, info(it, area(NANSHAN))))
        await it.until(lambda: it.far["pager"].count, "a call whose answer is cut off")
        await back_again(it)
        calls = it.reached("pager")
        assert set(calls) == {"pager-1"}
        counted = await it.metric("duplicates_total", channel="pager")
        assert counted is not None
        assert 1 <= len(calls) - 1 <= counted
        assert len({item["key"] for item in it.far["pager"].received}) == 1


async def test_after_bounded_attempts_it_is_a_dead_letter_that_can_be_replayed(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "pager", far=BROKEN, channel={"pager": {"attempts": 3}}) as it:
        alert = await it.post(cap(it, info(it, area(NANSHAN))))
        await it.expect_sms(phone(6))
        await it.until(lambda: _given_up(it), "the pager's batch to be given up", 30)
        assert it.far["pager"].asked == 3
        await it.forward(seconds=10)
        await it.until(lambda: _is(it, "dead_letters", 1, channel="pager"), "the dead letter to be counted")
        [item] = await it.deliveries(alert, channel="pager")
        assert (item["state"], item["level"], item["attempts"]) == ("dead", "failed", 3)
        it.far["pager"].set_faults("")
        [dead] = await it.gateway.store.read(lambda tx: tx.outbox.dead(10))
        assert await it.gateway.store.write(lambda tx: tx.outbox.revive(dead.n, it.now))
        await it.forward(seconds=2)
        await it.expect("pager", "pager-1")
        await it.settled()
        assert [item["level"] for item in await it.deliveries(alert, channel="pager")] == ["accepted"]


async def _given_up(it: Town) -> bool:
    it.clock.forward(2)
    return bool(await it.gateway.store.read(lambda tx: tx.outbox.dead(10)))


async def test_a_number_that_is_none_fails_for_good_and_the_others_get_by(tmp_path: Path) -> None:
    async with town(tmp_path, "wechat") as it:
        it.far["wechat"].errcodes["o-7"] = 43004
        alert = await it.post(cap(it, info(it, area(QINGYUAN))))
        await it.expect("wechat", "o-8")
        await it.expect_coverage(alert, lo=1)
        await it.settled()
        failed = await it.read(f"alerts/{alert}/failures")
        assert failed == [{"reason": "not_subscribed", "count": 1, "channels": {"wechat": 1}}]


async def test_nothing_is_sent_after_its_time_however_long_the_outage(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", far={"sms": {"faults": "refuse"}}) as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN), minutes=5)))
        await it.settled()
        await it.forward(minutes=10)
        await it.expect_state(alert, "expired")
        it.far["sms"].set_faults("")
        await it.until(lambda: it.far["sms"].lines, "the centre bound again")
        await it.forward(minutes=1)
        await it.restart()
        await it.forward(minutes=1)
        assert it.sent("sms") == []
        assert {item["state"] for item in await it.deliveries(alert)} == {"expired"}
        region = (await it.coverage(alert))["region"]
        assert (region["people"], region["status"]) == ({"lo": 0, "est": 0, "hi": 0}, "gap")


async def test_a_gateway_stopped_in_the_middle_goes_on_where_it_was(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "wechat", far={"sms": {"faults": "refuse"}}) as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN))))
        await it.expect_coverage(alert, lo=2)
        await it.restart()
        await it.expect_coverage(alert, lo=2)
        await back_again(it)
        await it.expect_coverage(alert, lo=10)
        assert it.reached("wechat") == ["o-7", "o-8"]
        assert it.reached("sms") == RESIDENTS
        before = await it.coverage(alert, QINGYUAN, depth="2")
        await it.restart()
        after = await it.coverage(alert, QINGYUAN, depth="2")
        assert [before["region"], *before["children"]] == [after["region"], *after["children"]]


async def test_receipts_that_come_while_the_gateway_is_away_come_again(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", far={"sms": {"delay": 0.6}}) as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN))))
        await it.expect_sms(phone(10))
        await it.settled()
        await it.close()
        await asyncio.sleep(0.7)  # the receipts fall due while nobody is there to take them
        await it.open()
        await it.expect_coverage(alert, lo=10)


async def test_the_gravest_warning_goes_first(tmp_path: Path) -> None:
    held: dict[str, Any] = {"sms": {"faults": "refuse"}}
    async with town(tmp_path, "sms", far=held, channel={"sms": {"parallel": 1}}) as it:
        for number, grade in enumerate(("blue", "yellow", "orange", "red"), 1):
            await it.post(cap(it, info(it, area(JIANNONG), grade=grade), identifier=f"G-{number}"))
        await it.settled()
        await back_again(it)
        order = [text for text in it.sent("sms") if "预警" in text]
        assert "红色" in order[0]
        assert "蓝色" in order[-1]


async def test_an_address_stands_nowhere_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with town(tmp_path, "sms", far={"sms": {"fail_share": 0.5}}) as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN))))
        await it.expect_sms(phone(10))
        await it.settled()
        items = await it.deliveries(alert)
        assert {item["unit"] for item in items} == {f"100****{number:04}" for number in range(1, 11)}
        told = repr(await it.read(f"alerts/{alert}/report")) + repr(await it.read(f"alerts/{alert}/log"))
        told += (await it.ask("GET", "/metrics")).body.decode()
    told += "".join(capsys.readouterr())
    assert all(resident not in told for resident in RESIDENTS)
