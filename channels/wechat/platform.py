"""The platform's HTTP interface: one question, one errcode; and the access token, fetched by one at a time.

Facts: `stable_token` gives the same token to everybody until it is about to expire, so several gateways may share an account;
`force_refresh` makes a new one and is rationed, so it is the last resort. Nothing here logs an address: it holds the token.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp

from channels.wechat.config import Settings, secret_of
from channels.wechat.errors import REFUSED_TOKEN, error_of
from gateway.channel import Misconfigured, Throttled, Unavailable

MAX_ANSWER = 65_536
EARLY = 300.0
CONNECT_SECONDS = 5.0

NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Faults before a byte of the request was written."""


class Unanswered(Exception):
    """The request may have been taken; there was no answer to tell."""


class Platform:
    """Asks the platform. Raises Unavailable, Throttled or Misconfigured for what is not an answer, Unanswered for silence."""

    def __init__(self, config: Settings, http: aiohttp.ClientSession) -> None:
        self._base, self._http = config.base_url, http
        self._timeout = aiohttp.ClientTimeout(
            total=config.request_timeout, sock_connect=min(CONNECT_SECONDS, config.request_timeout)
        )

    async def ask(self, path: str, body: bytes, token: str = "") -> dict[str, Any]:
        """The JSON answer to a POST of `body`."""
        url = f"{self._base}{path}" + (f"?access_token={token}" if token else "")
        headers = {"Content-Type": "application/json; charset=utf-8", "Accept-Encoding": "identity"}
        try:
            async with self._http.post(
                url, data=body, headers=headers, timeout=self._timeout, allow_redirects=False
            ) as response:
                _check_status(response)
                return _mapping(await _read(response))
        except NEVER_SENT as error:
            raise Unavailable(f"no connection to the platform: {type(error).__name__}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unanswered from error


class Token:
    """The access token. However many senders ask or find it refused, one request fetches the next."""

    def __init__(self, config: Settings, platform: Platform) -> None:
        self._platform = platform
        self._question = {
            "grant_type": "client_credential",
            "appid": config.appid,
            "secret": secret_of(config.secret, config.secret_file, "secret_file"),
        }
        self._lock = asyncio.Lock()
        self._value, self._fresh_until = "", 0.0

    async def get(self) -> str:
        """A token that is not about to expire. Raises Misconfigured, Throttled or Unavailable."""
        if time.monotonic() < self._fresh_until:
            return self._value
        async with self._lock:
            if time.monotonic() >= self._fresh_until:
                await self._fetch(force=False)
            return self._value

    async def ask_again(self) -> None:
        """Ask the platform for the token whether or not one is at hand: it says whether it is there and knows us."""
        async with self._lock:
            await self._fetch(force=False)

    async def instead_of(self, refused: str) -> str:
        """Another token than the one the platform has just refused."""
        async with self._lock:
            if self._value == refused:
                await self._fetch(force=False)
            if self._value == refused:
                await self._fetch(force=True)
            return self._value

    async def _fetch(self, *, force: bool) -> None:
        try:
            answer = await self._platform.ask(
                "/cgi-bin/stable_token", json.dumps(self._question | {"force_refresh": force}).encode()
            )
        except Unanswered as error:
            raise Unavailable("the platform did not answer the question for a token") from error
        value, seconds = answer.get("access_token"), answer.get("expires_in", 0)
        if not isinstance(value, str) or not value:
            raise _refusal(answer)
        seconds = float(seconds) if isinstance(seconds, (int, float)) else 0.0
        self._value = value
        self._fresh_until = time.monotonic() + max(seconds - EARLY, seconds / 2)


def _refusal(answer: dict[str, Any]) -> Exception:
    code = answer.get("errcode", -1)
    if code in REFUSED_TOKEN:
        return Misconfigured(f"appid and secret are refused (errcode {code}); check both settings")
    return error_of(code) or Unavailable(f"no token (errcode {code})")


def _check_status(response: aiohttp.ClientResponse) -> None:
    if response.status == 429:
        raise Throttled(1.0, "HTTP 429")
    if response.status >= 500:
        raise Unavailable(f"HTTP {response.status}")
    if response.status != 200:
        raise Misconfigured(f"HTTP {response.status}; check base_url")


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    while len(body) < MAX_ANSWER and (chunk := await response.content.read(MAX_ANSWER - len(body))):
        body += chunk
    return body


def _mapping(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise Unanswered from None
    if not isinstance(answer, dict) or not isinstance(answer.get("errcode", 0), int):
        raise Unanswered
    return answer
