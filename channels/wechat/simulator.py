"""The far side of WeChat: an official account's platform on loopback, with tokens, errcodes, events and faults.

Used by tests, the demo and `tongluo simulate wechat`. Messages come in by `template/send`; with a `callback_url` every taken
message ends in a signed TEMPLATESENDJOBFINISH event there, repeated until it is answered `success`.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TextIO

import aiohttp
from aiohttp import web

FLAGS = frozenset({"token_expired", "quota", "silent", "double", "down", "forged", "busy"})
FIGURES = frozenset({"slow", "unsubscribed", "blocked"})
EVENT = (
    "<xml><ToUserName><![CDATA[gh_tongluo]]></ToUserName><FromUserName><![CDATA[{openid}]]></FromUserName>"
    "<CreateTime>{at}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[TEMPLATESENDJOBFINISH]]></Event>"
    "<MsgID>{msgid}</MsgID><Status><![CDATA[{status}]]></Status></xml>"
)
SAMPLE_SECRET = "sample-secret"  # noqa: S105 - known on purpose, for `tongluo simulate`
SAMPLE_TOKEN = "sample-token"  # noqa: S105 - the same
COURIERS = 8
REPEATS = 3


def parse_faults(faults: str) -> dict[str, float]:
    """`"quota,slow=0.5"` -> `{"quota": 1, "slow": 0.5}`. Raises ValueError for a fault this far side does not know."""
    known: dict[str, float] = {}
    for word in filter(None, (part.strip() for part in faults.split(","))):
        name, _, figure = word.partition("=")
        if not (name in FIGURES if figure else name in FLAGS):
            raise ValueError(
                f"unknown fault {word!r}: use {', '.join(sorted(FLAGS))}, or a figure for {', '.join(sorted(FIGURES))}"
            )
        known[name] = float(figure or 1)
    return known


def share_of(openid: str) -> float:
    """A number in 0..1 that is always the same for an openid: `blocked=0.1` hits the same tenth every time."""
    return int.from_bytes(hashlib.sha256(openid.encode()).digest()[:4], "big") / 2**32


class OfficialAccount:
    """`received`: dicts {at, channel, address, text, key, alert}; `count` of them; `errcodes`, `statuses`: outcomes by openid."""

    def __init__(
        self,
        port: int = 0,
        log: str | Path | None = None,
        faults: str = "",
        *,
        appid: str = "wxTONGLUO",
        secret: str = SAMPLE_SECRET,
        token: str = SAMPLE_TOKEN,
        template_id: str = "TM00012379",
        expires_in: int = 7200,
        keep: bool = True,
        callback_url: str = "",
        now: Callable[[], int] | None = None,
    ) -> None:
        self.received: list[dict[str, Any]] = []
        self.errcodes: dict[str, int] = {}
        self.statuses: dict[str, str] = {}
        self.callback_url, self.callback_answers = callback_url, list[int]()
        self.now = now or (lambda: time.time_ns() // 1_000_000)
        self.count = self.tokens_given = self.asked = 0
        self._port, self._log_path, self._keep = port, log, keep
        self._account = {"appid": appid, "secret": secret}
        self._callback_token, self._template_id, self._expires_in = token, template_id, expires_in
        self._log: TextIO | None = None
        self._token, self._token_until = "", 0.0
        self._taken: dict[tuple[str, str], int] = {}
        self._msgids = itertools.count(200_163_836)
        self._events: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self.set_faults(faults)

    async def __aenter__(self) -> Self:
        if self._log_path:
            self._log = Path(self._log_path).open("a", encoding="utf-8", buffering=1)  # noqa: ASYNC230, SIM115 - at start only
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        self._couriers = [asyncio.create_task(self._deliver_events()) for _ in range(COURIERS)]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for courier in self._couriers:
            courier.cancel()
        await asyncio.gather(*self._couriers, return_exceptions=True)
        await self._http.close()
        await self._runner.cleanup()
        if self._log:
            self._log.close()

    def settings(self) -> dict[str, Any]:
        """The channel configuration that reaches this account."""
        return {
            "type": "wechat",
            "base_url": f"http://127.0.0.1:{self._port}",
            **self._account,
            "template_id": self._template_id,
            "token": self._callback_token,
        }

    def set_faults(self, faults: str) -> None:
        """Behave differently from now on; `token_expired` makes the present token void once. Raises ValueError."""
        self._faults = parse_faults(faults)
        if "token_expired" in self._faults:
            self._token = ""

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await request.read()
        self.asked += 1
        if "slow" in self._faults:
            await asyncio.sleep(self._faults["slow"])
        if "down" in self._faults:
            return web.Response(status=502)
        try:
            question = json.loads(raw)
        except ValueError:
            question = None
        if not isinstance(question, dict):
            return _answer(47001, "data format error")
        if request.path == "/cgi-bin/stable_token":
            return self._give_token(question)
        if request.path == "/cgi-bin/message/template/send":
            return self._send(question, request.query.get("access_token", ""))
        return web.Response(status=404)

    def _give_token(self, question: Mapping[str, Any]) -> web.Response:
        if question.get("appid") != self._account["appid"]:
            return _answer(40013, "invalid appid")
        if question.get("secret") != self._account["secret"]:
            return _answer(40125, "invalid appsecret")
        if not self._token or question.get("force_refresh") or time.monotonic() >= self._token_until:
            self._token = secrets.token_urlsafe(96)
            self._token_until = time.monotonic() + self._expires_in
            self.tokens_given += 1
        left = max(int(self._token_until - time.monotonic()), 0)
        return web.json_response({"access_token": self._token, "expires_in": left})

    def _send(self, message: Mapping[str, Any], token: str) -> web.Response:
        openid = str(message.get("touser", ""))
        code = self._objection(openid, message, token)
        if code:
            return _answer(code, "refused")
        identity = (openid, str(message.get("client_msg_id", "")))
        if identity[1] and identity in self._taken:
            return _answer(0, "ok", self._taken[identity])
        msgid = self._taken[identity] = next(self._msgids)
        self._collect(openid, message)
        if self.callback_url and "silent" not in self._faults:
            for _ in range(2 if "double" in self._faults else 1):
                self._events.put_nowait((openid, msgid))
        return _answer(0, "ok", msgid)

    def _objection(self, openid: str, message: Mapping[str, Any], token: str) -> int:
        if not self._token or token != self._token:
            return 42001 if token else 40001
        if "busy" in self._faults or "quota" in self._faults:
            return -1 if "busy" in self._faults else 45009
        if openid in self.errcodes:
            return self.errcodes[openid]
        if share_of(openid) < self._faults.get("unsubscribed", 0.0):
            return 43004
        if message.get("template_id") != self._template_id:
            return 40037
        return 0 if _fits(message.get("data")) else 47003

    def _collect(self, openid: str, message: Mapping[str, Any]) -> None:
        self.count += 1
        if not (self._keep or self._log):
            return
        text = " ".join(item["value"] for item in message["data"].values())
        key = message.get("client_msg_id", "")
        entry = {"at": self.now(), "channel": "wechat", "address": openid, "text": text, "key": key, "alert": ""}
        if self._keep:
            self.received.append(entry)
        if self._log:
            self._log.write(json.dumps(entry, ensure_ascii=False) + "\n")

    async def _deliver_events(self) -> None:
        while True:
            openid, msgid = await self._events.get()
            status = self.statuses.get(openid, "success")
            if share_of(openid) < self._faults.get("blocked", 0.0):
                status = "failed:user block"
            body = EVENT.format(openid=openid, at=self.now() // 1000, msgid=msgid, status=status)
            for _ in range(REPEATS + 1):
                if await self._post(body):
                    break
                await asyncio.sleep(0.1)

    async def _post(self, body: str) -> bool:
        query = {"timestamp": str(self.now() // 1000), "nonce": secrets.token_hex(5)}
        token = self._callback_token + ("?" if "forged" in self._faults else "")
        query["signature"] = hashlib.sha1(
            "".join(sorted([token, *query.values()])).encode(), usedforsecurity=False
        ).hexdigest()
        try:
            async with self._http.post(
                self.callback_url, params=query, data=body.encode(), headers={"Content-Type": "text/xml"}
            ) as answer:
                self.callback_answers.append(answer.status)
                return answer.status == 200 and await answer.read() == b"success"
        except aiohttp.ClientError:
            self.callback_answers.append(0)
            return False


def _fits(data: object) -> bool:
    """Every field has a value, and a `thing` has at most twenty characters."""
    if not isinstance(data, dict) or not data:
        return False
    values = {key: item.get("value") if isinstance(item, dict) else None for key, item in data.items()}
    return all(
        isinstance(value, str) and value and (not key.startswith("thing") or len(value) <= 20)
        for key, value in values.items()
    )


def _answer(errcode: int, errmsg: str, msgid: int | None = None) -> web.Response:
    tail = "" if msgid is None else f',"msgid":{msgid}'
    return web.Response(text=f'{{"errcode":{errcode},"errmsg":"{errmsg}"{tail}}}', content_type="application/json")
