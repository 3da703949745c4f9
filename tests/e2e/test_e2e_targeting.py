"""Whom a warning means, in which language, by which channels at which hour."""

from __future__ import annotations

from pathlib import Path

from messages import area, cap, info, national

from gateway.testing.hamlet import BEIHE, CANGSHI, JIANNONG, NANSHAN, QINGYUAN, phone
from gateway.testing.town import clock_at, town

NANSHAN_PHONES = [phone(number) for number in range(1, 7)]
BEIHE_PHONES = [phone(number) for number in range(7, 11)]


async def test_shapes_target_the_villages_they_hold(tmp_path: Path) -> None:
    shapes = [
        ("<polygon>42.09,124.88 42.11,124.88 42.11,124.92 42.09,124.92 42.09,124.88</polygon>", NANSHAN_PHONES),
        ("<circle>42.10,124.90 3</circle>", NANSHAN_PHONES),
        ("<circle>42.10,124.90 20</circle>", NANSHAN_PHONES + BEIHE_PHONES),
        ("<circle>42.141,124.981 0</circle>", BEIHE_PHONES),
    ]
    async with town(tmp_path) as it:
        for number, (shape, phones) in enumerate(shapes):
            await it.post(cap(it, info(it, area(shape=shape, desc="库区")), identifier=f"S-{number}"))
            await it.until(lambda wanted=phones: it.reached("sms") == wanted, f"{shape} to reach {phones}")  # type: ignore[misc]
            it.far["sms"].received.clear()


