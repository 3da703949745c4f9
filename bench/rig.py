"""The rig of the benchmarks: a far side in a process of its own, a gateway in another, and made-up people in files."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TextIO

import aiohttp
import yaml

from channels.sms.simulator import SmsCentre
from deploy.sample.make_sample import load_regions, load_rows
from gateway.reference.directory import write_directory
from gateway.reference.regions import write_regions

COUNTY = "219901"


def _far_side(pipe: Connection, faults: str) -> None:
    async def serve() -> None:
        async with SmsCentre(keep=False, faults=faults, delay=0.02) as centre:
            pipe.send(centre.settings())
            await asyncio.to_thread(pipe.recv)

    asyncio.run(serve())


@contextmanager
def far_side(faults: str = "unordered") -> Iterator[dict[str, Any]]:
    """A message centre in another process that keeps nothing; yields the settings that reach it."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_far_side, args=(theirs, faults), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("end")
        process.join(10)


@dataclass(slots=True)
class Running:
    """A gateway in another process."""

    url: str
    key: str
    process: subprocess.Popen[str]

    def peak_memory(self) -> int:
        """Its largest resident size so far, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024

    def session(self) -> aiohttp.ClientSession:
        """An HTTP session with the administrator's key."""
        return aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.key}"})


@asynccontextmanager
async def gateway(folder: Path, recipients: int, villages: int, sms: dict[str, Any]) -> AsyncIterator[Running]:
    """`tongluo run` on made-up people with an `sms` channel."""
    config = await asyncio.to_thread(_configuration, folder, recipients, villages, sms)
    log = (folder / "gateway.log").open("w")
    command = [
        sys.executable,
        "-m",
        "gateway",
        "run",
        "--config",
        str(config),
        "--data",
        str(folder / "data"),
        "--port",
        "0",
    ]
    process = await asyncio.to_thread(_started, command, log)
    assert process.stdout is not None
    try:
        line = await asyncio.to_thread(process.stdout.readline)
        if not line.startswith("listening "):
            raise SystemExit((folder / "gateway.log").read_text()[-2000:])
        key = (folder / "data" / "admin.key").read_text().strip()
        yield Running(line.split()[1], key, process)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 20)
        process.stdout.close()
        log.close()


def _started(command: list[str], log: TextIO) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)


def _configuration(folder: Path, recipients: int, villages: int, sms: dict[str, Any]) -> Path:
    regions = load_regions(villages)
    (folder / "regions.csv").write_text("".join(write_regions(regions)), encoding="utf-8")
    with (folder / "directory.csv").open("w", encoding="utf-8") as file:
        file.writelines(write_directory(load_rows(recipients, regions)))
    settings = {
        "regions": {"files": [str(folder / "regions.csv")]},
        "directory": {"files": [str(folder / "directory.csv")]},
        "channels": {"sms": sms | {"window": 500}},
        "speech": {"engine": "none"},
        "http": {"requests_per_minute": 1_000_000},
    }
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump(settings, allow_unicode=True))
    return path


def alert(number: int, code: str = COUNTY, severity: str = "Extreme", words: int = 1) -> bytes:
    """A CAP message for the made-up county or one of its villages; `words` makes it longer."""
    now = datetime.now(UTC).replace(microsecond=0)
    sent, expires = now.isoformat(), (now + timedelta(hours=2)).isoformat()
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>BENCH-{os.getpid()}-{number}-{time.time_ns()}</identifier>
<sender>bench</sender><sent>{sent}</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope>
<info><language>zh-CN</language><category>Met</category><event>暴雨</event><urgency>Immediate</urgency><severity>{severity}</severity>
<certainty>Likely</certainty><eventCode><valueName>CN-12379</valueName><value>11B03</value></eventCode><expires>{expires}</expires>
<headline>示例县气象台发布暴雨红色预警</headline><description>{"预计未来三小时有强降雨。" * words}</description>
<instruction>请转移。</instruction><area><areaDesc>示例县</areaDesc><geocode><valueName>CN-GB2260</valueName><value>{code}</value></geocode>
</area></info></alert>""".encode()
