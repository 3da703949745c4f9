"""What is no warning never reaches the public: enforced by status, scope and msgType (CAP 1.2 §3.2.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from messages import area, cap, info, reference

from gateway.testing.hamlet import QINGYUAN, phone
from gateway.testing.town import SINKS, Town, town

ALL = ("sms", "speakers", "wechat", "pager", "broadcast")


def taken(it: Town) -> dict[str, list[str]]:
    """Who was called, by channel; the platform's own URL is its sink."""
    return {name: it.reached(name) for name in ALL if it.reached(name)}


@pytest.mark.parametrize("status", ["Test", "System"])
async def test_a_test_goes_to_the_sinks_and_nobody_else(tmp_path: Path, status: str) -> None:
    async with town(tmp_path, *ALL) as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN), grade="red"), status=status))
        for name, sink in SINKS.items():
            assert "测试" in await it.expect(name, sink)
        await it.expect("broadcast")
        await it.settled()
        assert taken(it) == {
            **{name: [sink] for name, sink in SINKS.items()},
            "broadcast": [it.far["broadcast"].address],
        }
        assert (await it.coverage(alert))["region"]["target"] is None


async def test_an_exercise_reaches_the_drill_list_alone_and_says_so(tmp_path: Path) -> None:
    async with town(tmp_path, *ALL) as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN), grade="red"), status="Exercise"))
        await it.expect_sms(phone(6))
        await it.expect_loudspeaker("spk-2")
        await it.settled()
        assert taken(it) == {"sms": [phone(6)], "speakers": ["spk-2"]}
        assert all(text.startswith("【演练】") for name in ("sms", "speakers") for text in it.sent(name))
        covered = (await it.expect_coverage(alert, lo=1))["target"]
        assert covered == 13  # one registered resident and the 12 people around the loudspeaker


async def test_what_is_not_for_the_public_is_stored_and_sends_nothing(tmp_path: Path) -> None:
    kinds: list[tuple[dict[str, str], str]] = [
        ({"status": "Draft"}, "draft"),
        ({"scope": "Private"}, "scope"),
        ({"scope": "Restricted"}, "scope"),
        ({"msg_type": "Ack"}, "ack"),
        ({"msg_type": "Error"}, "error"),
    ]
    async with town(tmp_path, *ALL) as it:
        for number, (changed, why) in enumerate(kinds):
            named: dict[str, Any] = {"identifier": f"N-{number}", "references": [reference(it, "A-0")], **changed}
            alert = await it.post(cap(it, info(it, area(QINGYUAN), grade="red"), **named), state="stored")
            await it.settled()
            assert taken(it) == {}
            assert (await it.alert(alert))["why"] == why


async def test_a_sandbox_key_makes_a_test_of_everything(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers") as it:
        sandbox = await it.key("trial", source="met", sandbox=True)
        alert = await it.post(cap(it, info(it, area(QINGYUAN), grade="red")), key=sandbox)
        await it.expect_sms(SINKS["sms"])
        await it.expect_loudspeaker(SINKS["speakers"])
        await it.settled()
        assert it.reached("sms") + it.reached("speakers") == [SINKS["sms"], SINKS["speakers"]]
        assert (await it.alert(alert))["status"] == "Test"
        await it.restart()
        assert (await it.alert(alert))["status"] == "Test"


async def test_what_a_sandbox_key_tried_out_is_not_taken_for_the_warning_itself(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        message = cap(it, info(it, area(QINGYUAN)))
        await it.post(message, key=await it.key("trial", source="met", sandbox=True))
        refused = await it.posted(message)
        assert (refused.status, refused.body["findings"][0]["xpath"]) == (409, "/alert/status")


async def test_a_test_cancel_does_not_end_a_warning(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN))))
        await it.expect_sms(phone(1))
        cancel = cap(it, identifier="C-1", msg_type="Cancel", status="Test", references=[reference(it)])
        answer = await it.posted(cancel)
        assert answer.status == 202
        await it.settled()
        assert (await it.alert(alert))["state"] == "released"
        assert all("解除" not in text for text in it.sent("sms", phone(1)))
