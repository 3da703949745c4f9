"""Updates: what they change decides who hears what; what they replace is never sent any more (contract: States, Update)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from messages import area, cap, info, reference, stamp

from gateway.testing.hamlet import BEIHE, NANSHAN, phone
from gateway.testing.town import Town, town


async def first(it: Town, *codes: str, **parts: str) -> str:
    """A warning, carried and settled."""
    alert = await it.post(cap(it, info(it, area(*(codes or (NANSHAN,))), **parts)))  # type: ignore[arg-type]
    await it.expect_sms(phone(1))
    await it.settled()
    return alert


def _heard(it: Town, times: int) -> bool:
    return it.reached("sms").count(phone(1)) == times


async def updated(it: Town, *infos: str) -> str:
    """An Update of the first, carried and settled."""
    message = cap(
        it, *infos, identifier="A-2", msg_type="Update", references=[reference(it)], sent=stamp(it, seconds=1)
    )
    alert = await it.post(message)
    await it.settled()
    return alert


async def test_a_raised_warning_sounds_again_and_says_that_it_was_raised(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers") as it:
        alert = await first(it)
        update = await updated(it, info(it, area(NANSHAN), grade="red"))
        assert "升级" in await it.expect_sms(phone(1), "红色预警")
        await it.expect_loudspeaker("spk-1", "红色预警")
        assert ((await it.alert(alert))["state"], (await it.alert(update))["kind"]) == ("superseded", "raised")


async def test_a_wider_warning_sounds_in_the_new_places_only(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers") as it:
        await first(it)
        update = await updated(it, info(it, area(NANSHAN, BEIHE)))
        await it.expect_loudspeaker("spk-2")
        await it.expect_sms(phone(7))
        assert (await it.alert(update))["kind"] == "widened"
        assert it.reached("speakers") == ["spk-1", "spk-2"]
        assert it.reached("sms").count(phone(1)) == 2


async def test_lowered_extended_and_reworded_warnings_are_told_silently(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers") as it:
        await first(it, minutes=60)  # type: ignore[arg-type]
        changes = [
            ("lowered", info(it, area(NANSHAN), grade="yellow")),
            ("extended", info(it, area(NANSHAN), grade="yellow", minutes=120)),
            ("text", info(it, area(NANSHAN), grade="yellow", minutes=120, instruction="请转移。")),
        ]
        before, sent = "A-1", stamp(it)
        for number, (kind, body) in enumerate(changes, 2):
            named = [reference(it, before, sent=sent)]
            before, sent = f"A-{number}", stamp(it, seconds=number)
            alert = await it.post(cap(it, body, identifier=before, msg_type="Update", references=named, sent=sent))
            await it.until(partial(_heard, it, number), f"the SMS of {before}")
            await it.settled()
            assert (await it.alert(alert))["kind"] == kind
        assert it.reached("speakers") == ["spk-1"]


async def test_dropped_regions_are_told_that_it_is_over_for_them(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers") as it:
        await first(it, NANSHAN, BEIHE)
        await it.expect_loudspeaker("spk-2")
        await it.settled()
        await updated(it, info(it, area(NANSHAN)))
        await it.expect_sms(phone(7), "解除")
        await it.expect_loudspeaker("spk-2", "解除")
        await it.settled()
        lifted = {item["address"] for item in it.far["sms"].received if "解除" in item["text"]}
        assert lifted == {phone(number) for number in range(7, 11)}
        assert all("解除" not in text for text in it.sent("speakers", "spk-1"))
        assert "北河村" in next(text for text in it.sent("sms", phone(7)) if "解除" in text)


async def test_dropped_regions_that_were_never_told_stay_untold(tmp_path: Path) -> None:
    async with town(tmp_path, far={"sms": {"faults": "refuse"}}) as it:
        await it.post(cap(it, info(it, area(NANSHAN, BEIHE))))
        await it.settled()
        await updated(it, info(it, area(NANSHAN)))
        it.far["sms"].set_faults("")
        await it.until(lambda: it.far["sms"].lines, "the centre bound again")
        for _ in range(4):
            await it.forward(seconds=20)
        await it.expect_sms(phone(1))
        await it.settled()
        assert it.reached("sms") == [phone(number) for number in range(1, 7)]


async def test_what_an_update_replaced_is_not_sent_any_more(tmp_path: Path) -> None:
    async with town(tmp_path, far={"sms": {"faults": "refuse"}}) as it:
        alert = await it.post(cap(it, info(it, area(NANSHAN), instruction="旧的做法。")))
        await it.settled()
        await updated(it, info(it, area(NANSHAN), instruction="新的做法。"))
        it.far["sms"].set_faults("")
        await it.until(lambda: it.far["sms"].lines, "the centre bound again")
        for _ in range(4):
            await it.forward(seconds=20)
        await it.expect_sms(phone(6), "新的做法")
        await it.settled()
        assert all("旧的做法" not in text for text in it.sent("sms"))
        assert {item["state"] for item in await it.deliveries(alert)} == {"withdrawn"}


async def test_an_update_that_overtakes_its_alert_wins(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        warning = cap(it, info(it, area(NANSHAN), instruction="旧的做法。"))
        update = await updated(it, info(it, area(NANSHAN), instruction="新的做法。"))
        await it.expect_sms(phone(1), "新的做法")
        answer = await it.posted(warning)
        await it.settled()
        assert (await it.alert(answer.body["id"]))["state"] == "superseded"
        assert (await it.alert(update))["state"] == "released"
        assert all("旧的做法" not in text for text in it.sent("sms"))


async def test_an_identifier_used_again_with_a_later_time_is_a_new_version(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        alert = await first(it)
        await it.forward(minutes=5)
        again = await it.post(cap(it, info(it, area(NANSHAN), instruction="新的做法。")))
        await it.expect_sms(phone(1), "新的做法")
        assert ((await it.alert(alert))["state"], again != alert) == ("superseded", True)


async def test_another_source_cannot_end_a_warning(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        alert = await it.post(cap(it, info(it, area(NANSHAN))), key=await it.key("met", source="met"))
        await it.expect_sms(phone(1))
        cancel = cap(it, identifier="C-1", msg_type="Cancel", references=[reference(it)], sent=stamp(it, seconds=1))
        answer = await it.posted(cancel, key=await it.key("water", source="water"))
        assert "reference_foreign" in [finding["code"] for finding in answer.body["warnings"]]
        await it.settled()
        assert (await it.alert(alert))["state"] == "released"
        assert all("解除" not in text for text in it.sent("sms"))
