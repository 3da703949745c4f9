"""The far side of emergency broadcasting: a county platform on loopback that takes packages and plays them, in its head.

Used by tests, the demo and `tongluo simulate broadcast`. A message passes through waiting and playing to played, by the
seconds of `steps`; questions are answered with its state and coverage, and with a `callback_url` its last state is pushed.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TextIO
from zoneinfo import ZoneInfo

import aiohttp
from aiohttp import web

from channels.broadcast import ebd, package
from channels.broadcast.ebd import Element, Envelope, Unreadable, node, text_at
from channels.broadcast.messages import BrdState, MsgType, Result, response, write_time

FLAGS = frozenset(
    {"fail", "silent", "down", "drop", "reject", "badsign", "busy", "garbled", "double", "signed", "unprocessed"}
)
GATEWAY_EBRID = "22100000000000103010101"
EBRID = "32104230000000103010201"
ZONE = ZoneInfo("Asia/Shanghai")
MAX_UPLOAD = 100_000_000
REFUSALS = {"reject": Result.INCOMPLETE, "badsign": Result.SIGNATURE, "busy": Result.OTHER}


def parse_faults(faults: str) -> dict[str, float]:
    """`"fail,slow=0.5"` -> `{"fail": 1, "slow": 0.5}`. Raises ValueError for a fault this far side does not know."""
    known: dict[str, float] = {}
    for word in filter(None, (part.strip() for part in faults.split(","))):
        name, _, figure = word.partition("=")
        if not (name == "slow" if figure else name in FLAGS):
            raise ValueError(f"unknown fault {word!r}: use {', '.join(sorted(FLAGS))} or slow=SECONDS")
        known[name] = float(figure or 1)
    return known


@dataclass(slots=True)
class Airing:
    """A message on this platform: since when, and whether it was cancelled."""

    ebm_id: str
    area: str
    since: float
    cancelled: bool = False


class CountyPlatform:
    """`received`: dicts {at, channel, address, text, key, alert}; `messages`: each EBM's fields; `count`: messages taken."""

    def __init__(
        self,
        port: int = 0,
        log: str | Path | None = None,
        faults: str = "",
        *,
        steps: tuple[float, float, float] = (0.0, 0.1, 0.3),
        coverage: str = "0.97",
        keep: bool = True,
        callback_url: str = "",
        now: Callable[[], int] | None = None,
    ) -> None:
        self.received: list[dict[str, Any]] = []
        self.messages: list[dict[str, str]] = []
        self.callback_url, self.callback_answers = callback_url, list[int]()
        self.now = now or (lambda: time.time_ns() // 1_000_000)
        self.count = self.questions = 0
        self._port, self._log_path, self._keep = port, log, keep
        self._steps, self._coverage, self._serial = steps, coverage, 0
        self._log: TextIO | None = None
        self._airings: dict[str, Airing] = {}
        self._pushes: set[asyncio.Task[None]] = set()
        self.set_faults(faults)

    async def __aenter__(self) -> Self:
        if self._log_path:
            self._log = Path(self._log_path).open("a", encoding="utf-8", buffering=1)  # noqa: ASYNC230, SIM115 - at start only
        application = web.Application(client_max_size=MAX_UPLOAD)
        application.router.add_post("/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *exc: object) -> None:
        for push in self._pushes:
            push.cancel()
        await asyncio.gather(*self._pushes, return_exceptions=True)
        await self._http.close()
        await self._runner.cleanup()
        if self._log:
            self._log.close()

    @property
    def address(self) -> str:
        """The platform's URL: what an endpoint's address is. Every path below it is another platform of the same kind."""
        return f"http://127.0.0.1:{self._port}/ebd"

    def settings(self) -> dict[str, Any]:
        """The channel configuration for this platform; endpoints' addresses are `address`."""
        return {
            "type": "broadcast",
            "ebrid": "42101060000000103010301",
            "platforms": [f"http://127.0.0.1:{self._port}/"],
            "poll": 1,
        }

    def set_faults(self, faults: str) -> None:
        """Behave differently from now on. Raises ValueError for an unknown fault."""
        self._faults = parse_faults(faults)

    def state_of(self, ebm_id: str) -> BrdState:
        """How a message stands now."""
        airing = self._airings[ebm_id]
        if airing.cancelled:
            return BrdState.CANCELLED
        if "unprocessed" in self._faults:
            return BrdState.UNPROCESSED
        if "silent" in self._faults:
            return BrdState.WAITING
        age = time.monotonic() - airing.since
        state = BrdState(sum(age >= step for step in self._steps))
        return BrdState.FAILED if state is BrdState.PLAYED and "fail" in self._faults else state

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await _uploaded(request)
        if "slow" in self._faults:
            await asyncio.sleep(self._faults["slow"])
        if "down" in self._faults:
            return web.Response(status=503)
        answer, related = self._answer(str(request.url), raw)
        if "drop" in self._faults and request.transport:
            request.transport.abort()
        if "garbled" in self._faults:
            return web.Response(body=b"<html>login</html>")
        ebd_id, body = self._dress(answer, related)
        disposition = f"attachment;fileName={package.file_name(ebd_id)}"
        return web.Response(
            body=body, content_type="application/octet-stream", headers={"Content-Disposition": disposition}
        )

    def _answer(self, address: str, raw: bytes) -> tuple[Element, str]:
        try:
            files = package.unpack(raw)
            envelope = ebd.read(files.body)
        except Unreadable as problem:
            return response(Result.UNREADABLE, str(problem)), ""
        return self._react(address, envelope, files), envelope.ebd_id

    def _react(self, address: str, envelope: Envelope, files: package.Package) -> Element:
        for fault, result in REFUSALS.items():
            if fault in self._faults:
                return response(result, fault)
        if "signed" in self._faults and not files.signature and envelope.kind != "ConnectionCheck":
            return response(Result.SIGNATURE, "no signature")
        if envelope.kind == "EBM":
            return self._take(address, envelope.body, files)
        if envelope.kind == "EBMStateRequest":
            return self._tell(text_at(envelope.body, "EBM", "EBMID"))
        return response(Result.DONE, "OK")

    def _take(self, address: str, ebm: Element, files: package.Package) -> Element:
        message = _fields(ebm)
        if not all(message[name] for name in ("EBMID", "MsgType", "EndTime", "AreaCode")):
            return response(Result.INCOMPLETE, "a field is missing")
        if message["EBMID"] in self._airings:
            return response(Result.DONE, "known")
        airing = Airing(message["EBMID"], message["AreaCode"], time.monotonic())
        self._airings[airing.ebm_id] = airing
        self._collect(address, message | {"attachments": ",".join(files.attachments)})
        if message["MsgType"] == str(int(MsgType.CANCEL)):
            if message["Related"] not in self._airings:
                return response(Result.INCOMPLETE, "unknown message")
            self._airings[message["Related"]].cancelled = True
        elif self.callback_url and "silent" not in self._faults:
            task = asyncio.create_task(self._push_when_done(airing))
            self._pushes.add(task)
            task.add_done_callback(self._pushes.discard)
        return response(Result.DONE, "OK")

    def _collect(self, address: str, message: dict[str, str]) -> None:
        self.count += 1
        entry = {
            "at": self.now(),
            "channel": "broadcast",
            "address": address,
            "text": message["MsgDesc"],
            "key": "",
            "alert": "",
        }
        if self._keep:
            self.messages.append(message)
            self.received.append(entry)
        if self._log:
            self._log.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def _tell(self, ebm_id: str) -> Element:
        self.questions += 1
        if ebm_id not in self._airings:
            return response(Result.INCOMPLETE, "unknown message")
        state, airing = self.state_of(ebm_id), self._airings[ebm_id]
        coverage = [
            node("CoverageRate", self._coverage if state is BrdState.PLAYED else "0"),
            node("AreaCode", airing.area),
        ]
        return node(
            "EBMStateResponse",
            node("RptTime", write_time(self.now(), ZONE)),
            node("EBM", node("EBMID", ebm_id)),
            node("BrdStateCode", str(int(state))),
            node("BrdStateDesc", state.name.lower()),
            node("Coverage", *coverage),
        )

    def _dress(self, body: Element, related: str = "") -> tuple[str, bytes]:
        self._serial += 1
        ebd_id = f"10{EBRID}{self._serial:016}"
        envelope = Envelope(ebd_id, EBRID, write_time(self.now(), ZONE), body, related=related)
        return ebd_id, package.pack(ebd_id, ebd.write(envelope))

    async def _push_when_done(self, airing: Airing) -> None:
        await asyncio.sleep(self._steps[-1])
        for _ in range(2 if "double" in self._faults else 1):
            ebd_id, raw = self._dress(self._tell(airing.ebm_id))
            form = aiohttp.FormData()
            form.add_field("file", raw, filename=package.file_name(ebd_id), content_type="application/x-tar")
            try:
                async with self._http.post(self.callback_url, data=form) as answer:
                    self.callback_answers.append(answer.status)
            except aiohttp.ClientError:
                self.callback_answers.append(0)


async def _uploaded(request: web.Request) -> bytes:
    upload = (await request.post()).get("file")
    if not isinstance(upload, web.FileField):
        return b""
    with upload.file as file:
        return await asyncio.to_thread(file.read)


def _fields(ebm: Element) -> dict[str, str]:
    """The fields of an EBM by name."""
    paths = {"EBMID": (), "Related": ("RelatedInfo", "EBMID")}
    paths |= {name: ("MsgBasicInfo", name) for name in ("MsgType", "SenderName", "SenderCode", "SendTime", "EventType")}
    paths |= {name: ("MsgBasicInfo", name) for name in ("Severity", "StartTime", "EndTime")}
    paths |= {name: ("MsgContent", name) for name in ("LanguageCode", "MsgTitle", "MsgDesc", "AreaCode")}
    return {name: text_at(ebm, *(path or (name,))) for name, path in paths.items()}
