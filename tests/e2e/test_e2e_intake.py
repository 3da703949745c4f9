"""What comes in, by whom, and what becomes of it: one entry point for HTTP, ZIP and inbox."""

from __future__ import annotations

import asyncio
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from messages import area, cap, info, national

from gateway.testing.hamlet import JIANNONG, QINGYUAN, YONGLE, phone
from gateway.testing.town import EVERYTHING, Town, town

MET = {"name": "met", **EVERYTHING}


def warning(it: Town, **changed: Any) -> str:
    """A plain orange warning for Qingyuan."""
    return cap(it, info(it, area(QINGYUAN)), **changed)


async def test_a_hundred_identical_posts_are_one_alert_and_one_sms_each(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        message = warning(it)
        answers = await asyncio.gather(*(it.posted(message) for _ in range(100)))
        assert sorted(answer.status for answer in answers) == [200] * 99 + [202]
        assert len({answer.body["id"] for answer in answers}) == 1
        await it.expect_sms(phone(10))
        await it.settled()
        assert it.reached("sms") == [phone(number) for number in range(1, 11)]
        assert len((await it.read("alerts"))["items"]) == 1


async def test_the_same_content_in_other_bytes_is_the_same_message(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        message = warning(it)
        alert = await it.post(message)
        spaced = message.replace("><", ">\n  <")
        utf16 = message.replace("UTF-8", "UTF-16").encode("utf-16")
        gb18030 = message.replace("UTF-8", "GB18030").encode("gb18030")
        for same in (spaced, utf16, gb18030):
            answer = await it.posted(same)
            assert (answer.status, answer.body["id"]) == (200, alert)
        kept = await it.ask("GET", f"alerts/{alert}/cap")
        assert kept.body == message.encode()


async def test_other_content_under_the_same_identity_is_409_with_the_place(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        await it.post(warning(it))
        answer = await it.posted(warning(it).replace("请远离河道。", "请登高。"))
        assert (answer.status, answer.body["code"]) == (409, "identity_conflict")
        assert answer.body["findings"][0]["xpath"].endswith("instruction")
        assert len((await it.read("alerts"))["items"]) == 1


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"areas": [area(QINGYUAN), area(JIANNONG)]}, "region_denied"),
        ({"code": "11A01", "event": "洪水"}, "event_denied"),
        ({"grade": "red"}, "grade_denied"),
    ],
)
async def test_a_source_may_post_only_its_regions_events_and_grades(
    tmp_path: Path, changed: dict[str, Any], code: str
) -> None:
    narrow = {"name": "fushun", "regions": ["2104"], "events": ["11B*"], "grades": ["orange"]}
    async with town(tmp_path, sources=[narrow]) as it:
        key = await it.key("fushun-key", source="fushun")
        areas = changed.pop("areas", [area(QINGYUAN)])
        refused = await it.posted(cap(it, info(it, *areas, **changed)), key=key)
        assert (refused.status, refused.body["code"]) == (403, code)
        audited = await it.gateway.store.read(lambda tx: tx.chronicle.audited(0))
        assert [(entry["who"], entry["what"]) for entry in audited if entry["what"] == "refused"] == [
            ("fushun-key", "refused")
        ]
        assert await it.metric("alerts_refused_total", reason=code) == 1
        await it.post(cap(it, info(it, area(QINGYUAN))), key=key)


async def test_a_polygon_over_the_border_is_judged_by_the_villages_it_holds(tmp_path: Path) -> None:
    narrow = {"name": "town", "regions": ["210423100"], "events": ["*"], "grades": ["orange"]}
    async with town(tmp_path, sources=[narrow]) as it:
        key = await it.key("town-key", source="town")
        wide = "<polygon>41.8,124.5 42.2,124.5 42.2,125.1 41.8,125.1 41.8,124.5</polygon>"
        assert (await it.posted(cap(it, info(it, area(shape=wide))), key=key)).body["code"] == "region_denied"
        near = "<polygon>42.05,124.8 42.2,124.8 42.2,125.1 42.05,125.1 42.05,124.8</polygon>"
        await it.post(cap(it, info(it, area(shape=near))), key=key)


