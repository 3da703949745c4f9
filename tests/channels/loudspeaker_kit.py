"""What the loudspeaker tests share: a clock moved by hand, a notebook that keeps receipts, a channel, batches, Mosquitto."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import aiomqtt
import pytest
import structlog

from channels.loudspeaker import Loudspeaker
from gateway.channel import Audio, Batch, Cause, Context, Endpoint, Instant, Level, Message, Receipt

NOON = 1_784_692_800_000
HOUR = 3_600_000
VILLAGE = "210106001001"
TEXT = "暴雨红色预警。请低洼地区群众立即转移。"
NAME = "village-speakers"
MOSQUITTO = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")


@dataclass
class HandClock:
    """Stands still until it is moved."""

    at: Instant = NOON

    def now(self) -> Instant:
        return self.at

    async def until(self, at: Instant) -> None:
        self.at = max(self.at, at)


@dataclass
class Notebook:
    """The journal's place: keeps what is reported, unless it is told to fail."""

    receipts: list[Receipt] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    failures: int = 0
    failed: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def __call__(self, receipts: Sequence[Receipt]) -> None:
        await self.open.wait()
        if self.failures:
            self.failures -= 1
            self.failed += 1
            raise OSError("the disk is full")
        self.receipts.extend(receipts)
        self.groups.append(len(receipts))

    def of(self, key: str) -> list[Level]:
        return [receipt.level for receipt in self.receipts if receipt.key == key]

    def at(self, level: Level) -> list[str]:
        return sorted({receipt.key for receipt in self.receipts if receipt.level is level})


@contextlib.asynccontextmanager
async def opened(
    settings: dict[str, Any], folder: Path, clock: HandClock, book: Notebook
) -> AsyncIterator[Loudspeaker]:
    async with aiohttp.ClientSession() as http:
        context = Context(NAME, http, book, structlog.get_logger(), clock, folder)
        async with Loudspeaker(Loudspeaker.Config(**settings), context) as channel:
            yield channel


def batch(
    *addresses: str, dispatch: str = "d1", region: str = VILLAGE, audio: Audio | None = None, **more: Any
) -> Batch:
    plain = Batch(
        alert="a1",
        identifier="21010641600000_20260722120000",
        dispatch=dispatch,
        channel=NAME,
        cause=Cause.RELEASE,
        message=Message("zh-CN", TEXT, audio=audio),
        endpoints=[Endpoint(number, address, region) for number, address in enumerate(addresses)],
        expires_at=NOON + HOUR,
        grade="red",
    )
    return replace(plain, **more)


def key(number: int, dispatch: str = "d1") -> str:
    return f"{dispatch}.{NAME}.{number}"


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for something that has to come; only its absence takes long."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def stranger(port: int, **more: Any) -> AsyncIterator[aiomqtt.Client]:
    """Somebody else at the broker."""
    async with aiomqtt.Client("127.0.0.1", port, **more) as client:
        yield client


@contextlib.asynccontextmanager
async def overheard(port: int, pattern: str, **more: Any) -> AsyncIterator[list[tuple[str, bytes]]]:
    """Everything that is published under `pattern`, as (topic, payload)."""
    heard: list[tuple[str, bytes]] = []

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            heard.append((message.topic.value, bytes(message.payload)))  # noqa: PERF401 it never ends

    async with stranger(port, **more) as client:
        await client.subscribe(pattern, qos=1)
        listening = asyncio.create_task(listen(client))
        try:
            yield heard
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Mosquitto:
    """A private broker; `max_queued_messages 0`, because with its default it loses what is beyond 1,000 without a word."""

    port: int
    folder: Path
    lines: tuple[str, ...] = ("allow_anonymous true",)
    process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Returns when it listens."""
        self.process = await asyncio.to_thread(self._spawn)
        async with asyncio.timeout(10):
            while not _listens(self.port):
                await asyncio.sleep(0.02)

    def _spawn(self) -> subprocess.Popen[bytes]:
        conf = self.folder / "mosquitto.conf"
        fixed = (f"listener {self.port} 127.0.0.1", "persistence false", "max_queued_messages 0")
        conf.write_text("\n".join((*fixed, *self.lines)) + "\n", encoding="utf-8")
        assert MOSQUITTO
        return subprocess.Popen([MOSQUITTO, "-c", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def signal(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


needs_mosquitto = pytest.mark.skipif(
    MOSQUITTO is None and os.environ.get("STRICT") != "1",
    reason="mosquitto is not installed (Debian: apt install mosquitto)",
)


@contextlib.contextmanager
def public_folder() -> Iterator[Path]:
    """A folder that Mosquitto can read: started by root it drops to a user of its own."""
    with tempfile.TemporaryDirectory(prefix="tongluo-mosquitto-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
