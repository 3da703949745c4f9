"""What every handler of the web room shares: the ports it was given, its settings, and the names under which a request
carries what was found out about it. Built once by `gateway.web.application`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from aiohttp import web

from gateway.model.time import Instant, instant
from gateway.ports import Callbacks, Desk, Feed, Keys, Principal, Reads

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


def wall_clock() -> Instant:
    """Now, for countdowns on pages; nothing is decided by it."""
    return instant(datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests per minute that one key or session may make, by purpose; a burst may spend a whole minute's at once.

    `acts` (approve, reject, stop, cancel) stand apart, so that a flood of posts never delays a cancellation.
    """

    reads: int = 6000
    posts: int = 6000
    acts: int = 600


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Settings of the HTTP side.

    `zone` is the console's local time; `sample_data` marks every page 示例数据; `allowed_hosts` are names (without port) that may
    stand in `Host` besides the loopback ones; `media_dir` holds `<sha256>.wav`; `body_limit` bytes after decompression;
    `body_seconds` for a whole body to arrive; `heartbeat` seconds of silence on an event stream; `metrics` answers `/metrics`;
    `parts` are the roles of this process: routes of other roles are not there.
    """

    version: str
    zone: tzinfo = UTC
    sample_data: bool = False
    allowed_hosts: frozenset[str] = frozenset()
    media_dir: Path | None = None
    body_limit: int = 4_000_000
    body_seconds: float = 30.0
    heartbeat: float = 15.0
    rates: Rates = Rates()
    metrics: Handler | None = None
    parts: frozenset[str] = frozenset({"intake", "web"})
    clock: Callable[[], Instant] = wall_clock


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request; `token` is the session's secret, "" for an API key."""

    principal: Principal
    token: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """The ports and what the web room keeps beside them. `closing` is set when event streams have to end."""

    desk: Desk
    keys: Keys
    reads: Reads
    feed: Feed
    callbacks: Callbacks
    settings: WebSettings
    openapi: bytes = b""
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def host_allowed(self, host: str) -> bool:
        """Whether the `Host` header `host` (with or without a port) names this gateway."""
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        return name.lower() in LOOPBACK_HOSTS or name.lower() in self.settings.allowed_hosts


SITE = web.AppKey("site", Site)
CALLER = web.RequestKey("caller", Caller)
FORM = web.RequestKey("form", dict[str, str])
REQUEST_ID = web.RequestKey("request_id", str)


def site_of(request: web.Request) -> Site:
    """The site that answers `request`."""
    return request.app[SITE]


def principal_of(request: web.Request) -> Principal:
    """Who asks; only behind a route that asks for a key or a session."""
    return request[CALLER].principal
