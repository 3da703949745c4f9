"""The webhook channel: one HTTP request per endpoint (or per batch), many in flight, each outcome told truthfully.

A fixed number of workers draw endpoints from the batch: no task, time-out object or template run per recipient.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import aiohttp
from yarl import URL

from channels.webhook import guard
from channels.webhook.answer import Verdict, judge, patience
from channels.webhook.callback import Receiver
from channels.webhook.config import Settings
from channels.webhook.course import Course
from channels.webhook.request import Bound, Form, Request
from gateway.channel import (
    Batch,
    Callback,
    Context,
    Endpoint,
    EvidenceConfig,
    Level,
    Reason,
    Receipt,
    Reply,
    Throttled,
    Traits,
    Unavailable,
)

CONNECT_SECONDS = 5.0

NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Faults before a byte of the request was written."""


class Webhook:
    """Hands warnings to any HTTP interface that YAML can describe."""

    Config = Settings

    def __init__(self, config: Settings, context: Context) -> None:
        self.traits = _traits(config)
        self._config, self._context = config, context
        self._form = Form(config)
        self._receiver = Receiver(config.callback, context)
        self._taken = Level.DELIVERED if config.delivered_by == "response" else Level.ACCEPTED
        self._timeout = aiohttp.ClientTimeout(
            total=config.request_timeout, sock_connect=min(CONNECT_SECONDS, config.request_timeout)
        )
        self._patience_until = 0.0
        self._guarded: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Webhook:
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._guarded is not None:
            await self._guarded.close()
            self._guarded = None

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        """Ask once per endpoint (or once for all); see `gateway.channel.Channel.send`."""
        self._keep_patience()
        course = Course(batch.endpoints, self._taken, shared=not self._config.by_address)
        bound = self._form.bind(batch, batch.endpoints, self._context.clock.now())
        if self._config.many:
            await self._ask_for_all(bound, batch.endpoints, course)
        else:
            await self._ask_each(bound, len(batch.endpoints), course)
        if isinstance(course.halted, Throttled):
            self._patience_until = time.monotonic() + course.halted.after
        return course.close()

    async def probe(self) -> None:
        """Raise Unavailable if nobody listens at the configured address. Sends no request: that might warn somebody."""
        if self._config.by_address:
            return
        url = URL(self._config.url.partition("{")[0])
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, writer = await asyncio.open_connection(url.host, url.port)
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"nobody listens at {url.host}:{url.port}: {type(error).__name__}") from error
        writer.close()

    async def callback(self, request: Callback) -> Reply:
        """Take signed receipts (docs/channels/webhook.md, 回执)."""
        return await self._receiver.answer(request)

    def _keep_patience(self) -> None:
        wait = self._patience_until - time.monotonic()
        if wait > 0:
            raise Throttled(wait, "the far side asked for patience")

    async def _ask_each(self, bound: Bound, endpoints: int, course: Course) -> None:
        last_start = time.monotonic() + self._config.timeout - self._config.request_timeout
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._config.connections, endpoints)):
                group.create_task(self._work(bound, course, last_start))

    async def _work(self, bound: Bound, course: Course, last_start: float) -> None:
        for endpoint in course.todo:
            await self._ask_one(bound, endpoint, course)
            if course.halted or time.monotonic() >= last_start:
                return

    async def _ask_one(self, bound: Bound, endpoint: Endpoint, course: Course) -> None:
        try:
            request = bound.to(endpoint)
            if self._config.by_address:
                self._check_address(request)
        except (ValueError, guard.Forbidden):
            course.enter(endpoint, Verdict(Reason.INVALID_ADDRESS))
            return
        verdict = await self._ask(request)
        if verdict is None:
            course.unknown(endpoint)
            return
        course.enter(endpoint, verdict)
        if verdict.detail == NOT_CONNECTED and not self._config.by_address:
            course.halt(Unavailable(NOT_CONNECTED))

    async def _ask_for_all(self, bound: Bound, endpoints: Sequence[Endpoint], course: Course) -> None:
        verdict = await self._ask(bound.to_all(endpoints))
        if verdict is not None and verdict.detail == NOT_CONNECTED:
            course.halt(Unavailable(NOT_CONNECTED))
            return
        for endpoint in course.todo:
            if verdict is None:
                course.unknown(endpoint)
            elif endpoint.address in verdict.refused:
                course.enter(endpoint, Verdict(Reason.INVALID_ADDRESS))
            else:
                course.enter(endpoint, verdict)

    async def _ask(self, request: Request) -> Verdict | None:
        """The far side's verdict; None if the request may have been taken without our knowing."""
        try:
            async with self._session().request(
                self._config.method,
                request.url,
                data=request.body,
                headers=request.headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                body = await _read(response, self._config.max_response)
                after = response.headers.get("Retry-After")
                wait = patience(after, self._context.clock) if after is not None else 0.0
                return judge(self._config, response.status, body, wait)
        except NEVER_SENT as error:
            return _not_connected(error)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Verdict(Reason.INVALID_ADDRESS) if isinstance(error, aiohttp.InvalidURL) else None

    def _check_address(self, request: Request) -> None:
        if self._config.private_allowed:
            if request.url.scheme not in ("http", "https") or not request.url.host:
                raise ValueError("not an http address")
        else:
            guard.check(request.url)

    def _session(self) -> aiohttp.ClientSession:
        if self._config.private_allowed:
            return self._context.http
        if self._guarded is None:
            connector = aiohttp.TCPConnector(resolver=guard.PublicResolver(), limit=self._config.connections)
            self._guarded = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._guarded


NOT_CONNECTED = "no connection"


def _not_connected(error: Exception) -> Verdict:
    cause = getattr(error, "os_error", None)
    if isinstance(cause, guard.Forbidden) or isinstance(error.__cause__, guard.Forbidden):
        return Verdict(Reason.INVALID_ADDRESS)
    return Verdict(Reason.UNAVAILABLE, detail=NOT_CONNECTED)


async def _read(response: aiohttp.ClientResponse, cap: int) -> bytes:
    """The body, at most `cap` bytes of it; what is longer is cut and its connection dropped."""
    if response.content_length is not None and response.content_length <= cap:
        return await response.read()
    body = b""
    while len(body) < cap and (chunk := await response.content.read(cap - len(body))):
        body += chunk
    return body


def _traits(config: Settings) -> Traits:
    evidence = config.evidence or EvidenceConfig(kind="addressed", q_unknown=0.3, source="placeholder, not surveyed")
    return Traits(
        kind=evidence.kind,
        proves=Level.ACCEPTED if config.delivered_by == "none" else Level.DELIVERED,
        max_batch=config.max_batch,
        max_chars=config.max_chars,
        parallel=2,
        audible=config.audible,
        format="webhook",
        methods=config.methods,
        evidence=evidence,
    )
