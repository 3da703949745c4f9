"""A whole gateway in one process for end-to-end tests: a data folder, a clock moved by hand, and the simulators that ship as its
far sides. A test reads: post CAP, expect an SMS, expect a loudspeaker, forward ten minutes, expect the expiry.

    async with town(tmp_path, "sms", "speakers") as it:
        alert = await it.post(message)
        await it.expect_sms(phone(1), "暴雨橙色预警")
        await it.forward(minutes=10)
        await it.expect_state(alert, "expired")
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp

from gateway.app import Gateway, open_gateway
from gateway.app.channels import SIMULATORS, plugin
from gateway.app.gateway import free_port
from gateway.model.time import Instant, instant, rfc3339
from gateway.ports.desk import Json, Principal, Role
from gateway.settings import Settings
from gateway.testing import hamlet
from gateway.testing.clock import ManualClock

ZONE = ZoneInfo("Asia/Shanghai")
PATIENCE = 15.0
"""Seconds that an expectation waits before it fails."""

SINKS = {"sms": "10000009999", "speakers": "sink-speaker", "wechat": "o-sink", "pager": "sink"}
TYPES = {"sms": "sms", "speakers": "loudspeaker", "wechat": "wechat", "pager": "webhook", "broadcast": "broadcast"}
CALLERS = ("wechat", "pager")
"""Far sides that bring their receipts to us."""

EVERYTHING: dict[str, Any] = {
    "regions": ["21"],
    "events": ["*"],
    "grades": ["red", "orange", "yellow", "blue", "unknown"],
}
SOURCES: tuple[dict[str, Any], ...] = ({"name": "met", **EVERYTHING}, {"name": "water", **EVERYTHING})


def clock_at(hour: int, minute: int = 0) -> ManualClock:
    """A manual clock that stands at that local time of tomorrow: simulators keep real time and must not find messages expired."""
    day = datetime.now(UTC).astimezone(ZONE) + timedelta(days=1)
    return ManualClock(instant(day.replace(hour=hour, minute=minute, second=0, microsecond=0)))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the HTTP API answered."""

    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass(slots=True)
