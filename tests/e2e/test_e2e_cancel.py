"""The end of a warning: lifted or withdrawn, by an operator or by the sender's own Cancel; stopped; told exactly those it may have
reached, and never anything after it (contract: States; CAP 1.2 §3.2.1 <msgType> Cancel)."""

from __future__ import annotations

from pathlib import Path

import pytest
from messages import area, cap, info, reference, stamp

from gateway.flow.standing import end
from gateway.model.alert import AlertState
from gateway.store import SqlStore, SqlTransaction
from gateway.testing.hamlet import BEIHE, JIANNONG, NANSHAN, QINGYUAN, phone
from gateway.testing.town import Town, clock_at, town

QINGYUAN_PHONES = [phone(number) for number in range(1, 11)]


async def cancelled(it: Town, alert: str, by: str, note: str = "") -> None:
    """End the alert over the API, or by a CAP Cancel without infos."""
    if by == "api":
        done = await it.act("cancel", alert, kind="withdrawn" if note else "lifted")
        assert (done.status, done.body["state"]) == (200, "cancelled"), done
    else:
        sent = (await it.alert(alert))["sent"]
        named = reference(it, sent=f"{sent[:19]}+00:00")
        await it.post(
            cap(it, identifier="C-1", msg_type="Cancel", note=note, references=[named], sent=stamp(it, seconds=1))
        )
    await it.expect_state(alert, "cancelled")


@pytest.mark.parametrize("by", ["api", "cap"])
async def test_a_lifted_warning_is_told_to_exactly_those_it_reached(tmp_path: Path, by: str) -> None:
    async with town(tmp_path, "sms", "speakers", "wechat") as it:
        alert = await it.post(cap(it, info(it, area(NANSHAN))))
        await it.expect_loudspeaker("spk-1")
        await it.settled()
        before = len(it.sent("sms"))
        await cancelled(it, alert, by)
        await it.expect_sms(phone(1), "解除")
        await it.expect_loudspeaker("spk-1", "解除")
        await it.settled()
        assert sorted(it.reached("sms")) == sorted([phone(number) for number in range(1, 7)] * 2)
        assert all("解除" in text and "暴雨橙色预警" in text for text in it.sent("sms")[before:])
        assert it.reached("speakers") == ["spk-1", "spk-1"]
        assert it.sent("wechat") == []
        assert (await it.act("cancel", alert)).status == 409


@pytest.mark.parametrize("by", ["api", "cap"])
async def test_a_withdrawal_says_it_was_wrong_by_every_channel_even_at_night(tmp_path: Path, by: str) -> None:
    async with town(tmp_path, "sms", "speakers", clock=clock_at(23)) as it:
        alert = await it.post(cap(it, info(it, area(NANSHAN))))
        await it.expect_loudspeaker("spk-1")
        await it.expect_sms(phone(1))
        await it.settled()
        await cancelled(it, alert, by, note="误发，特此更正")
        assert "有误" in await it.expect_sms(phone(1), "撤回")
        await it.expect_loudspeaker("spk-1", "撤回")


