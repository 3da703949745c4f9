"""One bound connection: PDUs in and out in blocks, the window, and deliver_sm answered only after its receipt is on disk.

`session.py` opens it. There is no task per message: a block read from the socket is parsed in one loop, what it answers
frees the window, and the window is filled again with one write.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast

from channels.sms.outcome import PATIENCE
from channels.sms.receipt import Arrival
from channels.sms.smpp import (
    DELIVER_SM,
    DELIVER_SM_RESP,
    ENQUIRE_LINK,
    GENERIC_NACK,
    HEADER,
    INVALID_COMMAND,
    INVALID_COMMAND_LENGTH,
    LAST_SEQUENCE,
    OK,
    RESPONSE,
    UNBIND,
    Frame,
    pack,
    split,
)
from channels.sms.work import Answer, Backlog, Work
from gateway.channel import Reason

MOST_UNREPORTED = 20_000
"""Receipts that wait for the disk before we stop reading."""


class Desk(Protocol):
    """Where what comes in goes to."""

    def read(self, data: bytes, frames: Sequence[Frame]) -> list[Arrival | None]:
        """The receipts in these deliver_sm, None for what is none."""
        ...

    async def receive(self, arrivals: list[Arrival]) -> int:
        """Put receipts on disk; returns the command_status to answer with."""
        ...


class Run(NamedTuple):
    """PDUs of one work that were written together at `at`: a sequence number less `shift` is the index in the work."""

    work: Work
    shift: int
    at: float


class Wire(asyncio.Protocol):
    """The client's end of an SMPP connection. `lost` is done when it has ended, with the reason for people."""

    def __init__(self, backlog: Backlog, desk: Desk, window: int, timeout: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._backlog, self._desk = backlog, desk
        self._size, self._timeout = window, timeout
        self._window: dict[int, Run] = {}
        self._requests: dict[int, asyncio.Future[int]] = {}
        self._sequence = 1
        self._tail = b""
        self._came: list[tuple[int, Arrival | None]] = []
        self._news = asyncio.Event()
        self._bound = self._full = False
        self._heard = self._loop.time()
        self._transport: asyncio.Transport | None = None
        self._why = ""
        self.lost: asyncio.Future[str] = self._loop.create_future()

    @property
    def outstanding(self) -> int:
        """Messages that wait for their answer."""
        return len(self._window)

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed: nobody knows what became of the messages in the window."""
        self._bound = False
        for sequence, run in self._window.items():
            run.work.missed(sequence - run.shift)
        self._window.clear()
        for request in self._requests.values():
            if not request.done():
                request.set_exception(ConnectionResetError("the connection ended"))
        self._backlog.leave(self)
        if not self.lost.done():
            self.lost.set_result(self._why or str(exc or "the message centre closed the connection"))
        self._news.set()

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self._full = True

    def resume_writing(self) -> None:
        """It is not any more."""
        self._full = False
        self.fill()

    def data_received(self, data: bytes) -> None:
        """A block from the socket: answers free the window, receipts go to the desk, and the window is filled again."""
        self._heard = self._loop.time()
        if self._tail:
            data = self._tail + data
        frames, used, sound = split(data)
        self._tail = data[used:]
        answers: defaultdict[Work, list[Answer]] = defaultdict(list)
        deliveries: list[Frame] = []
        window = self._window
        for frame in frames:
            command, status, sequence, start, end = frame
            if command == DELIVER_SM:
                deliveries.append(frame)
            elif (run := window.pop(sequence, None) if command & RESPONSE else None) is not None:
                stop = data.find(b"\0", start, end)
                message_id = data[start : stop if stop >= 0 else end].decode("latin-1")
                answers[run.work].append((sequence - run.shift, status, message_id))
            else:
                self._obey(frame)
        for work, answered in answers.items():
            work.answered(answered)
        if deliveries:
            self._deliver(data, deliveries)
        if not sound:
            self._garbled()
        self._heed({status for answered in answers.values() for _, status, _ in answered})
        self.fill()

    # -- what the session and the backlog ask

    def fill(self) -> None:
        """Write as many messages as the window and the centre's patience allow, in one piece."""
        room = self._size - len(self._window)
        if room <= 0 or not self._bound or self._full:
            return
        now = self._loop.time()
        room = self._backlog.pace.room(now, room, len(self._window))
        written: list[bytes] = []
        for work, indexes in self._backlog.take(room):
            first = self._number(len(indexes))
            written += work.pdus(indexes, first)
            run = Run(work, first - indexes.start, now)
            self._window.update(dict.fromkeys(range(first, first + len(indexes)), run))
        if written:
            self._write(b"".join(written))

    def bound(self) -> None:
        """The bind was accepted: messages may go out."""
        self._bound = True
        self._backlog.join(self)

    async def request(self, command: int, body: bytes = b"") -> int:
        """Send a request of the session and return its command_status. Raises ConnectionResetError, TimeoutError."""
        if self._transport is None or self.lost.done():
            raise ConnectionResetError("the connection has ended")
        sequence = self._number(1)
        answer: asyncio.Future[int] = self._loop.create_future()
        self._requests[sequence] = answer
        self._write(pack(command, 0, sequence, body))
        try:
            async with asyncio.timeout(self._timeout):
                return await answer
        finally:
            self._requests.pop(sequence, None)

    def give_up_late_answers(self) -> None:
        """Messages whose answer is overdue are unknown; if nothing at all came meanwhile, the connection is dead."""
        limit = self._loop.time() - self._timeout
        late = []
        for sequence, run in self._window.items():
            if run.at > limit:
                break
            late.append(sequence)
        if not late:
            return
        if self._heard < limit:
            self.close(f"no answer for {self._timeout:g} s")
            return
        for sequence in late:
            run = self._window.pop(sequence)
            run.work.missed(sequence - run.shift)
        self.fill()

    async def report(self) -> None:
        """Hand receipts to the desk, all that came since the last time at once, and answer them; until the end."""
        while not self.lost.done():
            await self._news.wait()
            self._news.clear()
            came, self._came = self._came, []
            if came:
                await self._report(came)

    def stop(self) -> None:
        """No more messages go out on this connection."""
        self._bound = False
        self._backlog.leave(self)

    def close(self, why: str) -> None:
        """Cut the connection."""
        self._bound = False
        self._why = self._why or why
        if self._transport is not None:
            self._transport.abort()

    # -- inside

    async def _report(self, came: list[tuple[int, Arrival | None]]) -> None:
        status = await self._desk.receive([arrival for _, arrival in came if arrival is not None])
        answers = [
            HEADER.pack(17, DELIVER_SM_RESP, status if arrival else OK, sequence) + b"\0" for sequence, arrival in came
        ]
        self._write(b"".join(answers))
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _deliver(self, data: bytes, frames: list[Frame]) -> None:
        self._came += zip([frame[2] for frame in frames], self._desk.read(data, frames), strict=True)
        self._news.set()
        if len(self._came) >= MOST_UNREPORTED and self._transport is not None:
            self._transport.pause_reading()

    def _obey(self, frame: Frame) -> None:
        """The centre's own requests, and its answers to the session's."""
        command, status, sequence, _, _ = frame
        if command & RESPONSE:
            request = self._requests.get(sequence)
            if request is not None and not request.done():
                request.set_result(status)
        elif command == ENQUIRE_LINK:
            self._write(pack(ENQUIRE_LINK | RESPONSE, OK, sequence))
        elif command == UNBIND:
            self._write(pack(UNBIND | RESPONSE, OK, sequence))
            self._why = "the message centre ended the session (unbind)"
            self._bound = False
            if self._transport is not None:
                self._transport.close()
        else:
            self._write(pack(GENERIC_NACK, INVALID_COMMAND, sequence))

    def _garbled(self) -> None:
        """After a length that cannot be, no octet of the stream can be trusted (SMPP 3.4 §4.3.1)."""
        self._write(pack(GENERIC_NACK, INVALID_COMMAND_LENGTH, 0))
        self._tail = b""
        self._bound = False
        self._why = "the message centre sent what is not SMPP"
        if self._transport is not None:
            self._transport.close()

    def _heed(self, statuses: set[int]) -> None:
        pace, now = self._backlog.pace, self._loop.time()
        if statuses & PATIENCE:
            if pace.refused(now):
                self._backlog.give_back(Reason.THROTTLED)
            self._loop.call_later(pace.left(now) + 0.001, self.fill)
        elif OK in statuses:
            pace.accepted()

    def _number(self, count: int) -> int:
        """The first of `count` sequence numbers."""
        if self._sequence + count > LAST_SEQUENCE:
            self._sequence = 1
        first = self._sequence
        self._sequence += count
        return first

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
