"""From a channel that stops to the notice on the duty desk, with a real gateway, Prometheus and Alertmanager: within 60 s of the
stall, and another notice when it is over. Both kinds of stall at once, beside a channel that is well and must not be named.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
import yaml
from watchtower import HOST, Desk, duty_desk, program, running, told, until, watched

from channels.sms.simulator import SmsCentre
from gateway.app.gateway import free_port
from gateway.testing.hamlet import HEADING, NANSHAN, REGIONS, phone

RESIDENTS = 60
"""Enough for the silent kind: it takes 50 hand-overs to call silence a stall."""

ILL = ("stuck", "silent")
CHANNELS = (*ILL, "sound")
RULE = "TongluoChannelStalled"
LIMIT = 60.0
"""Seconds from the stall to the notice."""


@pytest.mark.faults
@pytest.mark.timeout(180)
async def test_a_channel_that_stops_is_told_within_a_minute_and_told_again_when_it_is_over(tmp_path: Path) -> None:
    program("prometheus")
    async with (
        centres() as far,
        gateway(tmp_path, far) as url,
        duty_desk(tmp_path) as desk,
        watched(desk, tmp_path, [url.removeprefix("http://")]),
    ):
        await until(lambda: is_up(desk), "Prometheus to see the gateway", 30)
        far["stuck"].set_faults("blackhole")
        far["silent"].set_faults("silent")
        await post(url, tmp_path, "E-1")
        stalled_at = time.monotonic()
        await until(lambda: len(far["sound"].received) >= RESIDENTS, "everybody to get it by the sound channel", 30)
        told_after = {name: await notice(desk, name, "firing", stalled_at) for name in ILL}
        seconds = await well_formed(url)
        healed_at = time.monotonic()
        for name in ILL:
            far[name].set_faults("")
        await post(url, tmp_path, "E-2")
        over_after = {name: await notice(desk, name, "resolved", healed_at) for name in ILL}
    print(f"told after {told_after} s, over after {over_after} s, /metrics {seconds * 1000:.0f} ms")
    assert {(each.labels["alertname"], each.labels.get("channel")) for each in desk.notices} == {
        (RULE, name) for name in ILL
    }
    assert max(told_after.values()) <= LIMIT


async def notice(desk: Desk, channel: str, status: str, since: float) -> float:
    """Wait for a notice about a channel; returns the seconds it took from `since`."""
    found = await until(
        lambda: desk.first(RULE, status, since, channel=channel),
        lambda: f"a notice that {channel} is {status}; told was {desk.notices}",
        LIMIT,
    )
    assert found.receiver == "duty-page"
    assert channel in found.annotations["summary"]
    return round(float(found.at - since), 1)


async def is_up(desk: Desk) -> bool:
    return 1.0 in (await desk.value('up{job="tongluo"}')).values()


async def well_formed(url: str) -> float:
    """promtool finds nothing to say about the metrics of a running gateway; returns the seconds that they took."""
    async with aiohttp.ClientSession() as http:
        began = time.monotonic()
        async with http.get(f"{url}/metrics") as answer:
            text = await answer.text()
        seconds = time.monotonic() - began
    assert await asyncio.to_thread(told, "promtool", "check", "metrics", given=text) == (0, "")
    return seconds


@asynccontextmanager
async def centres() -> AsyncIterator[dict[str, SmsCentre]]:
    """A message centre for each channel."""
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(SmsCentre(delay=0.2)) for name in CHANNELS}


@asynccontextmanager
async def gateway(folder: Path, far: dict[str, SmsCentre]) -> AsyncIterator[str]:
    """`tongluo run` with a message centre for each channel and the same residents on all of them; its URL."""
    config, port = await asyncio.to_thread(configured, folder, far), free_port(HOST)
    command = [sys.executable, "-m", "gateway", "run", "--config", str(config), "--data", str(folder / "data")]
    async with running([*command, "--port", str(port)], folder / "gateway.log"), aiohttp.ClientSession() as http:
        url = f"http://{HOST}:{port}"
        await until(lambda: is_ready(http, url), "the gateway", 60)
        yield url


async def is_ready(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(f"{url}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def configured(folder: Path, far: dict[str, SmsCentre]) -> Path:
    """Write the gateway's files; returns its settings file."""
    rows = [
        f"{name}-{number},{name},{phone(number)},{NANSHAN},r-{number},1,,\n"
        for name in CHANNELS
        for number in range(1, RESIDENTS + 1)
    ]
    (folder / "regions.csv").write_text(REGIONS, "utf-8")
    (folder / "directory.csv").write_text(HEADING + "".join(rows), "utf-8")
    settings = {
        "regions": {"files": [str(folder / "regions.csv")]},
        "directory": {"files": [str(folder / "directory.csv")]},
        "areas": {"files": []},
        "speech": {"engine": "none"},
        "channels": {name: {**centre.settings(), "sink": phone(9999)} for name, centre in far.items()},
    }
    config = folder / "tongluo.yaml"
    config.write_text(yaml.safe_dump(settings), "utf-8")
    return config


async def post(url: str, folder: Path, identifier: str) -> None:
    """Post an orange warning for the village."""
    now = datetime.now(UTC)
    sent, expires = (at.strftime("%Y-%m-%dT%H:%M:%S+00:00") for at in (now, now + timedelta(hours=1)))
    message = f"""<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>{identifier}</identifier>
    <sender>met@example</sender><sent>{sent}</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope>
    <info><language>zh-CN</language><category>Met</category><event>暴雨</event><urgency>Immediate</urgency><severity>Severe</severity>
    <certainty>Likely</certainty><eventCode><valueName>EVENT-CODE</valueName><value>11B03</value></eventCode>
    <expires>{expires}</expires><headline>暴雨橙色预警</headline><description>大雨。</description><instruction>远离河道。</instruction>
    <area><areaDesc>南山村</areaDesc><geocode><valueName>CN-GB2260</valueName><value>{NANSHAN}</value></geocode></area>
    </info></alert>"""
    key = (await asyncio.to_thread((folder / "data" / "admin.key").read_text)).strip()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/cap+xml"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{url}/api/v1/alerts", data=message.encode()) as answer,
    ):
        assert answer.status == 202, await answer.text()
        assert (await answer.json())["state"] == "released"
