"""What the tests of the HTTP channels share: a batch, a journal that may refuse, a context."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from aiohttp import web

from gateway.channel import Batch, Callback, Cause, Context, Endpoint, Message, Receipt
from gateway.testing.clock import ManualClock

NOON = 1_784_692_800_000  # 2026-07-22T04:00:00Z, noon in Shenyang


class Journal:
    """Takes receipts as the gateway would; `full` makes it refuse as a full disk does."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.blocks = 0
        self.full = False
        self._grew = asyncio.Event()

    async def __call__(self, receipts: Sequence[Receipt]) -> None:
        await asyncio.sleep(0)
        if self.full:
            raise RuntimeError("disk full")
        self.blocks += 1
        self.receipts.extend(receipts)
        self._grew.set()

    async def holds(self, count: int) -> list[Receipt]:
        """The receipts, once there are `count` of them."""
        async with asyncio.timeout(20):
            while len(self.receipts) < count:
                self._grew.clear()
                await self._grew.wait()
        return self.receipts


async def eventually(condition: Callable[[], object]) -> None:
    """Return once `condition()` holds; give up after twenty seconds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def world(
    tmp_path: Path, name: str = "pager", callback_url: str = ""
) -> AsyncIterator[tuple[Context, Journal, ManualClock]]:
    """A context as the gateway lends it, with a real HTTP session."""
    journal, clock = Journal(), ManualClock(NOON)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        log = structlog.stdlib.get_logger()
        yield Context(name, http, journal, log, clock, tmp_path, callback_url), journal, clock


def batch(addresses: Sequence[str], **changes: Any) -> Batch:
    """A batch of the dispatch `d1` to `addresses`, valid for three hours from noon."""
    message = changes.pop("message", Message("zh-CN", "清原县发布暴雨橙色预警", "暴雨橙色预警"))
    region = changes.pop("region", "210423")
    values: dict[str, Any] = {
        "alert": "a1",
        "identifier": "21042341600000_20260722120000",
        "dispatch": "d1",
        "channel": "pager",
        "cause": Cause.RELEASE,
        "message": message,
        "endpoints": [Endpoint(number, address, region) for number, address in enumerate(addresses)],
        "expires_at": NOON + 3 * 3_600_000,
        "grade": "orange",
        "event": "暴雨",
        "event_code": "11B03",
        "sent_at": NOON,
        "sender": "清原县气象台",
    }
    return Batch(**(values | changes))


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """The URL of a web server on loopback that answers every request by one function."""
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


@asynccontextmanager
async def mounted(channel: Any) -> AsyncIterator[str]:
    """The URL of the channel's callback behind a real web server, as the gateway mounts it."""

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        callback = Callback(request.method, request.path, request.query, request.headers, body)
        reply = await channel.callback(callback)
        headers = {"Content-Type": reply.content_type} | dict(reply.headers)
        return web.Response(status=reply.status, body=reply.body, headers=headers)

    async with serving(answer) as url:
        yield url + "callbacks/" + channel.traits.format
