"""The bytes of SMPP 3.4: headers, C-octet strings, short messages, TLVs. Pure; client and simulator both build on it.

A PDU is `length, command, status, sequence` (four big-endian 32-bit numbers) and a body. Everything here works on whole
blocks as they come from a socket, because at 100,000 messages a second the cost of a call counts.
"""

from __future__ import annotations

import re
import struct
from typing import Final, NamedTuple

HEADER: Final = struct.Struct(">IIII")
LARGEST: Final = 70_000
"""Octets of the longest PDU taken: a message_payload of 65,535 and everything around it."""
LAST_SEQUENCE: Final = 0x7FFFFFFF
"""SMPP 3.4 §3.2: sequence numbers run from 1 to this."""

RESPONSE: Final = 0x80000000
GENERIC_NACK: Final = 0x80000000
BIND_RECEIVER: Final = 0x00000001
BIND_TRANSMITTER: Final = 0x00000002
QUERY_SM: Final = 0x00000003
SUBMIT_SM: Final = 0x00000004
DELIVER_SM: Final = 0x00000005
UNBIND: Final = 0x00000006
CANCEL_SM: Final = 0x00000008
BIND_TRANSCEIVER: Final = 0x00000009
ENQUIRE_LINK: Final = 0x00000015
SUBMIT_SM_RESP: Final = SUBMIT_SM | RESPONSE
DELIVER_SM_RESP: Final = DELIVER_SM | RESPONSE

OK: Final = 0x00
INVALID_MESSAGE_LENGTH: Final = 0x01
INVALID_COMMAND_LENGTH: Final = 0x02
INVALID_COMMAND: Final = 0x03
NOT_BOUND: Final = 0x04
INVALID_DESTINATION: Final = 0x0B
BIND_FAILED: Final = 0x0D
INVALID_MESSAGE_ID: Final = 0x0C
INVALID_PASSWORD: Final = 0x0E
INVALID_SYSTEM_ID: Final = 0x0F
CANCEL_FAILED: Final = 0x11
ALREADY_BOUND: Final = 0x05
QUEUE_FULL: Final = 0x14
THROTTLED: Final = 0x58
INVALID_EXPIRY: Final = 0x62
TEMPORARY_FAULT: Final = 0x64

MESSAGE_PAYLOAD: Final = 0x0424
RECEIPTED_MESSAGE_ID: Final = 0x001E
MESSAGE_STATE: Final = 0x0427
SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER = 0x020C, 0x020E, 0x020F
KEY_TLV: Final = 0x1501
"""Vendor TLV with our idempotency key, sent where `key_tlv` is on."""
ALERT_TLV: Final = 0x1502
"""Vendor TLV with the alert's id, sent where `key_tlv` is on."""

UDH_INDICATOR: Final = 0x40
RECEIPT_TYPES: Final = 0x3C
"""The bits of esm_class that say which kind of message a deliver_sm is (§5.2.12); all zero = a message from a phone."""
RECEIPT: Final = 0x04
INTERFACE_3_4: Final = 0x34

Frame = tuple[int, int, int, int, int]
"""command, status, sequence, and where the body starts and ends in the block."""


class Blocks(NamedTuple):
    """What `split` found: whole PDUs, how many octets they took, and whether what follows can be a PDU at all."""

    frames: list[Frame]
    used: int
    sound: bool


class Short(NamedTuple):
    """A submit_sm or deliver_sm (§4.4.1, §4.6.1).

    `options` is the offset of its TLVs in the block it was read from; `payload` = the text came in one of them.
    """

    source: bytes
    destination: bytes
    esm_class: int
    validity: bytes
    registered: int
    data_coding: int
    text: bytes
    options: int
    payload: bool


SHORT = re.compile(
    rb"[^\0]{0,16}\0..([^\0]{0,65})\0..([^\0]{0,65})\0(.)..[^\0]{0,20}\0([^\0]{0,20})\0(.).(.).(.)", re.DOTALL
)
"""The mandatory fields of a short message: source, destination, esm_class, validity, registered, data_coding, length."""
_TLV = struct.Struct(">HH")


def pack(command: int, status: int, sequence: int, body: bytes = b"") -> bytes:
    """One whole PDU."""
    return HEADER.pack(16 + len(body), command, status, sequence) + body


def split(data: bytes) -> Blocks:
    """Cut a block of the stream into PDUs; the rest of it (`data[used:]`) belongs in front of the next block."""
    frames: list[Frame] = []
    position, size = 0, len(data)
    unpack = HEADER.unpack_from
    while size - position >= 16:
        length, command, status, sequence = unpack(data, position)
        if length < 16 or length > LARGEST:
            return Blocks(frames, position, False)
        end = position + length
        if end > size:
            break
        frames.append((command, status, sequence, position + 16, end))
        position = end
    return Blocks(frames, position, True)


def cstring(text: str) -> bytes:
    """A C-octet string. Raises ValueError for what it cannot hold (NUL, other alphabets)."""
    if "\0" in text:
        raise ValueError("a C-octet string cannot hold NUL")
    return text.encode("ascii") + b"\0"


def read_cstring(data: bytes, start: int, end: int) -> tuple[bytes, int]:
    """The C-octet string at `start` and the offset behind it; without its NUL it runs to `end`."""
    stop = data.find(b"\0", start, end)
    return (data[start:end], end) if stop < 0 else (data[start:stop], stop + 1)


def read_short(data: bytes, start: int, end: int) -> Short | None:
    """The short message in the body `data[start:end]`, or None if its fields do not fit. The payload TLV counts as text."""
    match = SHORT.match(data, start, end)
    if match is None:
        return None
    source, destination, esm_class, validity, registered, data_coding, length = match.groups()
    begin = match.end()
    options = begin + length[0]
    if options > end:
        return None
    text, payload = data[begin:options], False
    if not text and options < end:
        text = read_tlvs(data, options, end).get(MESSAGE_PAYLOAD, b"")
        payload = bool(text)
    return Short(source, destination, esm_class[0], validity, registered[0], data_coding[0], text, options, payload)


def tlv(tag: int, value: bytes) -> bytes:
    """One optional parameter (§3.2.4.1)."""
    return _TLV.pack(tag, len(value)) + value


def read_tlvs(data: bytes, start: int, end: int) -> dict[int, bytes]:
    """The optional parameters of a body, by tag; one that runs over the end is dropped with what follows."""
    found: dict[int, bytes] = {}
    while end - start >= 4:
        tag, length = _TLV.unpack_from(data, start)
        start += 4
        if start + length > end:
            break
        found[tag] = data[start : start + length]
        start += length
    return found


def bind(system_id: str, password: str, system_type: str) -> bytes:
    """Body of a bind (§4.1.5): we speak 3.4 and take receipts for any address."""
    return cstring(system_id) + cstring(password) + cstring(system_type) + bytes((INTERFACE_3_4, 0, 0)) + cstring("")


def cancel(message_id: str, sender: bytes, recipient: bytes) -> bytes:
    """Body of a cancel_sm (§4.9.1). `sender` and `recipient` are type of number, numbering plan and C-octet string."""
    return cstring("") + message_id.encode("latin-1", "replace") + b"\0" + sender + recipient