async def test_a_warning_lifted_at_night_is_quiet_until_morning(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers", clock=clock_at(23)) as it:
        alert = await it.post(cap(it, info(it, area(NANSHAN), minutes=600)))
        await it.expect_loudspeaker("spk-1")
        await it.settled()
        await cancelled(it, alert, "api")
        await it.expect_sms(phone(1), "解除")
        await it.forward(hours=6)
        assert it.reached("speakers") == ["spk-1"]
        await it.restart()
        await it.forward(minutes=31)
        await it.expect_loudspeaker("spk-1", "解除")


async def test_who_was_not_reached_is_told_nothing_and_never_gets_the_warning_late(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers", far={"sms": {"faults": "refuse"}}) as it:
        alert = await it.post(cap(it, info(it, area(NANSHAN))))
        await it.expect_loudspeaker("spk-1")
        await cancelled(it, alert, "api")
        await it.expect_loudspeaker("spk-1", "解除")
        it.far["sms"].set_faults("")
        await it.forward(minutes=2)
        await it.until(lambda: it.far["sms"].lines, "the centre bound again")
        await it.forward(minutes=2)
        assert it.sent("sms") == []
        assert {item["state"] for item in await it.deliveries(alert, channel="sms")} == {"withdrawn"}


async def test_a_cancelled_warning_stops_playing_at_once(tmp_path: Path) -> None:
    async with town(tmp_path, "speakers", far={"speakers": {"delay": 60.0}}, clock=clock_at(23)) as it:
        alert = await it.post(cap(it, info(it, area(NANSHAN))))
        await it.expect_loudspeaker("spk-1")
        await it.settled()
        await cancelled(it, alert, "api")
        await it.until(lambda: it.far["speakers"].stopped, "the loudspeaker to fall silent")
        assert [item["address"] for item in it.far["speakers"].stopped] == ["spk-1"]
        assert it.sent("speakers", "spk-1") == [it.sent("speakers")[0]]


async def test_loudspeakers_are_called_back_after_a_crash_between_the_cancel_and_its_effect(tmp_path: Path) -> None:
    async with town(tmp_path, "speakers", far={"speakers": {"delay": 60.0}}) as it:
        id = await it.post(cap(it, info(it, area(NANSHAN))))
        await it.expect_loudspeaker("spk-1")
        await it.settled()
        await it.close()
        store = SqlStore(f"sqlite:///{it.folder / 'data' / 'tongluo.db'}", it.clock)

        def cancel(tx: SqlTransaction) -> None:
            row = tx.alerts.by_id(id)
            assert row is not None
            end(tx, row, AlertState.CANCELLED, it.now)

        await store.write(cancel)
        await store.aclose()
        it.clock.forward(1)  # instructions are numbered by the clock
        await it.open()
        await it.until(lambda: it.far["speakers"].stopped, "the loudspeaker to fall silent")


async def test_a_cancelled_sms_that_is_still_on_its_way_is_deleted(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", far={"sms": {"delay": 60.0}}) as it:
        alert = await it.post(cap(it, info(it, area(NANSHAN))))
        await it.expect_sms(phone(6))
        await it.settled()
        await cancelled(it, alert, "api")
        deleted = [4] * 6  # SMPP 3.4 §5.2.28
        await it.until(
            lambda: list(it.far["sms"].sent_states().values()) == deleted, "the centre to delete six messages"
        )
        await it.expect_sms(phone(1), "解除")
        await it.settled()
        assert {(item["level"], item["reason"]) for item in await it.deliveries(alert)} == {("failed", "withdrawn")}


async def test_a_cancel_that_comes_first_keeps_the_warning_from_being_sent(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers") as it:
        warning = cap(it, info(it, area(QINGYUAN)))
        cancel = cap(it, identifier="C-1", msg_type="Cancel", references=[reference(it)], sent=stamp(it, seconds=1))
        await it.post(cancel, state="stored")
        answer = await it.posted(warning)
        assert answer.status == 202
        await it.settled()
        await it.restart()
        await it.settled()
        assert (await it.alert(answer.body["id"]))["state"] == "cancelled"
        assert (it.sent("sms"), it.sent("speakers")) == ([], [])


async def test_a_cancel_over_several_updates_tells_everybody_of_the_chain_once(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        first = await it.post(cap(it, info(it, area(NANSHAN))))
        await it.expect_sms(phone(1))
        await it.settled()
        update = cap(
            it,
            info(it, area(NANSHAN, BEIHE)),
            identifier="A-2",
            msg_type="Update",
            references=[reference(it)],
            sent=stamp(it, seconds=1),
        )
        second = await it.post(update)
        await it.expect_sms(phone(7))
        await it.settled()
        cancel = cap(
            it,
            identifier="C-1",
            msg_type="Cancel",
            references=[reference(it, "A-2", sent=stamp(it, seconds=1))],
            sent=stamp(it, seconds=2),
        )
        ending = await it.post(cancel)
        await it.expect_sms(phone(10), "解除")
        await it.settled()
        told = [item["address"] for item in it.far["sms"].received if "解除" in item["text"]]
        assert sorted(told) == QINGYUAN_PHONES
        states = [(await it.alert(alert))["state"] for alert in (first, second, ending)]
        assert states == ["superseded", "cancelled", "released"]
        assert [link["id"] for link in (await it.alert(first))["chain"]] == [first, second, ending]


async def test_a_cancel_has_a_coverage_of_its_own(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        alert = await it.post(cap(it, info(it, area(NANSHAN))))
        await it.expect_coverage(alert, lo=6)
        done = await it.act("cancel", alert)
        ending = done.body["cancel"]
        region = await it.expect_coverage(ending, lo=6)
        assert (region["target"], region["lo"]) == (6, 1)
        assert (await it.coverage(alert))["region"]["people"]["lo"] == 6


async def test_stop_keeps_back_what_was_not_sent_and_tells_nobody(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers", far={"sms": {"faults": "refuse"}}) as it:
        alert = await it.post(cap(it, info(it, area(NANSHAN, JIANNONG))))
        await it.expect_loudspeaker("spk-1")
        assert (await it.act("stop", alert, key=await it.key("met", source="met"))).status == 403
        assert (await it.act("stop", alert, note="误操作")).status == 200
        it.far["sms"].set_faults("")
        await it.forward(minutes=2)
        await it.until(lambda: it.far["sms"].lines, "the centre bound again")
        await it.forward(minutes=2)
        assert (it.sent("sms"), it.reached("speakers")) == ([], ["spk-1"])
        assert (await it.alert(alert))["state"] == "stopped"
