"""The main job: a CAP warning goes in, five kinds of channels carry it, coverage per region comes out, and it ends."""

from __future__ import annotations

from pathlib import Path

from messages import area, cap, info

from gateway.testing.hamlet import BEIHE, CANGSHI, NANSHAN, QINGYUAN, phone
from gateway.testing.town import town


async def test_a_warning_goes_out_by_all_channels_and_expires(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers", "wechat", "pager", "broadcast") as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN), minutes=10)))
        await it.expect_sms(phone(1), "暴雨橙色预警")
        await it.expect_loudspeaker("spk-1", "暴雨橙色预警")
        await it.expect("wechat", "o-7", "暴雨橙色预警")
        await it.expect("pager", "pager-1", "暴雨橙色预警")
        await it.expect("broadcast", text="暴雨")
        nanshan = await it.expect_coverage(alert, NANSHAN, lo=6)
        assert (nanshan["target"], nanshan["status"]) == (10, "possible")
        await it.forward(minutes=10)
        await it.expect_state(alert, "expired")
        assert it.reached("sms") == [phone(number) for number in range(1, 11)]
        shown = {child["name"]: child for child in (await it.coverage(alert, QINGYUAN, depth="2"))["children"]}
        assert shown["苍石村"]["lo"] == 0
        assert shown["苍石村"]["blind_spots"] == 1
        assert {NANSHAN, BEIHE, CANGSHI} <= {child["id"] for child in shown.values()}
