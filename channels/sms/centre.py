"""One client's connection as the simulated centre sees it: binds, answers in bulk, hands over receipts. See `simulator.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol, cast

from channels.sms.faults import Faults
from channels.sms.smpp import (
    ALREADY_BOUND,
    BIND_FAILED,
    BIND_RECEIVER,
    BIND_TRANSCEIVER,
    BIND_TRANSMITTER,
    CANCEL_FAILED,
    CANCEL_SM,
    DELIVER_SM,
    DELIVER_SM_RESP,
    ENQUIRE_LINK,
    GENERIC_NACK,
    HEADER,
    INTERFACE_3_4,
    INVALID_COMMAND,
    INVALID_COMMAND_LENGTH,
    INVALID_MESSAGE_ID,
    INVALID_PASSWORD,
    INVALID_SYSTEM_ID,
    LAST_SEQUENCE,
    NOT_BOUND,
    OK,
    QUERY_SM,
    RESPONSE,
    SUBMIT_SM,
    SUBMIT_SM_RESP,
    UNBIND,
    Frame,
    pack,
    read_cstring,
    split,
    tlv,
)

BINDS = frozenset({BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER})
INTERFACE_VERSION = 0x0210
DELIVERIES = 2_000
"""deliver_sm without answer on one connection."""


Stored = tuple[bytes, bytes, bytes, int]
"""A message whose receipt is to come: its id as in the answer, the phone, our number, message_state. Plain, for speed."""


class Centre(Protocol):
    """What a line asks of the centre it belongs to. See `simulator.SmsCentre`."""

    faults: Faults
    lines: set[Line]
    system_id: str
    password: str

    def submit(self, data: bytes, frames: Sequence[Frame]) -> bytes: ...
    def hand_over(self) -> None: ...
    def again(self, messages: Sequence[Stored]) -> None: ...
    def state(self, message_id: bytes) -> int: ...
    def cancel(self, message_id: bytes) -> bool: ...


class Line(asyncio.Protocol):
    """The centre's end of a connection."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre
        self._tail = b""
        self._bind = 0
        self._sequence = 1
        self._submitted = 0
        self._unanswered: dict[int, Stored] = {}
        self._transport: asyncio.Transport | None = None

    @property
    def room(self) -> int:
        """How many receipts may be handed over now."""
        return DELIVERIES - len(self._unanswered) if self._bind in (BIND_RECEIVER, BIND_TRANSCEIVER) else 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._centre.lines.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """It went: receipts it did not acknowledge are handed over again."""
        self._bind = 0
        self._centre.lines.discard(self)
        self._centre.again(list(self._unanswered.values()))
        self._unanswered.clear()

    def data_received(self, data: bytes) -> None:
        """Answer a block of PDUs in one write."""
        if self._centre.faults.blackhole:
            return
        if self._tail:
            data = self._tail + data
        frames, used, sound = split(data)
        self._tail = data[used:]
        submits = []
        others = []
        for frame in frames:
            if frame[0] == SUBMIT_SM:
                submits.append(frame)
            elif frame[0] == DELIVER_SM_RESP:
                self._acknowledged(frame)
            else:
                others.append(self._answer(data, frame))
        if submits:
            self._submit(data, submits)
        if others:
            self.write(b"".join(others))
        if not sound:
            self.write(pack(GENERIC_NACK, INVALID_COMMAND_LENGTH, 0))
            self.cut(gently=True)
        if len(submits) < len(frames):
            self._centre.hand_over()

    def deliver(self, messages: list[Stored], bodies: list[bytes]) -> None:
        """Hand receipts over in one write; a body is one of a deliver_sm."""
        if self._sequence + len(messages) > LAST_SEQUENCE:
            self._sequence = 1
        numbers = range(self._sequence, self._sequence + len(messages))
        self._sequence += len(messages)
        self._unanswered.update(zip(numbers, messages, strict=True))
        pairs = zip(numbers, bodies, strict=True)
        self.write(b"".join([HEADER.pack(16 + len(body), DELIVER_SM, 0, number) + body for number, body in pairs]))

    def write(self, data: bytes) -> None:
        """Put octets on the wire, if there is one."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def cut(self, gently: bool = False) -> None:
        """End the connection; if not `gently`, what is not yet on the wire is lost."""
        if self._transport is not None:
            (self._transport.close if gently else self._transport.abort)()

    # -- inside

    def _acknowledged(self, frame: Frame) -> None:
        """The client has a receipt; with any status but OK it wants it again."""
        stored = self._unanswered.pop(frame[2], None)
        if stored is not None and frame[1]:
            self._centre.again([stored])

    def _submit(self, data: bytes, frames: list[Frame]) -> None:
        if self._bind not in (BIND_TRANSMITTER, BIND_TRANSCEIVER):
            self.write(b"".join([pack(SUBMIT_SM_RESP, NOT_BOUND, sequence, b"\0") for _, _, sequence, _, _ in frames]))
            return
        answers = self._centre.submit(data, frames)
        self._submitted += len(frames)
        faults = self._centre.faults
        if faults.drop and self._submitted >= faults.drop:
            self.cut()
        elif faults.slow:
            asyncio.get_running_loop().call_later(faults.slow, self.write, answers)
        else:
            self.write(answers)

    def _answer(self, data: bytes, frame: Frame) -> bytes:
        command, _, sequence, start, end = frame
        if command == GENERIC_NACK or command & RESPONSE:
            return b""
        if command in BINDS:
            status, body = self._admit(command, data, start, end)
            return pack(command | RESPONSE, status, sequence, body)
        if command == ENQUIRE_LINK:
            return pack(ENQUIRE_LINK | RESPONSE, OK, sequence)
        if command == UNBIND:
            self._bind = 0
            return pack(UNBIND | RESPONSE, OK, sequence)
        if command in (CANCEL_SM, QUERY_SM):
            status, body = self._look_up(command, data, start, end)
            return pack(command | RESPONSE, status, sequence, body)
        return pack(GENERIC_NACK, INVALID_COMMAND, sequence)

    def _admit(self, command: int, data: bytes, start: int, end: int) -> tuple[int, bytes]:
        system_id, start = read_cstring(data, start, end)
        password, _ = read_cstring(data, start, end)
        if self._bind:
            return ALREADY_BOUND, b"\0"
        if self._centre.faults.refuse:
            return BIND_FAILED, b"\0"
        if self._centre.system_id not in ("", system_id.decode("latin-1")):
            return INVALID_SYSTEM_ID, b"\0"
        if self._centre.password not in ("", password.decode("latin-1")):
            return INVALID_PASSWORD, b"\0"
        self._bind = command
        return OK, b"tongluo\0" + tlv(INTERFACE_VERSION, bytes((INTERFACE_3_4,)))

    def _look_up(self, command: int, data: bytes, start: int, end: int) -> tuple[int, bytes]:
        """cancel_sm (SMPP 3.4 §4.9) and query_sm (§4.8)."""
        first, start = read_cstring(data, start, end)
        if not self._bind:
            return NOT_BOUND, b""
        if command == QUERY_SM:
            state = self._centre.state(first)
            return (OK, first + b"\0\0" + bytes((state, 0))) if state else (INVALID_MESSAGE_ID, b"")
        message_id, _ = read_cstring(data, start, end)  # cancel_sm has the service type before the id
        return (OK, b"") if self._centre.cancel(message_id) else (CANCEL_FAILED, b"")
