"""Coverage as the API shows it equals the pure model over roster and journal, to the digit, whatever came in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from ledger import evaluated, live
from messages import area, cap, info

from gateway.model.time import rfc3339
from gateway.ports.desk import Json
from gateway.testing.hamlet import BEIHE, JIANNONG, NANSHAN, QINGYUAN, phone
from gateway.testing.town import Town, town

ALL = ("sms", "speakers", "wechat", "pager", "broadcast")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_live_fold_is_the_pure_evaluation_to_the_digit(tmp_path: Path, seed: int) -> None:
    far: dict[str, dict[str, Any]] = {
        "sms": {"fail_share": 0.3, "silent_share": 0.3, "seed": seed, "faults": "double=0.5,unordered,early=0.3"},
        "speakers": {"faults": "silent" if seed == 1 else "double" if seed == 2 else "broken"},
        "wechat": {"faults": "blocked=0.5" if seed == 2 else "double"},
        "broadcast": {"faults": "fail" if seed == 3 else ""},
    }
    async with town(tmp_path, *ALL, far=far) as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN, JIANNONG))))
        await it.expect("broadcast")
        await it.settled()
        await _same(it, alert)
        await it.restart()
        await it.forward(minutes=3)
        await _same(it, alert)
        row = await it.gateway.store.read(lambda tx: tx.alerts.by_id(alert))
        assert row is not None
        before = await live(it, alert)
        assert 0 < before[QINGYUAN][1] < before[QINGYUAN][3] < 1
        await it.gateway.folder.rebuild(row.n)
        assert await live(it, alert) == before
        await it.act("cancel", alert)
        await it.forward(minutes=3)
        await _same(it, alert)


async def _same(it: Town, alert: str) -> None:
    """Equal, once what is on the wire has been folded."""

    async def equal() -> bool:
        await it.settled()
        return await live(it, alert) == await evaluated(it, alert)

    try:
        await it.until(equal, "equal figures")
    except AssertionError:
        assert await live(it, alert) == await evaluated(it, alert)


async def test_the_past_is_shown_as_it_was_and_as_it_was_known(tmp_path: Path) -> None:
    async with town(tmp_path, "speakers", "wechat", far={"wechat": {"faults": "busy"}}) as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN))))
        await it.expect_coverage(alert, BEIHE, lo=0)
        await it.expect_loudspeaker("spk-2")
        await it.settled()
        early = it.now
        await it.forward(seconds=100)
        it.far["wechat"].set_faults("")
        await it.until(lambda: _due(it), "the messages to leave")
        await it.expect_coverage(alert, BEIHE, lo=2)
        then = rfc3339(early + 50_000)
        past = await it.coverage(alert, BEIHE, as_of=then)
        known = await it.coverage(alert, BEIHE, known_at=then)
        assert (past["region"]["people"]["lo"], past["as_of"]) == (0, then)
        assert (known["region"]["people"]["lo"], known["known_at"]) == (0, then)
        assert await live(it, alert, as_of=then) == await evaluated(it, alert, as_of=early + 50_000)
        assert (await it.coverage(alert, BEIHE, as_of=rfc3339(it.now)))["region"]["people"]["lo"] == 2
        drawn = await it.read(f"alerts/{alert}/curve", region=BEIHE)
        assert (drawn["lo"][0], drawn["lo"][-1], drawn["lo"] == sorted(drawn["lo"])) == (0, 0.1, True)


async def _due(it: Town) -> bool:
    it.clock.forward(1)
    return bool(it.far["wechat"].count == 2)


async def test_coverage_of_nobody_is_no_number(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN))))
        await it.expect_coverage(alert, lo=10)
        untargeted = (await it.coverage(alert, JIANNONG))["region"]
        assert (untargeted["lo"], untargeted["hi"], untargeted["status"]) == (None, None, "no_target")


@asynccontextmanager
async def stream(
    it: Town, alert: str, after: str = "", **query: str
) -> AsyncIterator[AsyncIterator[tuple[int, str, Json]]]:
    """The frames of an alert's event stream."""
    headers = {"Authorization": f"Bearer {it.admin}", **({"Last-Event-ID": after} if after else {})}
    url = f"{it.gateway.url}/api/v1/alerts/{alert}/events"
    async with it.http.get(url, headers=headers, params=query, timeout=aiohttp.ClientTimeout(sock_read=20)) as answer:
        assert answer.content_type == "text/event-stream"
        yield _frames(answer.content)