async def test_who_asks_is_known_first(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        viewer = await it.key("viewer", "viewer")
        assert (await it.posted(warning(it), key="wrong")).status == 401
        assert (await it.posted(warning(it), key=viewer)).status == 403
        assert (await it.read("alerts"))["items"] == []


async def test_a_strict_source_is_refused_what_others_are_warned_of(tmp_path: Path) -> None:
    async with town(tmp_path, sources=[MET, {**MET, "name": "city", "strict": True}]) as it:
        loose = warning(it).replace("+00:00</sent>", "Z</sent>")
        refused = await it.posted(loose, key=await it.key("city", source="city"))
        assert (refused.status, refused.body["code"]) == (422, "strict_source")
        taken = await it.posted(loose, key=await it.key("met", source="met"))
        assert [finding["code"] for finding in taken.body["warnings"]] == ["time_z"]
        assert (await it.alert(taken.body["id"]))["warnings"] == 1


async def test_a_grade_that_needs_approval_waits_for_the_right_person(tmp_path: Path) -> None:
    async with town(tmp_path, sources=[{**MET, "needs_approval": ["red"]}]) as it:
        met, approver, reviewer = (
            await it.key("met", source="met"),
            await it.key("chief", "approver"),
            await it.key("reader", "reviewer"),
        )
        red = cap(it, info(it, area(QINGYUAN), grade="red"))
        alert = await it.post(red, key=met, state="held")
        await it.settled()
        assert it.sent("sms") == []
        assert (await it.act("approve", alert, key=met)).status == 403
        assert (await it.act("approve", alert, key=reviewer)).status == 403
        await it.settled()
        assert it.sent("sms") == []
        done = await it.act("approve", alert, key=approver, note="会商同意")
        assert (done.status, done.body["state"]) == (200, "released")
        await it.expect_sms(phone(1), "红色预警")
        assert (await it.act("approve", alert, key=approver)).status == 409
        assert ("chief", "approved", "会商同意") in [
            (entry["who"], entry["what"], entry["note"]) for entry in (await it.alert(alert))["audit"]
        ]


async def test_a_rejected_alert_is_never_sent(tmp_path: Path) -> None:
    async with town(tmp_path, sources=[{**MET, "needs_approval": ["orange"]}]) as it:
        alert = await it.post(warning(it), key=await it.key("met", source="met"), state="held")
        assert (await it.act("reject", alert, key=await it.key("reader", "reviewer"))).status == 200
        assert (await it.act("approve", alert)).status == 409
        await it.settled()
        assert ((await it.alert(alert))["state"], it.sent("sms")) == ("rejected", [])


async def test_a_name_that_two_districts_bear_is_held_and_never_guessed(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        alert = await it.post(cap(it, info(it, area(desc="铁西区"))), state="held")
        refused = await it.act("approve", alert)
        assert (refused.status, refused.body["code"]) == (409, "unresolved_area")
        await it.settled()
        assert it.sent("sms") == []
        assert (await it.alert(alert))["why"] == "unresolved"
        await it.post(cap(it, info(it, area("210303", desc="铁西区")), identifier="A-2"))
        await it.expect_sms(phone(31))
        await it.settled()
        assert it.reached("sms") == [phone(31)]


async def test_expired_on_arrival_is_kept_answered_with_a_warning_and_not_sent(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        late = cap(it, info(it, area(QINGYUAN), minutes=-1), sent=f"{it.at(minutes=-30)[:19]}+00:00")
        answer = await it.posted(late)
        assert (answer.status, answer.body["state"]) == (202, "stored")
        assert "expired_on_arrival" in [finding["code"] for finding in answer.body["warnings"]]
        again = await it.posted(late)
        assert (again.status, again.body) == (200, answer.body)
        await it.settled()
        assert it.sent("sms") == []


async def test_a_dry_run_says_all_and_does_nothing(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers") as it:
        options: dict[str, Any] = {"data": warning(it).encode(), "headers": {"Content-Type": "application/cap+xml"}}
        answer = await it.ask("POST", "alerts", params={"dry_run": "true"}, **options)
        assert (answer.status, answer.body["would"], answer.body["endpoints"]) == (
            200,
            "released",
            {"sms": 10, "speakers": 2},
        )
        await it.settled()
        assert (it.sent("sms"), (await it.read("alerts"))["items"]) == ([], [])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<?xml version='1.0'?><!DOCTYPE alert [<!ENTITY x 'y'>]><alert/>", 400),
        (b"not xml at all", 400),
        (b"<alert xmlns='urn:example:other'/>", 422),
    ],
)
async def test_hostile_messages_leave_nothing_behind(tmp_path: Path, body: bytes, status: int) -> None:
    async with town(tmp_path) as it:
        answer = await it.posted(body)
        assert (answer.status, bool(answer.body["findings"])) == (status, True)
        assert (await it.read("alerts"))["items"] == []


async def test_attachments_of_a_zip_are_kept_and_never_sent(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("A-1.xml", warning(it))
            archive.writestr("A-1_P_01.jpg", b"\xff\xd8 scan of the approval form")
        answer = await it.posted(packed.getvalue(), kind="application/zip")
        assert answer.status == 202
        kept = (await it.alert(answer.body["id"]))["attachments"]
        assert [(each["name"], each["size"]) for each in kept] == [("A-1_P_01.jpg", 28)]
        assert all("scan" not in text for text in [await it.expect_sms(phone(1))])
        assert (await it.posted(warning(it))).body["id"] == answer.body["id"]


async def test_a_file_in_the_inbox_and_a_post_are_one_alert_and_the_file_is_acknowledged(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    async with town(tmp_path, sources=[{**MET, "inbox": str(inbox)}]) as it:
        await it.until((inbox / "done").is_dir, "the inbox")
        (inbox / "A-1.xml").write_text(warning(it))
        await it.expect_sms(phone(1))
        await it.until((inbox / "A-1_ACK.XML").exists, "the acknowledgement")
        rows = etree.fromstring((inbox / "A-1_ACK.XML").read_bytes()).find("data/rows")
        assert rows is not None
        assert rows.findtext("status") == "0"
        await it.until((inbox / "done" / "A-1.xml").exists, "the file put away")
        assert (await it.posted(warning(it), key=await it.key("met", source="met"))).status == 200
        (inbox / "bad.xml").write_text("<alert/>")
        await it.until((inbox / "refused" / "bad.xml").exists, "the refused file")
        refused = etree.fromstring((inbox / "bad_ACK.XML").read_bytes()).find("data/rows")
        assert refused is not None
        assert (refused.findtext("status"), refused.findtext("error_code")) == ("1", "namespace_unknown")
        await it.settled()
        assert it.reached("sms") == [phone(number) for number in range(1, 11)]


async def test_a_national_message_is_taken_and_its_methods_limit_the_first_dispatch(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers", "pager") as it:
        alert = await it.post(national(it, "SMS"))
        await it.expect_sms(phone(1), "暴雨橙色预警")
        await it.settled()
        assert it.sent("speakers") + it.sent("pager") == []
        plan = (await it.alert(alert))["plan"]
        assert (plan["first"], plan["reserve"]) == (["sms"], ["speakers", "pager"])
        assert (await it.alert(alert))["sender"] == "21040041600000"


async def test_a_source_whose_methods_only_hint_is_carried_by_the_plan(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers", sources=[{**MET, "methods": "hint"}]) as it:
        await it.post(national(it, "SMS"), key=await it.key("met", source="met"))
        await it.expect_sms(phone(1))
        await it.expect_loudspeaker("spk-1")


async def test_an_unknown_event_code_is_accepted_and_shown_by_headline(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        strange = info(it, area(YONGLE), event="怪事", code="99Z99", headline="发布怪事橙色预警")
        alert = await it.post(cap(it, strange))
        assert "怪事" in await it.expect_sms(phone(31))
        assert (await it.alert(alert))["headline"] == "发布怪事橙色预警"
