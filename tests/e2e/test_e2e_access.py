"""Who may see and do what: scopes by region, lists and their filters, pages of endpoints."""

from __future__ import annotations

from pathlib import Path

from messages import area, cap, info

from gateway.model.time import rfc3339
from gateway.testing.hamlet import JIANNONG, NANSHAN, QINGYUAN, YONGLE, phone
from gateway.testing.town import town


async def test_another_county_sees_and_ends_nothing_of_ours(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN))))
        await it.expect_sms(phone(1))
        theirs, ours = (
            await it.key("tiexi", "approver", regions=["210106"]),
            await it.key("qingyuan", "approver", regions=["210423"]),
        )
        for path in ("", "/coverage", "/deliveries", "/cap", "/log", "/events", "/report"):
            assert (await it.ask("GET", f"alerts/{alert}{path}", key=theirs)).status == 404, path
        for deed in ("stop", "cancel"):
            assert (await it.act(deed, alert, key=theirs)).status == 404
        assert (await it.ask("GET", "alerts", key=theirs)).body["items"] == []
        assert len((await it.ask("GET", "alerts", key=ours)).body["items"]) == 1
        assert (await it.act("cancel", alert, key=ours)).status == 200


async def test_the_list_finds_by_state_region_identity_and_time(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        old = await it.post(cap(it, info(it, area(JIANNONG), minutes=5), identifier="L-1"))
        await it.forward(minutes=6)
        await it.expect_state(old, "expired")
        since = rfc3339(it.now)
        new = await it.post(cap(it, info(it, area(NANSHAN)), identifier="L-2"))
        held = await it.post(cap(it, info(it, area(desc="某地")), identifier="L-3"), state="held")

        async def found(**filters: str) -> list[str]:
            return [item["id"] for item in (await it.read("alerts", **filters))["items"]]

        assert await found() == [held, new, old]
        assert await found(state="active") == [new]
        assert await found(state="held") == [held]
        assert await found(region=NANSHAN) == await found(region=QINGYUAN) == await found(region="210423100") == [new]
        assert await found(region=YONGLE) == []
        assert await found(identifier="L-1", sender="fushun@met.example") == [old]
        assert await found(since=since) == [held, new]
        first = await it.read("alerts", limit="2")
        assert [item["id"] for item in (await it.read("alerts", limit="2", cursor=first["next"]))["items"]] == [old]


async def test_endpoints_come_in_pages_and_by_filter(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "wechat") as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN))))
        await it.expect_coverage(alert, lo=10)
        seen: list[str] = []
        cursor = ""
        while True:
            page = await it.read(f"alerts/{alert}/deliveries", limit="5", cursor=cursor)
            seen += [item["endpoint"] for item in page["items"]]
            if page["next"] is None:
                break
            cursor = page["next"]
        assert sorted(seen) == sorted([*(f"sms-{number}" for number in range(1, 11)), "wx-7", "wx-8"])
        assert len(await it.deliveries(alert, channel="wechat")) == 2
        assert len(await it.deliveries(alert, region=NANSHAN)) == 6
        assert len(await it.deliveries(alert, state="done")) == 12
        assert await it.deliveries(alert, state="dead") == []
