"""Listening: the application on a socket, with the deadlines its handlers count on. Called by `gateway.app` and by tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

HEADER_SECONDS = 15.0
SHUTDOWN_SECONDS = 2.0


@asynccontextmanager
async def listen(
    app: web.Application, host: str = "127.0.0.1", port: int = 0, *, header_seconds: float = HEADER_SECONDS
) -> AsyncIterator[str]:
    """Serve `app`; yields `http://HOST:PORT` once it takes connections (port 0 = a free one). Raises OSError if it cannot.

    A connection that has not sent a whole request head within `header_seconds` is closed, idle ones as well. Bodies are
    handed to the handlers as they come (no automatic decompression), so that limits are counted while reading.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=header_seconds,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        bound = runner.addresses[0]
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        yield f"http://{shown}:{bound[1]}"
    finally:
        await runner.cleanup()
