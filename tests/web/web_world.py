"""A small world for the tests of the web room: one town of alerts in memory, behind the same ports as the real gateway, served on a
real socket. The end-to-end tests use the real store instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
from web_data import (
    ADMIN,
    ALERT,
    CHANNELS,
    DEAD_LETTERS,
    DRILL,
    HELD,
    NOW,
    RELEASED,
    SOURCE,
    STATES,
    STREETS,
    TICKET,
    VIEWER,
    alert_row,
    detail,
    place,
    region_row,
)

from gateway.errors import Refused, Unstorable
from gateway.model.alert import AlertState, CancelKind, Finding, Weight
from gateway.model.time import Instant, rfc3339
from gateway.ports import Accepted, Attachment, Event, Json, Principal
from gateway.web import WebSettings, application, listen


@dataclass
class World:
    """The ports, in memory. Tests change it and look at what came in."""

    rows: dict[str, Json] = field(default_factory=lambda: {
        ALERT: alert_row(ALERT, "released", "铁西区气象局发布暴雨橙色预警"),
        HELD: alert_row(HELD, "held", "铁西区气象局发布雷电黄色预警", grade="yellow", event="雷电"),
        DRILL: alert_row(DRILL, "released", "铁西区防汛演练", status="Exercise", grade="blue"),
    })  # fmt: skip
    accepted: list[tuple[bytes, str, tuple[Attachment, ...]]] = field(default_factory=list)
    done: list[tuple[str, str, str, str]] = field(default_factory=list)
    calls: list[tuple[str, str, str, dict[str, str], bytes]] = field(default_factory=list)
    tickets: dict[str, Principal] = field(default_factory=lambda: {TICKET: ADMIN})
    sessions: dict[str, Principal] = field(default_factory=lambda: {"session-viewer": VIEWER, "session-admin": ADMIN})
    raw_bytes: bytes = b'<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><script>alert(1)</script></alert>'
    keys: dict[str, Principal] = field(
        default_factory=lambda: {"key-admin": ADMIN, "key-met": SOURCE, "key-view": VIEWER}
    )
    trouble: Exception | None = None
    ready_now: bool = True
    frames: list[Event] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    followed: list[tuple[str, str, int, int]] = field(default_factory=list)
    streams: int = 0
    estimate: float = 0.8843
    hostile: str = ""

    # the desk
    async def accept(
        self, raw: bytes, by: Principal, *, attachments: Sequence[Attachment] = (), via: str = "http"
    ) -> Accepted:
        self._trouble()
        if b"not cap" in raw:
            finding = Finding("not_cap", Weight.ERROR, "/note", 1, "根元素不是 alert")
            raise Refused("not_cap", 422, "不是 CAP,未收到预警。", "This is not CAP; no alert was taken.", [finding])
        known = any(before == raw for before, *_ in self.accepted)
        self.accepted.append((raw, by.id, tuple(attachments)))
        warning = Finding("time_with_z", Weight.WARNING, "/alert/sent", 5, "时间写作 Z")
        return Accepted(ALERT, "id-1", AlertState.RELEASED, not known, "f" * 64, (warning,))

    async def preview(self, raw: bytes, by: Principal) -> Json:
        return {
            "would": "release",
            "why": "",
            "findings": [],
            "regions": ["210106"],
            "people": 281_900,
            "endpoints": {},
            "texts": {},
        }

    async def approve(self, alert: str, by: Principal, note: str = "") -> Json:
        return self._do("approve", alert, by, note, "released")

    async def reject(self, alert: str, by: Principal, note: str = "") -> Json:
        return self._do("reject", alert, by, note, "rejected")

    async def stop(self, alert: str, by: Principal, note: str = "") -> Json:
        return self._do("stop", alert, by, note, "stopped")

    async def cancel(self, alert: str, by: Principal, kind: CancelKind, note: str = "") -> Json:
        return self._do(f"cancel {kind}", alert, by, note, "cancelled")

    async def replay(self, letter: str, by: Principal) -> Json:
        self._trouble()
        self.done.append(("replay", letter, by.id, ""))
        return {"id": letter, "state": "replayed"}

    def _do(self, what: str, alert: str, by: Principal, note: str, state: str) -> Json:
        self._trouble()
        self.done.append((what, alert, by.id, note))
        self.rows[alert] = {**self.rows[alert], "state": state}
        return self.rows[alert]

    def _trouble(self) -> None:
        if self.trouble:
            raise self.trouble

    # the keys
    async def principal(self, key: str) -> Principal | None:
        return self.keys.get(key)

    async def sign_in(self, ticket: str) -> tuple[str, Principal] | None:
        who = self.tickets.pop(ticket, None)
        if who is None:
            return None
        self.sessions[f"session-of-{ticket}"] = who
        return f"session-of-{ticket}", who

    async def session(self, token: str) -> Principal | None:
        return self.sessions.get(token)

    async def sign_out(self, token: str) -> None:
        self.sessions.pop(token, None)

    # the reads
    async def alerts(self, by: Principal, filters: Mapping[str, str], limit: int, cursor: str) -> Json:
        self._trouble()
        state = filters.get("state", "")
        state = "released" if state == "active" else state
        rows = [row for row in self.rows.values() if state in {"", row["state"]}]
        if "sent" in filters:
            rows = [row for row in rows if row["sent"] == filters["sent"]]
        start = int(cursor or 0)
        return {"items": rows[start : start + limit], "next": str(start + limit) if start + limit < len(rows) else None}

    async def alert(self, by: Principal, alert: str) -> Json | None:
        self._trouble()
        return detail(self.rows[alert], self.hostile) if alert in self.rows else None

    async def raw(self, by: Principal, alert: str) -> bytes | None:
        return self.raw_bytes if alert in self.rows else None

    async def coverage(
        self, by: Principal, alert: str, region: str, depth: int, as_of: Instant | None, known_at: Instant | None
    ) -> Json | None:
        if self.rows.get(alert, {}).get("state") not in {"released", "cancelled"}:
            return None
        whole = region_row("210106", "铁西区", 424_900, 0.7128, self.estimate, 0.9709, 6) | {
            "level": "county",
            "leaves_total": 178,
        }
        children = [
            region_row(code, name, people, lo, est, hi, blind)
            for code, name, _, _, people, lo, est, hi, blind in STREETS
        ]
        if region not in {"", "210106"}:
            whole, children = next(row for row in children if row["id"] == region), []
        return {
            "as_of": rfc3339(as_of or NOW),
            "known_at": rfc3339(known_at or NOW),
            "released_at": rfc3339(RELEASED),
            "deadline_at": rfc3339(RELEASED + 900_000),
            "cutoff": rfc3339(NOW + 19_000_000),
            "region": whole,
            "children": children if depth else [],
        }

    async def curve(self, by: Principal, alert: str, region: str) -> Json | None:
        if self.rows.get(alert, {}).get("state") != "released":
            return None
        times = [float(at) for at in range(0, 405, 4)]
        share = [1 - 2 ** (-at / 90) for at in times]
        return {
            "t": times,
            "lo": [0.7472 * value for value in share],
            "est": [0.9258 * value for value in share],
            "hi": [0.9709 + 0 * value for value in share],
            "goal_bp": 9200,
            "deadline_s": 900,
        }

    async def channels_of(self, by: Principal, alert: str) -> list[Json] | None:
        return CHANNELS if alert in self.rows else None

    async def deliveries(
        self, by: Principal, alert: str, filters: Mapping[str, str], limit: int, cursor: str
    ) -> Json | None:
        times = {"sent": rfc3339(RELEASED + 900), "delivered": rfc3339(RELEASED + 12_400)}
        row = {"endpoint": 7, "unit": "100****1234", "channel": filters.get("channel", "sms"), "region": "210106001017",
               "state": "done", "level": "delivered", "reason": None, "attempts": 1, "times": times}  # fmt: skip
        return {"items": [row], "next": None} if alert in self.rows else None

    async def log(self, by: Principal, alert: str, limit: int, cursor: str) -> Json | None:
        items = [
            {"id": 9, "at": rfc3339(NOW - 60_000), "level": "error", "code": "channel_down",
             "args": {"channel": "county-broadcast", "why": "连接被拒绝"}},
            {"id": 3, "at": rfc3339(RELEASED + 700), "level": "info", "code": "planned",
             "args": {"endpoints": 295_630, "channels": "sms, village-speakers, wechat, county-broadcast"}},
            {"id": 2, "at": rfc3339(RELEASED), "level": "info", "code": "alert_released", "args": {"why": "released"}},
            {"id": 1, "at": rfc3339(RELEASED - 4_000), "level": "info", "code": "x_future", "args": {"n": 1}},
        ]  # fmt: skip
        return {"items": items[:limit], "next": None} if alert in self.rows else None

    async def channels(self, by: Principal) -> list[Json]:
        return STATES

    async def dead_letters(self, by: Principal) -> list[Json]:
        return DEAD_LETTERS

    async def regions(self, by: Principal, parent: str) -> list[Json]:
        tree: dict[str, list[Json]] = {
            "": [place("210000", "辽宁省", "province", None, None, 14)],
            "210000": [
                place("210100", "沈阳市", "city", None, None, 13),
                place("210400", "抚顺市", "city", None, None, 7),
            ],
            "210100": [place("210106", "铁西区", "county", None, None, len(STREETS))],
            "210106": [place(code, name, "town", lat, lon, 12) for code, name, lat, lon, *_ in STREETS],
        }
        return tree.get(parent, [])

    async def readiness(self, by: Principal) -> Json:
        spots = [
            {"id": "210106028201", "name": "大潘社区", "people": 2_310},
            {"id": "210106028202", "name": "高花村", "people": 1_204},
        ]
        counties = [
            {"id": "210106", "name": "铁西区", "k1": 0.992, "k2": 0.910},
            {"id": "210423", "name": "清原满族自治县", "k1": 0.961, "k2": 0.703},
            {"id": "210323", "name": "岫岩满族自治县", "k1": 0.948, "k2": 0.655},
        ]
        return {
            "k1": 0.9812,
            "k2": 0.8449,
            "people": 1_634_000,
            "blind_spots": spots,
            "counties": counties,
            "sample": True,
        }

    async def ready(self) -> Json:
        return {"ready": self.ready_now, "parts": {"store": {"ok": self.ready_now, "detail": ""}}}

    # the feed
    async def follow(self, by: Principal, alert: str, region: str, depth: int, after: int) -> AsyncIterator[Event]:
        self.followed.append((alert, region, depth, after))
        self.streams += 1
        try:
            sent = after
            while True:
                for frame in [frame for frame in self.frames if frame.id > sent]:
                    sent = frame.id
                    yield frame
                self.news.clear()
                await self.news.wait()
        finally:
            self.streams -= 1

    def happen(self, name: str, payload: Json) -> None:
        """One more frame for everybody who follows."""
        self.frames.append(Event(len(self.frames) + 1, name, payload))
        self.news.set()

    # the callbacks
    async def callback(
        self, name: str, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes, str, Mapping[str, str]] | None:
        if name != "wechat":
            return None
        self._trouble()
        self.calls.append((name, method, path, dict(query), body))
        return 200, b"success", "text/plain", {"X-Far": headers.get("x-far", "")}


class House:
    """A served world: where it listens, what is in it, and ways to ask."""

    def __init__(self, url: str, world: World, http: aiohttp.ClientSession) -> None:
        self.url, self.world, self.http = url, world, http

    def ask(self, path: str, *, method: str = "GET", key: str = "key-admin", session: str = "", **more: Any) -> Any:
        """A request with a key, or with a session's cookie if `session` is given; use it as `async with`."""
        headers = dict(more.pop("headers", {}))
        if session:
            headers["Cookie"] = f"tongluo_session={session}"
        elif key:
            headers["Authorization"] = f"Bearer {key}"
        return self.http.request(method, self.url + path, headers=headers, allow_redirects=False, **more)


def settings(**changes: Any) -> WebSettings:
    """Settings of the tests: Shanghai time, a clock that stands still, sample data."""
    plain = WebSettings(version="0.1.0", zone=ZoneInfo("Asia/Shanghai"), sample_data=True, clock=lambda: NOW)
    return replace(plain, **changes)


@asynccontextmanager
async def serve(
    world: World | None = None, *, port: int = 0, header_seconds: float = 15.0, **changes: Any
) -> AsyncIterator[House]:
    """The application over a world, on a free port of loopback."""
    world = world or World()
    app = application(world, world, world, world, world, settings=settings(**changes))
    async with listen(app, port=port, header_seconds=header_seconds) as url, aiohttp.ClientSession() as http:
        yield House(url, world, http)


def store_full() -> Unstorable:
    """What a full disk looks like."""
    return Unstorable("disk full: /secret/path", retry_after=7)