async def test_a_named_area_is_a_target_by_its_id_and_by_name_for_its_owner_alone(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        named = "<geocode><valueName>tongluo:area</valueName><value>HUNHE</value></geocode>"
        await it.post(cap(it, info(it, f"<area><areaDesc>浑河上游</areaDesc>{named}</area>")))
        await it.expect_sms(phone(7))
        await it.settled()
        assert it.reached("sms") == BEIHE_PHONES
        own = cap(it, info(it, area(desc="水库下游")), identifier="A-2")
        await it.post(own, key=await it.key("water", source="water"))
        await it.expect_sms(phone(1))
        other = cap(it, info(it, area(desc="水库下游")), identifier="A-3", sender="other@met.example")
        await it.post(other, key=await it.key("met", source="met"), state="held")


async def test_everybody_gets_their_language_and_a_missing_one_is_flagged(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        english = info(
            it,
            area(JIANNONG),
            language="en-US",
            event="Rainstorm",
            headline="Orange rainstorm warning",
            description="Heavy rain is expected.",
            instruction="Keep away from rivers.",
        )
        infos = [info(it, area(JIANNONG)), english]
        await it.post(cap(it, *infos))
        assert "Heavy rain" in await it.expect_sms(phone(22))
        assert "暴雨橙色预警" in await it.expect_sms(phone(21))
        await it.settled()
        assert it.reached("sms") == [phone(21), phone(22), phone(23)]
        chinese_only = await it.ask(
            "POST",
            "alerts/preview",
            data=cap(it, info(it, area(JIANNONG)), identifier="A-2").encode(),
            headers={"Content-Type": "application/cap+xml"},
        )
        missing = [finding for finding in chinese_only.body["findings"] if finding["code"] == "language_missing"]
        assert "en × 1" in missing[0]["message"]
        alert = await it.post(cap(it, info(it, area(JIANNONG)), identifier="A-2"))
        await it.until(lambda: len(it.sent("sms", phone(22))) == 2, "the second SMS, in Chinese")
        assert "language_missing" in [finding["code"] for finding in (await it.alert(alert))["findings"]]


async def test_infos_have_their_own_areas_and_grades(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers") as it:
        infos = [info(it, area(NANSHAN), grade="red"), info(it, area(BEIHE), grade="blue")]
        alert = await it.post(cap(it, *infos))
        await it.expect_sms(phone(1), "红色预警")
        await it.expect_sms(phone(7), "蓝色预警")
        await it.expect_loudspeaker("spk-1")
        await it.settled()
        assert it.reached("speakers") == ["spk-1"]
        assert all("红色" not in text for text in it.sent("sms", phone(7)))
        assert (await it.alert(alert))["grade"] == "red"


async def test_loudspeakers_keep_the_quiet_hours(tmp_path: Path) -> None:
    night = [
        (14, "yellow", "11B03", "Unknown", True),
        (23, "orange", "11B03", "Unknown", True),
        (23, "yellow", "11B03", "Unknown", False),
        (23, "yellow", "11A02", "Unknown", True),
        (23, "yellow", "11B03", "Immediate", True),
        (29, "yellow", "11B03", "Unknown", False),
        (30, "yellow", "11B03", "Unknown", True),
    ]
    async with town(tmp_path, "sms", "speakers", clock=clock_at(14), plan=[{"channels": ["*"]}]) as it:
        began, heard = it.now, 0
        for number, (hour, grade, code, urgency, loud) in enumerate(night):
            await it.forward(hours=hour - 14 - (it.now - began) / 3_600_000)
            body = info(it, area(NANSHAN), grade=grade, code=code, urgency=urgency)
            alert = await it.post(cap(it, body, identifier=f"N-{number}"))
            await it.until(lambda sent=number: it.reached("sms").count(phone(1)) == sent + 1, "the SMS")  # type: ignore[misc]
            await it.settled()
            heard += loud
            assert len(it.reached("speakers")) == heard, night[number]
            quieted = [each["channel"] for each in (await it.alert(alert))["plan"]["quieted"]]
            assert quieted == ([] if loud else ["speakers"])


async def test_the_plan_decides_who_is_told_by_what_and_when(tmp_path: Path) -> None:
    plan = [
        {"name": "floods wait", "events": ["11A*"], "channels": ["sms"], "after": "10m"},
        {"name": "north", "regions": [BEIHE], "channels": ["wechat"]},
    ]
    async with town(tmp_path, "sms", "wechat", plan=plan) as it:
        north = await it.post(cap(it, info(it, area(BEIHE))))
        await it.expect("wechat", "o-7")
        flood = await it.post(cap(it, info(it, area(NANSHAN), code="11A01", event="洪水"), identifier="A-2"))
        await it.settled()
        assert it.sent("sms") == []
        await it.restart()
        await it.forward(minutes=11)
        await it.expect_sms(phone(1), "洪水")
        rules = [(await it.alert(alert))["plan"]["rule"] for alert in (north, flood)]
        assert rules == ["north", "floods wait"]


async def test_a_national_message_may_ask_for_an_audience(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        alert = await it.post(national(it, "SMS", audience="drill"))
        await it.expect_sms(phone(6))
        await it.settled()
        assert it.reached("sms") == [phone(6)]
        assert (await it.coverage(alert))["region"]["target"] == 1


async def test_what_preview_says_is_what_happens(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers", "wechat", "broadcast", far={"sms": {"faults": "silent"}}) as it:
        message = cap(it, info(it, area(QINGYUAN)))
        headers = {"Content-Type": "application/cap+xml"}
        seen = (await it.ask("POST", "alerts/preview", data=message.encode(), headers=headers)).body
        alert = await it.post(message)
        await it.expect("broadcast")
        await it.settled()
        done = await it.deliveries(alert)
        counted = {name: sum(item["channel"] == name for item in done) for name in seen["endpoints"]}
        assert seen["endpoints"] == counted == {"sms": 10, "speakers": 2, "wechat": 2, "broadcast": 1}
        assert seen["people"] == (await it.coverage(alert))["region"]["target"] == 35
        assert [place["name"] for place in seen["blind_spots"]] == ["苍石村"]
        texts = {text["channel"]: text["text"] for text in seen["texts"]}
        assert {texts["sms"]} == set(it.sent("sms"))
        assert {texts["speakers"]} == set(it.sent("speakers"))
        assert seen["blind_spots"][0]["id"] == CANGSHI


async def test_the_expected_coverage_is_met_to_the_digit_when_nobody_answers(tmp_path: Path) -> None:
    silent = {"sms": {"faults": "silent"}, "speakers": {"faults": "silent"}}
    async with town(tmp_path, "sms", "speakers", far=silent) as it:
        message = cap(it, info(it, area(QINGYUAN)))
        headers = {"Content-Type": "application/cap+xml"}
        seen = (await it.ask("POST", "alerts/preview", data=message.encode(), headers=headers)).body["expected"]
        alert = await it.post(message)
        await it.expect_loudspeaker("spk-2")
        await it.settled()
        region = (await it.coverage(alert))["region"]
        assert seen == {bound: region[bound] for bound in ("lo", "est", "hi")}
        assert seen["lo"] == 0 < seen["est"] < seen["hi"] < 1
