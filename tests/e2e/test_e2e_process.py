"""The real program: `tongluo run` in a process of its own, ended by SIGTERM, its log read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from messages import area, cap, info

from gateway.app.channels import SIMULATORS, plugin
from gateway.model.time import rfc3339
from gateway.testing.hamlet import QINGYUAN, phone, settle
from gateway.testing.town import town


@dataclass
class Run:
    """A running gateway, seen from outside."""

    process: asyncio.subprocess.Process
    url: str
    key: str

    def at(self, **later: float) -> str:
        """A CAP time that much later than now."""
        return rfc3339(int((datetime.now(UTC) + timedelta(**later)).timestamp() * 1000))

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Status and body of one request to the API."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/cap+xml"}
        async with (
            aiohttp.ClientSession(f"{self.url}/api/v1/", headers=headers) as http,
            http.request(method, path, **options) as answer,
        ):
            return answer.status, await answer.json()

    async def post(self, message: str) -> tuple[int, str]:
        """Post a message: the status of the answer, and the alert's id."""
        status, body = await self.ask("POST", "alerts", data=message.encode())
        return status, body["id"]


@asynccontextmanager
async def running(folder: Path, channels: dict[str, Any]) -> AsyncIterator[Run]:
    """`tongluo run` on a free port; killed at the end if it still lives."""
    config = folder / "tongluo.yaml"
    speech = {"speech": {"engine": "none"}}
    config.write_text(yaml.safe_dump({**settle(folder, "http://127.0.0.1:9/"), "channels": channels, **speech}))
    data = folder / "data"
    command = [sys.executable, "-m", "gateway", "run", "--config", str(config), "--data", str(data), "--port", "0"]
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("listening http://127.0.0.1:"), (line, (folder / "log").read_text())
        yield Run(process, line.split()[1], (data / "admin.key").read_text().strip())
    finally:
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()


async def ended(run: Run, patience: float = 10.0) -> tuple[int, float]:
    """Exit code after SIGTERM, and how long it took."""
    started = time.monotonic()
    run.process.terminate()
    async with asyncio.timeout(patience):
        code = await run.process.wait()
    print("ENDED", time.monotonic() - started)
    return code, time.monotonic() - started


@pytest.mark.parametrize("faults", ["blackhole", "slow=1"])
async def test_sigterm_drains_within_ten_seconds_and_the_next_start_goes_on(tmp_path: Path, faults: str) -> None:
    async with plugin(SIMULATORS, "sms")(faults=faults, delay=0.05) as centre:
        channels = {"sms": centre.settings()}
        async with running(tmp_path, channels) as run:
            message = cap(run, info(run, area(QINGYUAN)))
            status, alert = await run.post(message)
            assert status == 202
            await _on_the_wire(run, alert)
            async with half_a_request(run):
                assert (await ended(run))[0] == 0
        centre.set_faults("")
        async with running(tmp_path, channels) as run:
            assert await run.post(message) == (200, alert)
            await _all_arrived(centre)
            assert (await ended(run))[0] == 0
    numbers = [item["address"] for item in centre.received]
    assert sorted(numbers) == [phone(number) for number in range(1, 11)]
    lines = (tmp_path / "log").read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert not [line for line in lines if "Traceback" in line]
    assert not [line for line in lines for number in set(numbers) if number in line]


@asynccontextmanager
async def half_a_request(run: Run) -> AsyncIterator[None]:
    """A client that has sent half of its message and says no more."""
    host, port = run.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/v1/alerts HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {run.key}\r\n"
    writer.write(f"{head}Content-Type: text/xml\r\nContent-Length: 1000\r\n\r\n<alert".encode())
    await writer.drain()
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def _on_the_wire(run: Run, alert: str) -> None:
    async with asyncio.timeout(20):
        while not (await run.ask("GET", f"alerts/{alert}/deliveries?state=sending"))[1]["items"]:
            await asyncio.sleep(0.02)


async def _all_arrived(centre: Any) -> None:
    async with asyncio.timeout(20):
        while len({item["address"] for item in centre.received}) < 10:
            await asyncio.sleep(0.02)


async def test_a_second_gateway_on_the_same_data_refuses_in_plain_words(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        command = [sys.executable, "-m", "gateway", "run", "--data", str(it.gateway.data), "--port", "0"]
        pipe = asyncio.subprocess.PIPE
        second = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, cwd=tmp_path)
        async with asyncio.timeout(30):
            said = (await second.communicate())[1].decode()
        assert second.returncode == 1
        assert "another Tongluo is running" in said
        assert "Traceback" not in said
