"""What the SMS tests share: a channel that is really connected, and a gateway's end that only keeps what it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from channels.sms import Sms
from channels.sms.simulator import SmsCentre
from gateway.channel import Batch, Cause, Context, Endpoint, Instant, Level, Message, Reason, Receipt

LONG = "暴雨红色预警：请低洼地区居民立即转移到高处，带好老人和孩子。" * 4
"""Two parts of UCS-2."""


class Wall:
    """The wall clock, which a test may set forward."""

    def __init__(self) -> None:
        self.ahead = 0

    def now(self) -> Instant:
        return time.time_ns() // 1_000_000 + self.ahead

    async def until(self, at: Instant) -> None:
        await asyncio.sleep(max(0, at - self.now()) / 1000)


class Rig:
    """The gateway's end: `journal` is all that was reported; while `broken`, nothing can be stored, and
    while `gate` is closed, storing takes its time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, Wall()
        self.journal: list[Receipt] = []
        self.broken = False
        self.refusals = self.waiting = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def report(self, receipts: Sequence[Receipt]) -> None:
        self.waiting += 1
        await self.gate.wait()
        self.waiting -= 1
        if self.broken:
            self.refusals += 1
            raise OSError("no space left on device")
        self.journal.extend(receipts)

    def levels(self) -> dict[str, Level]:
        """The highest level told of every far id, where failed is beaten by delivered."""
        best: dict[str, Level] = {}
        for receipt in self.journal:
            best[receipt.far_id] = max(best.get(receipt.far_id, Level.FAILED), receipt.level)
        return best

    def reasons(self, far_id: str) -> set[Reason]:
        return {receipt.reason for receipt in self.journal if receipt.far_id == far_id}

    @asynccontextmanager
    async def sms(self, far: SmsCentre | dict[str, Any], **settings: Any) -> AsyncIterator[Sms]:
        """A channel on this rig, connected to `far` (a simulator, or plain settings)."""
        base = far if isinstance(far, dict) else far.settings()
        config = Sms.Config.model_validate({"type": "sms", **base, **settings})
        async with aiohttp.ClientSession() as http:
            log = structlog.get_logger()
            context = Context("sms", http, self.report, log, self.clock, self.folder)
            async with Sms(config, context) as channel:
                yield channel


def batch(count: int = 3, text: str = "暴雨红色预警", first: int = 0, dispatch: str = "d1", **changes: Any) -> Batch:
    """A batch for `count` impossible phone numbers."""
    endpoints = [Endpoint(ordinal, f"1000{ordinal:07d}") for ordinal in range(first, first + count)]
    values: dict[str, Any] = {
        "alert": "alert-1",
        "identifier": "id-1",
        "dispatch": dispatch,
        "channel": "sms",
        "cause": Cause.RELEASE,
        "message": Message("zh-CN", text),
        "endpoints": endpoints,
        "expires_at": time.time_ns() // 1_000_000 + 3_600_000,
    }
    return Batch(**{**values, **changes})


async def eventually(true: Callable[[], bool], within: float = 10.0) -> None:
    """Wait until something becomes true; a test that needs this fails by name if it never does."""
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.01)
