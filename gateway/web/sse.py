"""Event streams (WHATWG HTML §9.2): frames of the feed as they come, a comment in every silence, an end when the gateway stops."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import structlog
from aiohttp import web

from gateway.errors import Unstorable
from gateway.ports import Event
from gateway.web import queries
from gateway.web.problems import refuse
from gateway.web.site import principal_of, site_of

log = structlog.get_logger("gateway.web")

HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
HEARTBEAT = b": heartbeat\n\n"
RETRY = b"retry: 2000\n\n"


async def alert_events(request: web.Request) -> web.StreamResponse:
    """`GET /alerts/{id}/events`: one alert's frames, for a region and its children."""
    alert = request.match_info["id"]
    if await site_of(request).reads.alert(principal_of(request), alert) is None:
        raise refuse("unknown_alert")
    return await _stream(request, alert, queries.region(request), queries.depth(request))


async def all_events(request: web.Request) -> web.StreamResponse:
    """`GET /events`: frames of the whole gateway."""
    return await _stream(request, "", "", 1)


async def _stream(request: web.Request, alert: str, region: str, depth: int) -> web.StreamResponse:
    after = queries.last_event(request)
    events = site_of(request).feed.follow(principal_of(request), alert, region, depth, after)
    response = web.StreamResponse(headers=HEADERS)
    try:
        await response.prepare(request)
        await response.write(RETRY)
        await _pump(response, events, site_of(request).closing, site_of(request).settings.heartbeat)
    except ConnectionError:
        log.debug("reader of an event stream left")
    except Unstorable as error:
        log.warning("event stream ended", why=str(error))
    except Exception:  # the answer has begun, so the reader can only be told by the end of the stream; it comes again
        log.exception("event stream failed")
    return response


async def _pump(
    response: web.StreamResponse, events: AsyncIterator[Event], closing: asyncio.Event, heartbeat: float
) -> None:
    """Write frames until the feed ends, the gateway closes, or the reader leaves (ConnectionError)."""
    end = asyncio.ensure_future(closing.wait())
    upcoming = asyncio.ensure_future(_next(events))
    try:
        while True:
            await asyncio.wait({end, upcoming}, timeout=heartbeat, return_when=asyncio.FIRST_COMPLETED)
            if end.done():
                return
            if not upcoming.done():
                await response.write(HEARTBEAT)
                continue
            event = upcoming.result()
            if event is None:
                return
            await response.write(frame(event))
            upcoming = asyncio.ensure_future(_next(events))
    finally:
        await _dropped(end, upcoming)
        if close := getattr(events, "aclose", None):
            await close()


def frame(event: Event) -> bytes:
    """One frame on the wire."""
    data = json.dumps(event.payload, ensure_ascii=False, separators=(",", ":"))
    return f"id: {event.id}\nevent: {event.name}\ndata: {data}\n\n".encode()


async def _next(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)


async def _dropped(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
