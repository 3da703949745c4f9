"""The far side of webhooks: a pager service on loopback that collects calls, misbehaves on request, and sends receipts.

Used by tests, the demo and `tongluo simulate webhook`. Light enough for thousands of calls a second (`keep=False` counts
only). With a `secret` and a `callback_url` it posts signed receipts there, many at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TextIO
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web

FLAGS = frozenset({"blackhole", "drop", "silent", "double", "forged"})
FIGURES = frozenset({"slow", "reject", "lose"})
PAUSE = 0.02
RETRIES = 20


def parse_faults(faults: str) -> dict[str, float]:
    """`"429,slow=0.5"` -> `{"status": 429, "slow": 0.5}`. Raises ValueError for a fault this far side does not know."""
    known: dict[str, float] = {}
    for word in filter(None, (part.strip() for part in faults.split(","))):
        name, _, figure = word.partition("=")
        if name.isdigit() and len(name) == 3:
            known["status"] = float(name)
        elif name in FLAGS and not figure:
            known[name] = 1.0
        elif name in FIGURES:
            known[name] = float(figure)
        else:
            raise ValueError(f"unknown fault {word!r}: use an HTTP status, {', '.join(sorted(FLAGS | FIGURES))}")
    return known


def share_of(address: str) -> float:
    """A number in 0..1 that is always the same for an address: `reject=0.1` refuses the same tenth every time."""
    return int.from_bytes(hashlib.sha256(address.encode()).digest()[:4], "big") / 2**32


class Pager:
    """`received`: dicts {at, channel, address, text, key, alert}; `count` of them; `asked`: requests that came in;
    `requests`: how those that were taken looked."""

    def __init__(
        self,
        port: int = 0,
        log: str | Path | None = None,
        faults: str = "",
        *,
        secret: str = "",
        keep: bool = True,
        callback_url: str = "",
        now: Callable[[], int] | None = None,
    ) -> None:
        self.received: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.asked = self.count = 0
        self.callback_url, self.callback_answers = callback_url, list[int]()
        self.now = now or (lambda: time.time_ns() // 1_000_000)
        self._port, self._log_path, self._secret, self._keep = port, log, secret, keep
        self._log: TextIO | None = None
        self._owed: list[dict[str, Any]] = []
        self._due = asyncio.Event()
        self.set_faults(faults)

    async def __aenter__(self) -> Self:
        if self._log_path:
            self._log = Path(self._log_path).open("a", encoding="utf-8", buffering=1)  # noqa: ASYNC230, SIM115 - at start only
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        self._sender = asyncio.create_task(self._send_receipts())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._sender.cancel()
        await asyncio.gather(self._sender, return_exceptions=True)
        await self._http.close()
        await self._runner.cleanup()
        if self._log:
            self._log.close()

    @property
    def url(self) -> str:
        """Where it takes calls."""
        return f"http://127.0.0.1:{self._port}/send"

    def settings(self) -> dict[str, Any]:
        """The channel configuration that reaches this pager, with its receipts if it has a secret."""
        settings: dict[str, Any] = {"type": "webhook", "url": self.url}
        if self._secret:
            settings |= {"delivered_by": "callback", "callback": {"secret": self._secret}}
        return settings

    def set_faults(self, faults: str) -> None:
        """Behave differently from now on. Raises ValueError for an unknown fault."""
        self._faults = parse_faults(faults)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await request.read()
        self.asked += 1
        if "slow" in self._faults:
            await asyncio.sleep(self._faults["slow"])
        if "blackhole" in self._faults:
            await asyncio.sleep(3600)
        if "drop" in self._faults and request.transport:
            request.transport.abort()
        status = int(self._faults.get("status", 200))
        if status != 200:
            return web.Response(status=status, headers={"Retry-After": "1"} if status in (429, 503) else None)
        return self._take(request, raw)

    def _take(self, request: web.BaseRequest, raw: bytes) -> web.Response:
        body = _read(request, raw)
        refused = [call["address"] for call in _calls(body, request.headers) if not self._collect(call)]
        if self._keep:
            headers = dict(request.headers)
            self.requests.append({"path": request.path_qs, "headers": headers, "body": body, "raw": raw})
        if refused:
            return web.json_response({"ok": False, "errcode": 40003, "code": 40003, "refused": refused}, status=422)
        return web.Response(
            text=f'{{"ok":true,"errcode":0,"code":0,"id":"P{self.count}"}}', content_type="application/json"
        )

    def _collect(self, call: dict[str, Any]) -> bool:
        if share_of(call["address"]) < self._faults.get("reject", 0.0):
            return False
        self.count += 1
        if self._keep or self._log:
            entry = {"at": self.now(), "channel": "webhook", **call}
            if self._keep:
                self.received.append(entry)
            if self._log:
                self._log.write(json.dumps(entry, ensure_ascii=False) + "\n")
        if self._secret and self.callback_url and "silent" not in self._faults:
            self._owe(call["key"])
        return True

    def _owe(self, key: str) -> None:
        if share_of(key) < self._faults.get("lose", 0.0):
            return
        self._owed.extend(
            [{"key": key, "status": "delivered", "at": self.now()}] * (2 if "double" in self._faults else 1)
        )
        self._due.set()

    async def _send_receipts(self) -> None:
        while True:
            await self._due.wait()
            await asyncio.sleep(PAUSE)
            owed, self._owed = self._owed[:1000], self._owed[1000:]
            if not self._owed:
                self._due.clear()
            await self._post(json.dumps({"receipts": owed}).encode())

    async def _post(self, body: bytes) -> None:
        for attempt in range(RETRIES):
            stamp = str(self.now() // 1000)
            secret = self._secret + "?" if "forged" in self._faults else self._secret
            sign = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
            headers = {"X-Tongluo-Timestamp": stamp, "X-Tongluo-Signature": f"sha256={sign}"}
            try:
                async with self._http.post(self.callback_url, data=body, headers=headers) as answer:
                    self.callback_answers.append(answer.status)
                    if answer.status < 500:
                        return
            except aiohttp.ClientError:
                self.callback_answers.append(0)
            await asyncio.sleep(PAUSE * 2 ** min(attempt, 6))


def _read(request: web.BaseRequest, raw: bytes) -> dict[str, Any]:
    if request.content_type == "application/x-www-form-urlencoded":
        return dict(parse_qsl(raw.decode()))
    if not raw:
        return dict(request.query)
    body = json.loads(raw)
    return body if isinstance(body, dict) else {"body": body}


def _calls(body: Mapping[str, Any], headers: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    to, key = body.get("to", body.get("touser", "")), body.get("key", headers.get("Idempotency-Key", ""))
    text, alert = _text(body), body.get("alert", "")
    if not isinstance(to, list):
        yield {"address": str(to), "text": text, "key": key, "alert": alert}
        return
    keys = key if isinstance(key, list) else [key] * len(to)
    for address, its_key in zip(to, keys, strict=True):
        yield {"address": address, "text": text, "key": its_key, "alert": alert}


def _text(body: Mapping[str, Any]) -> str:
    """The words, wherever a robot's protocol puts them."""
    for holder in (body.get("text"), body.get("content"), body.get("markdown")):
        if isinstance(holder, str):
            return holder
        if isinstance(holder, dict):
            return str(holder.get("content") or holder.get("text") or "")
    return ""