async def _frames(content: aiohttp.StreamReader) -> AsyncIterator[tuple[int, str, Json]]:
    frame: dict[str, str] = {}
    async for raw in content:
        name, _, value = raw.decode().rstrip("\n").partition(": ")
        if name and value:
            frame[name] = value
        elif not name and "data" in frame:
            yield int(frame["id"]), frame["event"], json.loads(frame["data"])
            frame = {}


async def test_a_page_sees_coverage_rise_and_resumes_where_it_was_cut_off(tmp_path: Path) -> None:
    async with town(tmp_path, "speakers", "wechat", far={"wechat": {"faults": "busy"}}) as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN))))
        await it.expect_loudspeaker("spk-2")
        await it.settled()
        last, shown = 0, dict[str, Any]()
        async with asyncio.timeout(20), stream(it, alert, region=QINGYUAN) as frames:
            async for id, name, payload in frames:
                last = id
                if name == "coverage":
                    shown |= {region["id"]: region for region in payload["changed"]}
                    if not it.far["wechat"].count:
                        it.far["wechat"].set_faults("")
                        await it.until(lambda: _due(it), "the messages to leave")
                    elif shown[QINGYUAN]["people"]["lo"] == 2:
                        break
        assert {"210423100", "210423101"} <= shown.keys() - {NANSHAN}
        await it.act("stop", alert, note="看够了")
        async with asyncio.timeout(20), stream(it, alert, after=str(last), region=QINGYUAN) as frames:
            seen = [await anext(frames) for _ in range(2)]
        assert [(name, payload.get("state")) for _, name, payload in seen][:1] == [("alert", "stopped")]
        assert seen[0][0] > last
        assert seen[1][1] == "coverage"
        assert seen[1][2]["changed"][0]["people"]["lo"] == 2


async def test_metrics_say_what_happened(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers", far={"sms": {"fail_share": 0.4}}) as it:
        for name in ("unmatched_receipts_total", "duplicates_total", "dead_letters", "queue_depth", "channel_stalled"):
            assert await it.metric(name, channel="sms") == 0, name
        alert = await it.post(cap(it, info(it, area(QINGYUAN))), key=await it.key("met", source="met"))
        await it.expect_sms(phone(10))
        await it.until(lambda: it.far["sms"].pending == 0, "all receipts")
        await it.settled()
        await it.forward(seconds=6)
        figures = {each["channel"]: each for each in await it.read(f"alerts/{alert}/channels")}["sms"]
        failed = sum(figures["failed"].values())
        assert (figures["receipts"] + failed, failed > 0) == (10, True)
        assert await it.metric("alerts_accepted_total", source="met", status="Actual", msg_type="Alert") == 1
        assert await it.metric("receipts_total", channel="sms", level="delivered") == figures["receipts"]
        assert await it.metric("batches_total", channel="sms", outcome="done") == 1
        assert await it.metric("handoff_seconds_count", channel="sms") == 1
        assert await it.metric("alert_info", alert=alert, grade="orange", source="met") == 1
        await it.until(lambda: _told(it, alert), "the gauges to agree with the coverage shown")
        assert await it.metric("channel_up", channel="sms") == 1
        await it.forward(hours=2)
        await it.until(lambda: _gone(it, alert), "the series of an ended alert to go")


async def _told(it: Town, alert: str) -> bool:
    it.clock.forward(5)
    shown = {
        bound: await it.metric("coverage_ratio", alert=alert, region=QINGYUAN, bound=bound)
        for bound in ("lo", "est", "hi")
    }
    county = (await it.coverage(alert, QINGYUAN))["region"]
    return bool(shown == {bound: county[bound] for bound in shown} and shown["lo"])


async def _gone(it: Town, alert: str) -> bool:
    it.clock.forward(5)
    return await it.metric("coverage_ratio", alert=alert) is None and await it.metric("alert_info", alert=alert) is None


async def test_readyz_names_every_part(tmp_path: Path) -> None:
    async with town(tmp_path, "sms", "speakers") as it:
        answer = await it.ask("GET", "/readyz")
        assert (answer.status, answer.body["ready"]) == (200, True)
        assert set(answer.body["parts"]) >= {"store", "queue", "speech", "regions", "channels"}
        assert set(answer.body["parts"]["channels"]) == {"sms", "speakers"}
        assert answer.body["parts"]["speech"]["ok"] is False  # the town has no engine, and says so
