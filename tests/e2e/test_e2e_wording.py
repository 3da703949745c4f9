"""The sender's words on every wire: data, never a template; no control character; nothing lost without a flag."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from messages import area, cap, info, national

from gateway.testing.hamlet import NANSHAN, QINGYUAN, phone
from gateway.testing.town import town

ALL = ("sms", "speakers", "wechat", "pager", "broadcast")


async def test_what_a_sender_writes_is_never_a_template(tmp_path: Path) -> None:
    async with town(tmp_path, *ALL) as it:
        written = "{{7*7}}{% raw %}"
        await it.post(cap(it, info(it, area(QINGYUAN), description=f"雨情{written}。", instruction=f"请{written}")))
        for name in ("sms", "pager", "broadcast"):
            assert "{{7*7}}" in await it.expect(name)
        assert "{{七*七}}" in await it.expect("speakers")
        await it.expect("wechat")
        await it.settled()
        assert all("49" not in text.replace(phone(4), "") for name in ALL for text in it.sent(name))


async def test_no_control_or_bidi_character_leaves(tmp_path: Path) -> None:
    async with town(tmp_path, *ALL) as it:
        hidden = "大\u202e雨\u200b将\u2066至\u0085"
        await it.post(cap(it, info(it, area(QINGYUAN), description=hidden + "。", instruction="快\u202d走\r\n开")))
        for name in ALL:
            await it.expect(name)
        await it.settled()
        for name in ALL:
            for text in it.sent(name):
                assert not [char for char in text if unicodedata.category(char) in ("Cc", "Cf") and char != "\n"], (
                    name,
                    text,
                )


async def test_a_long_text_is_shortened_and_keeps_what_saves_lives(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        alert = await it.post(cap(it, info(it, area(NANSHAN), description="详细的雨情分析。" * 200)))
        text = await it.expect_sms(phone(1))
        assert len(text) <= 3 * 67
        assert all(word in text for word in ("暴雨", "橙色", "请远离河道"))
        assert (await it.alert(alert))["flags"] != []


async def test_a_message_without_expiry_lasts_a_day_and_no_longer(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        alert = await it.post(cap(it, info(it, area(NANSHAN), minutes=None)))
        await it.expect_sms(phone(1))
        await it.forward(hours=23)
        assert (await it.alert(alert))["state"] == "released"
        await it.forward(hours=2)
        await it.expect_state(alert, "expired")


async def test_a_national_cancel_names_the_first_message_and_lifts_it(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers") as it:
        alert = await it.post(national(it, "SMS", "SPEAKER"))
        await it.expect_loudspeaker("spk-1")
        await it.settled()
        await it.forward(minutes=5)
        first = "21040041600000_20260722143000"
        cancel = (
            national(it, "SMS", "SPEAKER")
            .replace(f"<identifier>{first}", "<identifier>21040041600000_20260722144000")
            .replace("<msgType>Alert", "<msgType>Cancel")
            .replace("<references/>", f"<references>{first}</references>")
        )
        await it.post(cancel)
        await it.expect_state(alert, "cancelled")
        await it.expect_sms(phone(1), "解除")
        await it.expect_loudspeaker("spk-1", "解除")