class Town:
    """The running gateway and everything around it."""

    folder: Path
    clock: ManualClock
    settings: Settings
    far: dict[str, Any]
    http: aiohttp.ClientSession
    gateway: Gateway = field(init=False)
    admin: str = ""
    _port: int = 0
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def open(self) -> None:
        """Start the gateway, on the same data and port as before if it ran already."""
        self._port = self._port or free_port("127.0.0.1")
        running = open_gateway(self.settings, self.folder / "data", clock=self.clock, host="127.0.0.1", port=self._port)
        self.gateway = await self._running.enter_async_context(running)
        self.admin = (await asyncio.to_thread((self.folder / "data" / "admin.key").read_text)).strip()
        for name in self.far.keys() & set(CALLERS):
            self.far[name].callback_url = f"{self.gateway.url}/callbacks/{name}"

    async def close(self) -> None:
        """Stop the gateway; the far sides stay."""
        await self._running.aclose()

    async def restart(self) -> None:
        """Stop the gateway and start it again on what it left."""
        await self.close()
        await self.open()

    # -- asking

    async def key(
        self, name: str, *roles: str, source: str = "", sandbox: bool = False, regions: Sequence[str] = ()
    ) -> str:
        """A new API key; `source` = the source it posts for, besides its `roles`."""
        held = frozenset(Role(role) for role in (*roles, *(["source"] if source else [])))
        _, key = await self.gateway.keys.create(Principal(name, name, held, source, tuple(regions), sandbox))
        return key

    async def ask(self, method: str, path: str, *, key: str | None = None, **options: Any) -> Answer:
        """One request to the API, as the administrator unless `key` says otherwise."""
        headers = {"Authorization": f"Bearer {self.admin if key is None else key}", **options.pop("headers", {})}
        url = (
            path
            if path.startswith("http")
            else self.gateway.url + (path if path.startswith("/") else f"/api/v1/{path}")
        )
        async with self.http.request(method, url, headers=headers, **options) as answer:
            is_json = "json" in answer.content_type
            return Answer(answer.status, await (answer.json() if is_json else answer.read()), dict(answer.headers))

    async def read(self, path: str, **query: str) -> Any:
        """What `GET /api/v1/{path}` answers."""
        answer = await self.ask("GET", path, params=query)
        assert answer.status == 200, answer
        return answer.body

    async def posted(
        self, message: str | bytes, *, key: str | None = None, kind: str = "application/cap+xml"
    ) -> Answer:
        """Post a message, whatever comes of it."""
        raw = message.encode() if isinstance(message, str) else message
        return await self.ask("POST", "alerts", key=key, data=raw, headers={"Content-Type": kind})

    async def post(self, message: str | bytes, *, key: str | None = None, state: str = "released") -> str:
        """Post a message that must be accepted into `state`; returns the alert's id."""
        answer = await self.posted(message, key=key)
        assert (answer.status, answer.body.get("state")) == (202, state), answer
        return str(answer.body["id"])

    async def act(self, deed: str, alert: str, *, key: str | None = None, **body: str) -> Answer:
        """Approve, reject, stop or cancel."""
        return await self.ask("POST", f"alerts/{alert}/{deed}", key=key, json=body)

    async def alert(self, id: str) -> Json:
        """All that the API says of an alert."""
        return dict(await self.read(f"alerts/{id}"))

    async def coverage(self, id: str, region: str = "", **query: str) -> Json:
        """The coverage frame of an alert."""
        return dict(await self.read(f"alerts/{id}/coverage", region=region, **query))

    async def metric(self, name: str, **labels: str) -> float | None:
        """The value of one series at /metrics, None if it is not there."""
        text = (await self.ask("GET", "/metrics")).body.decode()
        for line in text.splitlines():
            series, _, value = line.rpartition(" ")
            own, _, rest = series.partition("{")
            if own == f"tongluo_{name}" and all(f'{label}="{wanted}"' in rest for label, wanted in labels.items()):
                return float(value)
        return None

    # -- time

    @property
    def now(self) -> Instant:
        """The gateway's time."""
        return self.clock.now()

    async def forward(self, *, minutes: float = 0, seconds: float = 0, hours: float = 0) -> None:
        """Let time pass, then let the gateway do what became due."""
        self.clock.forward(seconds + minutes * 60 + hours * 3600)
        await self.settled()

    async def settled(self) -> None:
        """Wait until nothing is due any more: planned, handed over or put back, journalled and folded."""
        await self.until(self._settled, "nothing due")

    async def _settled(self) -> bool:
        await asyncio.sleep(0.02)  # steps that were just woken look at the clock first
        now, folder, channels = self.now, self.gateway.folder, self.gateway.couriers
        owner = self.gateway.ground.owner

        def quiet(tx: Any) -> bool:
            due = [batch for name in channels for batch in tx.outbox.due(name, owner, now, 1)]
            overdue = tx.alerts.overdue(now) or tx.outbox.any_overdue(now)
            planned = (tx.dispatches.next_due(owner) or now + 1) > now
            return planned and not (due or overdue or tx.journal.after(folder.seq, 1))

        return await self.gateway.store.read(quiet)

    async def until(self, condition: Callable[[], Awaitable[Any] | Any], what: str, patience: float = PATIENCE) -> Any:
        """Look again and again until `condition` holds; returns what it gave. Fails with `what` after `patience` seconds."""
        end = time.monotonic() + patience
        while True:
            found = condition()
            found = await found if isinstance(found, Awaitable) else found
            if found:
                return found
            assert time.monotonic() < end, f"waited {patience:g} s for: {what}"
            await asyncio.sleep(0.01)

    # -- expecting

    def sent(self, channel: str, address: str = "") -> list[str]:
        """The texts that a far side took (for one address), in order."""
        return [item["text"] for item in self.far[channel].received if address in ("", item["address"])]

    def reached(self, channel: str) -> list[str]:
        """The addresses that a far side was called for, sorted; twice if twice."""
        return sorted(item["address"] for item in self.far[channel].received)

    async def expect(self, channel: str, address: str = "", text: str = "") -> str:
        """Wait until the far side of `channel` takes `text` for `address`; returns the whole text."""

        def found() -> str:
            return next((sent for sent in self.sent(channel, address) if text in sent), "")

        return str(
            await self.until(found, f"{text!r} on {channel} for {address or 'anybody'}; got {self.sent(channel)}")
        )

    async def expect_sms(self, address: str, text: str = "") -> str:
        """Wait for an SMS."""
        return await self.expect("sms", address, text)

    async def expect_loudspeaker(self, device: str, text: str = "") -> str:
        """Wait until a loudspeaker obeys an instruction to play."""
        return await self.expect("speakers", device, text)

    async def expect_state(self, alert: str, state: str) -> None:
        """Wait until the alert is in `state`."""

        async def arrived() -> bool:
            return bool((await self.alert(alert))["state"] == state)

        await self.until(arrived, f"alert in state {state}")

    async def expect_coverage(self, alert: str, region: str = "", **people: float) -> Json:
        """Wait until the people reached are `lo`, `est` or `hi` as given; returns the region's figures."""

        async def risen() -> Json | None:
            shown = (await self.coverage(alert, region))["region"]
            figures = shown["people"] or {}
            return (
                shown if all(abs(figures.get(bound, -1) - wanted) < 1e-9 for bound, wanted in people.items()) else None
            )

        try:
            return dict(await self.until(risen, f"coverage {people}"))
        except AssertionError:
            raise AssertionError(f"people {people}, not {(await self.coverage(alert, region))['region']}") from None

    async def deliveries(self, alert: str, **filters: str) -> list[Json]:
        """Endpoint by endpoint."""
        return list((await self.read(f"alerts/{alert}/deliveries", limit="500", **filters))["items"])

    def at(self, **later: float) -> str:
        """A CAP time that much later than now."""
        return rfc3339(self.now + int(timedelta(**later) / timedelta(milliseconds=1)))


