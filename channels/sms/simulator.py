"""A message centre for tests, the demo, benchmarks and `tongluo simulate sms`: real SMPP 3.4 on a loopback socket.

It answers in bulk, puts long messages together again, and sends receipts that it repeats until they are acknowledged.
What becomes of a message depends on the phone number alone, so that a run can be repeated. Faults (`SmsCentre(faults=)`,
`set_faults`), separated by commas; a SHARE is 0 to 1:

    throttle[=SHARE]  submit_sm is answered with ESME_RTHROTTLED    early[=SHARE]   receipts overtake the answer
    silent[=SHARE]    messages are accepted, no receipt comes       double[=SHARE]  receipts come twice
    slow=SECONDS      answers to submit_sm come late                lose=SHARE      receipts are lost
    refuse            binds are refused (ESME_RBINDFAIL)            hexdec          receipts write ids in decimal
    drop[=COUNT]      connections are cut, now and then again       unordered       receipts come in random order
                      after COUNT messages, without an answer
    blackhole         everything is read, nothing is answered
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import ssl
import time
import zlib
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from channels.sms.centre import Line, Stored
from channels.sms.faults import read_faults
from channels.sms.ids import canonical
from channels.sms.judging import (
    CHINA,
    DELETED,
    DELIVERED,
    ENROUTE,
    EXPIRED,
    NO_RECEIPT,
    UNDELIVERABLE,
    WORDS,
    deadline,
    objection,
    receipt_form,
)
from channels.sms.phone import Phone
from channels.sms.smpp import (
    ALERT_TLV,
    HEADER,
    INVALID_COMMAND_LENGTH,
    KEY_TLV,
    OK,
    SHORT,
    SUBMIT_SM_RESP,
    THROTTLED,
    Frame,
    Short,
    read_short,
    read_tlvs,
)

TICK = 0.005
"""Seconds between two looks at the receipts that are due."""
PATIENCE = 0.1
"""Seconds after which a receipt that was not acknowledged is sent again."""
SPREAD = 0.25
"""Seconds over which `unordered` receipts are strewn."""


class SmsCentre:
    """The far side of the `sms` channel.

    system_id, password: what a client must give, empty = anything; delay: seconds until a receipt; fail_share,
    silent_share: shares of the numbers that are absent (UNDELIV) or never answer, chosen by `seed`; keep: whether texts
    are kept in `received` (False = light mode: `accepted` and `delivered` only count); certificate: PEM file with key
    and certificate for TLS; zone: time zone of the dates in receipts.
    """

    def __init__(
        self,
        port: int = 0,
        log: str | Path | None = None,
        faults: str = "",
        *,
        host: str = "127.0.0.1",
        system_id: str = "",
        password: str = "",
        delay: float = 0.05,
        fail_share: float = 0.0,
        silent_share: float = 0.0,
        seed: int = 0,
        keep: bool = True,
        certificate: str | Path | None = None,
        zone: str = CHINA.key,
    ) -> None:
        self.host, self.port, self.system_id, self.password = host, port, system_id, password
        self.received: list[dict[str, Any]] = []
        self.accepted = self.delivered = 0
        self.faults = read_faults(faults)
        self.lines: set[Line] = set()
        self._log, self._delay, self._keep, self._certificate = log, delay, keep, certificate
        self._fail_share, self._silent_share, self._seed = fail_share, silent_share, seed
        self._zone, self._chance = ZoneInfo(zone), random.Random(seed)
        self._phone = Phone()
        self._number = time.time_ns() // 1000
        self._open: dict[bytes, Stored] = {}
        self._ended: dict[bytes, int] = {}
        self._due: dict[int, list[Stored]] = {}
        self._again: deque[tuple[int, Sequence[Stored]]] = deque()
        self._ready: deque[Stored] = deque()
        self._span = (0, 0)
        self._waiting: list[list[Stored]] = []
        self._light = not (keep or fail_share or silent_share)
        self._log_lines: list[str] = []
        self._stirred = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._clockwork: asyncio.Task[None] | None = None

    async def __aenter__(self) -> SmsCentre:
        trust = await asyncio.to_thread(self._identity) if self._certificate else None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Line(self), self.host, self.port, ssl=trust)
        self.port = self._server.sockets[0].getsockname()[1]
        self._clockwork = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.close()
        for line in tuple(self.lines):
            line.cut()
        if self._clockwork is not None:
            self._clockwork.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._clockwork
        while self.lines:
            await asyncio.sleep(0)
        await self._write_log()

    def settings(self) -> dict[str, Any]:
        """The settings of an `sms` channel that reaches this centre."""
        return {
            "type": "sms",
            "host": self.host,
            "port": self.port,
            "system_id": self.system_id or "gw",
            "password": self.password,
            "key_tlv": True,
        }

    @property
    def pending(self) -> int:
        """Receipts that have still to be handed over."""
        return sum(map(len, self._due.values())) + sum(len(some) for _, some in self._again) + len(self._ready)

    def sent_states(self) -> dict[str, int]:
        """message_state of every message whose receipt went out, by id as the channel spells it; kept with `keep`."""
        return {canonical(message_id.decode()): state for message_id, state in self._ended.items()}

    def set_faults(self, faults: str) -> None:
        """Change the faults while running. Raises ValueError for an unknown one."""
        self.faults = read_faults(faults)
        if self.faults.drop:
            for line in tuple(self.lines):
                line.cut()

    # -- what a connection asks

    def submit(self, data: bytes, frames: Sequence[Frame]) -> bytes:
        """Take a block of submit_sm; returns the answers."""
        self._stirred.set()
        if self._light and not self.faults.early and not self.faults.throttle and not self.faults.silent:
            return self._skim(data, frames)
        answers, now = [], time.time()
        for _, _, sequence, start, end in frames:
            status, message_id = self._take(data, start, end, now)
            body = message_id + b"\0"
            answers.append(HEADER.pack(16 + len(body), SUBMIT_SM_RESP, status, sequence) + body)
        if self.faults.early:
            self.hand_over()
        return b"".join(answers)

    def cancel(self, message_id: bytes) -> bool:
        """Delete a message that is not delivered yet."""
        stored = self._open.pop(message_id, None)
        if stored is None:
            return False
        self._finish([(*stored[:3], DELETED)])
        self._stirred.set()
        return True

    def state(self, message_id: bytes) -> int:
        """message_state of a message, 0 if there is none of this id."""
        return ENROUTE if message_id in self._open else self._ended.get(message_id, 0)

    def again(self, messages: Sequence[Stored]) -> None:
        """These receipts were not acknowledged: hand them over again a little later."""
        if messages:
            self._again.append((self._tick_at(time.time() + PATIENCE), messages))
            self._stirred.set()

    def hand_over(self) -> None:
        """Send the receipts that are due, as far as the clients take them."""
        for line in tuple(self.lines):
            count = min(line.room, len(self._ready))
            if count > 0:
                messages = [self._ready.popleft() for _ in range(count)]
                line.deliver(messages, self._receipts(messages))

    # -- inside

    def _skim(self, data: bytes, frames: Sequence[Frame]) -> bytes:
        """Take a block without looking into it: for loads of 100,000 messages a second."""
        answers, number, buckets = [], self._number, self._buckets(time.time())
        match, pack, opened, lot = SHORT.match, HEADER.pack, self._open, self._chance.random
        for _, _, sequence, start, end in frames:
            fields = match(data, start, end)
            number += 1
            message_id = b"%016X" % number
            answers.append(pack(33, SUBMIT_SM_RESP, OK, sequence) + message_id + b"\0")
            if fields is not None and fields[5] != b"\0":
                opened[message_id] = stored = (message_id, fields[2], fields[1], DELIVERED)
                buckets[int(lot() * len(buckets))].append(stored)
        self.accepted += number - self._number
        self._number = number
        return b"".join(answers)

    def _take(self, data: bytes, start: int, end: int, now: float) -> tuple[int, bytes]:
        """Judge one message and store it; command_status and id."""
        message = read_short(data, start, end)
        if message is None:
            return INVALID_COMMAND_LENGTH, b""
        if self.faults.throttle and self._happens(self.faults.throttle):
            return THROTTLED, b""
        if status := objection(message):
            return status, b""
        self._number += 1
        message_id = b"%016X" % self._number
        self.accepted += 1
        self._store(message, message_id, now)
        if self._keep:
            self._show(message, read_tlvs(data, message.options, end))
        return OK, message_id

    def _store(self, message: Short, message_id: bytes, now: float) -> None:
        faults, state = self.faults, self._fate(message, now)
        stored = (message_id, message.destination, message.source, state)
        if state == NO_RECEIPT or not message.registered or (faults.silent and self._happens(faults.silent)):
            if self._keep:
                self._open[message_id] = stored
        elif faults.early and self._happens(faults.early):
            self._finish([stored])
        else:
            self._open[message_id] = stored
            buckets = self._buckets(now)
            buckets[int(self._chance.random() * len(buckets))].append(stored)

    def _buckets(self, now: float) -> list[list[Stored]]:
        """Where receipts of messages that come now wait: one tick, or all those over which `unordered` strews them."""
        first = self._tick_at(now + self._delay)
        last = self._tick_at(now + self._delay + (SPREAD if self.faults.unordered else 0))
        if (first, last) != self._span:
            self._span = first, last
            self._waiting = [self._due.setdefault(tick, []) for tick in range(first, last + 1)]
        return self._waiting

    def _fate(self, message: Short, now: float) -> int:
        if now >= deadline(message.validity):
            return EXPIRED
        if not self._fail_share and not self._silent_share:
            return DELIVERED
        lot = zlib.crc32(message.destination, self._seed) / 2**32
        if lot < self._fail_share:
            return UNDELIVERABLE
        return NO_RECEIPT if lot < self._fail_share + self._silent_share else DELIVERED

    def _finish(self, messages: Sequence[Stored]) -> None:
        """The fate of these messages is settled: their receipts can go."""
        self._ready.extend(messages)
        if self._keep:
            self._ended.update((stored[0], stored[3]) for stored in messages)
        self.delivered += sum(stored[3] == DELIVERED for stored in messages)

    def _show(self, message: Short, tlvs: dict[int, bytes]) -> None:
        text = self._phone.take(message, tlvs)
        if text is None:
            return
        item = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "channel": "sms",
            "address": message.destination.decode("latin-1"),
            "text": text,
            "key": tlvs.get(KEY_TLV, b"").decode("utf-8", "replace"),
            "alert": tlvs.get(ALERT_TLV, b"").decode("utf-8", "replace"),
        }
        self.received.append(item)
        if self._log is not None:
            self._log_lines.append(json.dumps(item, ensure_ascii=False) + "\n")

    async def _tick(self) -> None:
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            while self._due or self._again or self._log_lines:
                await asyncio.sleep(TICK)
                self._release(self._tick_at(time.time()))
                await self._write_log()

    def _release(self, tick: int) -> None:
        """Receipts whose time has come are ready, unless their message was cancelled or the fault `lose` eats them."""
        faults, opened, lot = self.faults, self._open, self._chance.random
        for due in [due for due in self._due if due <= tick]:
            messages = [stored for stored in self._due.pop(due) if opened.pop(stored[0], None) is not None]
            self._span = (0, 0)
            if faults.unordered:
                messages.sort(key=lambda stored: lot())
            if faults.lose:
                messages = [stored for stored in messages if lot() >= faults.lose]
            self._finish(messages)
            if faults.double:
                self._ready.extend(stored for stored in messages if self._happens(faults.double))
        while self._again and self._again[0][0] <= tick:
            self._ready.extend(self._again.popleft()[1])
        self.hand_over()

    def _receipts(self, messages: Sequence[Stored]) -> list[bytes]:
        """Bodies of deliver_sm (SMPP 3.4 §4.6.1, appendix B)."""
        date = datetime.now(self._zone).strftime("%y%m%d%H%M%S").encode()
        forms = {state: receipt_form(state, date) for state in WORDS}
        decimal = bool(self.faults.hexdec)
        bodies = []
        for message_id, recipient, sender, state in messages:
            name = b"%d" % int(message_id, 16) if decimal else message_id
            form, length = forms[state]
            size = len(name)
            bodies.append(form % (recipient, sender, length + size, name, size + 1, name))
        return bodies

    async def _write_log(self) -> None:
        if self._log is not None and self._log_lines:
            lines, self._log_lines = self._log_lines, []
            await asyncio.to_thread(_append, Path(self._log), "".join(lines))

    def _happens(self, share: float) -> bool:
        return share >= 1 or self._chance.random() < share

    def _tick_at(self, at: float) -> int:
        return int(at / TICK)

    def _identity(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(self._certificate))
        return context


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
