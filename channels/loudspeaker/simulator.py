"""A whole village of loudspeakers on one MQTT connection, with its broker. For tests, the demo and `tongluo simulate`.

Each device obeys `terminal`'s law with the real signature, says `received` and, after its playing time, `played`. Faults,
separated by commas: `silent` (plays, says nothing), `offline` (hears nothing), `broken` (cannot play), `double` (says all
twice), each also for a share of the devices (`offline=0.3`); `slow=SECONDS` (plays that much later); `stop` (the embedded
broker answers nothing any more).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO
from urllib.parse import unquote, urlsplit

import structlog

from channels.loudspeaker import keys
from channels.loudspeaker.broker import Broker
from channels.loudspeaker.faults import Faults, fraction
from channels.loudspeaker.instruction import Forged, Order, claims
from channels.loudspeaker.playing import Ears, Timetable
from channels.loudspeaker.session import Link
from channels.loudspeaker.terminal import Disobeyed, Terminal
from channels.loudspeaker.wire import Arrival, Letter, Login
from gateway.channel import Clock, Instant, Misconfigured, Unavailable, moment

ROUND = 2_000
ANSWERED = {"expired": "expired", "withdrawn": "withdrawn", "foreign": "foreign"}
"""Refusals that a device answers; to a replay it repeats what it said, to the rest it says nothing."""


class Village:
    """`async with Village(devices=3) as village:`, then point a channel at `village.settings()`.

    devices: how many, their names, names with regions, or None = every name that is called is a device.
    broker: `mqtt://[user:password@]host:port` of another broker; None = an embedded one on `port`.
    public_key (PEM or raw): what the devices trust, or key_file: the channel's signing key file, for its public half; without
    both, the first key that is announced on `{topic}/key`, and no other after it: enough for a simulator, not for a village.
    delay, spread: a device plays for `delay` seconds and up to `spread` more, always the same for one device.
    fetch: download the audio, from loopback only, and check its hash. clock: the devices' clock (default: this machine's).
    log: a file that gets one JSON line for each instruction that is obeyed.

    received: what was obeyed; refused: `{at, address, reason, key}`; stopped: the same for stop instructions that silenced
    something; played: keys; repeats: how often a key came again and was not played again; missed: how many instructions went
    to devices that are offline or do not exist.
    """

    def __init__(
        self,
        port: int = 0,
        log: str | Path | None = None,
        faults: str = "",
        *,
        broker: str | None = None,
        devices: int | Iterable[str] | Mapping[str, str] | None = None,
        topic: str = "tongluo",
        public_key: bytes | None = None,
        key_file: str | Path | None = None,
        delay: float = 0.5,
        spread: float = 0.0,
        fetch: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.received: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.stopped: list[dict[str, Any]] = []
        self.played: list[str] = []
        self.repeats = self.missed = 0
        self.faults = Faults.parse(faults)
        self._port, self._url, self._topic, self._clock = port, broker, topic, clock
        self._delay, self._spread = delay, spread
        self._log_file = Path(log) if log else None
        self._key_file = Path(key_file) if key_file else None
        self._trusted = keys.public_key(public_key) if public_key else None
        self._terminals = {name: Terminal(name, region) for name, region in _named(devices)}
        self._anybody = devices is None
        self._ears = Ears() if fetch else None
        self._timetable = Timetable()
        self._outbox: list[Letter] = []
        self._lines: list[str] = []
        self._wake = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Village:
        async with contextlib.AsyncExitStack() as stack:
            self._folder = await asyncio.to_thread(TemporaryDirectory, prefix="tongluo-village-")
            stack.push_async_callback(asyncio.to_thread, self._folder.cleanup)
            self._journal = await asyncio.to_thread(self._open_log)
            stack.push_async_callback(asyncio.to_thread, self._close_log)
            self._embedded = None if self._url else await stack.enter_async_context(Broker(self._port))
            if self._ears:
                await stack.enter_async_context(self._ears)
            self._login = _login(self._url, self._embedded)
            self._link = await stack.enter_async_context(self._join())
            await self._link.wire(hold=15.0)
            work = asyncio.create_task(self._work())
            stack.push_async_callback(_end, work)
            self.set_faults(",".join(f"{name}={value}" for name, value in self.faults.values.items()))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._embedded:
            self._embedded.frozen = False
        else:
            with contextlib.suppress(Unavailable, Misconfigured):
                await self._link.publish([self._presence(name, "0") for name in self._terminals])
        await self._stack.aclose()

    def _join(self) -> Link:
        filters = (f"{self._topic}/key", f"{self._topic}/+/play")
        return Link(self._login, filters, self._take, structlog.get_logger("village"))

    def settings(self) -> dict[str, Any]:
        """The channel configuration that reaches this village. The channel makes the signing key if it is not there."""
        named = {"username": self._login.username, "password": self._login.password}
        return {
            "type": "loudspeaker",
            "host": self._login.host,
            "port": self._login.port,
            "topic": self._topic,
            "signing_key_file": str(self._key_file or Path(self._folder.name) / "signing.pem"),
            **{name: value for name, value in named.items() if value},
        }

    @property
    def trusts(self) -> bool:
        """Whether the devices hold a public key by now."""
        return self._trusted is not None

    def set_faults(self, text: str) -> None:
        """From now on these faults and no others. Raises ValueError for unknown ones."""
        self.faults = Faults.parse(text)
        if self._embedded:
            self._embedded.frozen = self.faults.stop
        self._outbox += [self._presence(name) for name in self._terminals]
        self._wake.set()

    def _presence(self, name: str, value: str = "") -> Letter:
        value = value or ("0" if self.faults.hits("offline", name) else "1")
        return Letter(0, f"{self._topic}/{name}/online", value.encode(), retain=True)

    def _now(self) -> Instant:
        return self._clock.now() if self._clock else int(time.time() * 1000)

    async def _take(self, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals:
            device, _, kind = arrival.topic.removeprefix(f"{self._topic}/").partition("/")
            if kind == "play":
                await self._hear(device, arrival.payload)
            elif device == "key" and not kind:
                await self._trust(arrival.payload)
        self._wake.set()

    async def _trust(self, announced: bytes) -> None:
        """Hold on to the configured key, or to the first one announced."""
        if self._trusted is None:
            with contextlib.suppress(ValueError, OSError):
                own = await asyncio.to_thread(keys.public_half, self._key_file) if self._key_file else None
                self._trusted = own or keys.public_key(announced)

    async def _hear(self, name: str, payload: bytes) -> None:
        terminal = self._terminal(name)
        if terminal is None or self.faults.hits("offline", name):
            self.missed += 1
            return
        if self._trusted is None:
            self._refuse(terminal, "no_key", claims(payload))
            return
        try:
            self._obey(terminal, terminal.judge(payload, self._trusted, self._now()))
        except Forged as forged:
            self._refuse(terminal, forged.why, claims(payload))
        except Disobeyed as disobeyed:
            self._refuse(terminal, disobeyed.why, disobeyed.order)

    def _terminal(self, name: str) -> Terminal | None:
        if name not in self._terminals and self._anybody:
            self._terminals[name] = Terminal(name)
            self._outbox.append(self._presence(name))
        return self._terminals.get(name)

    def _refuse(self, terminal: Terminal, why: str, order: Mapping[str, Any]) -> None:
        key, ticket = str(order.get("key", "")), str(order.get("ticket", ""))
        self.refused.append({"at": _rfc3339(self._now()), "address": terminal.name, "reason": why, "key": key})
        if key in terminal.answers:
            self._repeat(terminal, key)
        elif why in ("altered", "unsigned", *ANSWERED) and key and ticket:
            reason = ANSWERED.get(why, "signature")
            self._send(terminal, terminal.status({"key": key, "ticket": ticket}, "failed", self._now(), reason))

    def _obey(self, terminal: Terminal, order: Order) -> None:
        if order["do"] == "stop":
            terminal.silence(order)
            self._fall_silent(terminal, order["key"])
        elif order["key"] in terminal.answers:
            self.repeats += 1
            self._repeat(terminal, order["key"])
        else:
            for key in terminal.playing_of(order["supersedes"]):
                self._fall_silent(terminal, key)
            self._begin(terminal, order)

    def _begin(self, terminal: Terminal, order: Order) -> None:
        self._record(terminal, order)
        terminal.playing[order["key"]] = order
        self._say(terminal, order, "received")
        seconds = self._delay + self._spread * fraction("spread", terminal.name) + self.faults.slow
        self._timetable.add(seconds, terminal, order["key"])

    def _fall_silent(self, terminal: Terminal, key: str) -> None:
        order = terminal.playing.pop(key, None)
        if order is not None:
            self.stopped.append({"at": _rfc3339(self._now()), "address": terminal.name, "key": key})
            self._say(terminal, order, "stopped")
        elif key in terminal.answers:
            self._repeat(terminal, key)

    async def _finish(self, terminal: Terminal, key: str) -> None:
        order = terminal.playing.pop(key, None)
        if order is None:
            return
        broken = self.faults.hits("broken", terminal.name)
        if broken or (self._ears and order["audio"] and not await self._ears.hear(order["audio"])):
            self._say(terminal, order, "failed", "playback")
        else:
            self.played.append(key)
            self._say(terminal, order, "played")

    def _say(self, terminal: Terminal, order: Mapping[str, Any], state: str, reason: str = "") -> None:
        terminal.answers[order["key"]] = terminal.status(order, state, self._now(), reason)
        self._repeat(terminal, order["key"])

    def _repeat(self, terminal: Terminal, key: str) -> None:
        self._send(terminal, terminal.answers[key])

    def _send(self, terminal: Terminal, status: Mapping[str, Any]) -> None:
        if self.faults.hits("silent", terminal.name):
            return
        letter = Letter(0, f"{self._topic}/{terminal.name}/status", json.dumps(status).encode())
        self._outbox += [letter] * (2 if self.faults.hits("double", terminal.name) else 1)

    def _record(self, terminal: Terminal, order: Order) -> None:
        item = {
            "at": _rfc3339(self._now()),
            "channel": "loudspeaker",
            "address": terminal.name,
            "text": order["text"],
            "key": order["key"],
            "alert": order["alert"],
        }
        self.received.append(item)
        self._lines.append(json.dumps(item, ensure_ascii=False) + "\n")

    async def _work(self) -> None:
        """Play what is due, write the log, publish what devices have to say; what the broker did not take, again."""
        while True:
            await self._timetable.wait(self._wake, at_once=bool(self._outbox or self._lines))
            for terminal, key in self._timetable.due():
                await self._finish(terminal, key)
            await self._write_log()
            letters, self._outbox = self._outbox[:ROUND], self._outbox[ROUND:]
            self._outbox = await self._post(letters) + self._outbox

    async def _post(self, letters: list[Letter]) -> list[Letter]:
        """The letters that were not confirmed."""
        numbered = [letter._replace(mark=mark) for mark, letter in enumerate(letters)]
        taken = set[int]()
        with contextlib.suppress(Unavailable, Misconfigured):
            taken = set(await self._link.publish(numbered, hold=0.5))
        return [letter for letter in numbered if letter.mark not in taken]

    async def _write_log(self) -> None:
        lines, self._lines = self._lines, []
        if lines and self._journal:
            await asyncio.to_thread(_append, self._journal, lines)

    def _open_log(self) -> TextIO | None:
        return self._log_file.open("a", encoding="utf-8") if self._log_file else None

    def _close_log(self) -> None:
        if self._journal:
            _append(self._journal, self._lines)
            self._journal.close()


def _named(devices: int | Iterable[str] | Mapping[str, str] | None) -> Iterator[tuple[str, str]]:
    if isinstance(devices, Mapping):
        yield from devices.items()
    elif isinstance(devices, int):
        yield from ((f"speaker-{number}", "") for number in range(1, devices + 1))
    else:
        yield from ((name, "") for name in devices or ())


def _login(url: str | None, embedded: Broker | None) -> Login:
    name = f"village-{uuid.uuid4().hex[:12]}"
    if embedded:
        return Login("127.0.0.1", embedded.port, name, lasting=False)
    parts = urlsplit(url or "")
    if parts.scheme != "mqtt" or not parts.hostname:
        raise ValueError(f"{url!r} is no broker; write mqtt://host:port")
    username, password = (value and unquote(value) for value in (parts.username, parts.password))
    return Login(parts.hostname, parts.port or 1883, name, username, password, lasting=False)


def _rfc3339(at: Instant) -> str:
    return moment(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _append(file: TextIO, lines: Sequence[str]) -> None:
    file.writelines(lines)
    file.flush()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