@asynccontextmanager
async def town(
    folder: Path,
    *channels: str,
    clock: ManualClock | None = None,
    sources: Sequence[Mapping[str, Any]] = SOURCES,
    far: Mapping[str, Mapping[str, Any]] | None = None,
    channel: Mapping[str, Mapping[str, Any]] | None = None,
    **settings: Any,
) -> AsyncIterator[Town]:
    """A gateway over the hamlet with these `channels` (default: sms): sms, speakers, wechat, pager, broadcast.

    far: options of simulators by channel; channel: further settings of channels; settings: sections of the settings file.
    """
    clock = clock or clock_at(14, 30)
    names = channels or ("sms",)
    async with AsyncExitStack() as stack:
        sides = {
            name: await stack.enter_async_context(
                await asyncio.to_thread(_far_side, name, clock, (far or {}).get(name, {}))
            )
            for name in names
        }
        platform = sides["broadcast"].address if "broadcast" in sides else "http://127.0.0.1:9/ebd"
        sinks = {**SINKS, "broadcast": platform}
        configured = {
            name: {**side.settings(), "sink": sinks[name], **(channel or {}).get(name, {})}
            for name, side in sides.items()
        }
        files = await asyncio.to_thread(hamlet.settle, folder, platform)
        quiet = {"speech": {"engine": "none"}, "canary": {"every": 0}}
        whole = {**quiet, **files, "sources": list(sources), "channels": configured, **settings}
        http = await stack.enter_async_context(aiohttp.ClientSession())
        it = Town(folder, clock, Settings.model_validate(whole), sides, http)
        stack.push_async_callback(it.close)
        await it.open()
        yield it


def _far_side(name: str, clock: ManualClock, options: Mapping[str, Any]) -> Any:
    """The simulator of a channel, quick and with nothing left to chance."""
    quick: dict[str, dict[str, Any]] = {
        "sms": {"delay": 0.01},
        "speakers": {"delay": 0.05, "clock": clock},
        "wechat": {"now": clock.now},
        "pager": {"secret": "0123456789abcdef0123456789abcdef", "now": clock.now},
        "broadcast": {"steps": (0.0, 0.05, 0.1), "now": clock.now},
    }
    return plugin(SIMULATORS, TYPES[name])(**(quick[name] | dict(options)))
