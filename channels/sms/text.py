"""From a text to what goes into short messages: the alphabet, and the parts of a long one. Called once per batch.

140 octets fit into one short message: 70 characters of UCS-2, or 160 of the 7-bit alphabet. A longer text travels either
in parts of 67 (153) that begin with a user data header, or whole in the message_payload TLV (SMPP 3.4 §5.3.2.32).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from channels.sms.smpp import MESSAGE_PAYLOAD, UDH_INDICATOR, tlv

DEFAULT_ALPHABET, UCS2 = 0, 8

MOST_PARTS = 255

_PLAIN = re.compile(r"[\n\r A-Za-z0-9!\"#%&'()*+,\-./:;<=>?]*")
"""Characters with the same octet in ASCII and in GSM 03.38, so that no centre can misread them; the others need UCS-2."""


class Part(NamedTuple):
    """One short message: data_coding, esm_class, the short_message field, and TLVs ready to be appended."""

    data_coding: int
    esm_class: int
    short: bytes
    options: bytes = b""


class TooLong(ValueError):
    """The text needs more parts than one message may have."""


def compose(text: str, long: Literal["udh", "payload"], reference: int) -> list[Part]:
    """The parts of `text`; `reference` (any number, its last octet is used) ties the parts of one message together.

    Raises TooLong above 255 parts, or above 65,535 octets of payload.
    """
    coding, octets, single, each = _encode(text)
    if len(octets) <= single:
        return [Part(coding, 0, octets)]
    if long == "payload":
        return [Part(coding, 0, b"", _payload(octets))]
    pieces = list(_pieces(octets, each, 2 if coding == UCS2 else 1))
    if len(pieces) > MOST_PARTS:
        raise TooLong(f"{len(pieces)} parts, {MOST_PARTS} at most")
    header = bytes((5, 0, 3, reference & 0xFF, len(pieces)))  # GSM 03.40 §9.2.3.24.1
    return [
        Part(coding, UDH_INDICATOR, header + bytes((number,)) + piece) for number, piece in enumerate(pieces, start=1)
    ]


def _encode(text: str) -> tuple[int, bytes, int, int]:
    """data_coding, octets, how many octets fit into a single message, and into each part of a long one."""
    if _PLAIN.fullmatch(text):
        return DEFAULT_ALPHABET, text.encode("ascii"), 160, 153
    return UCS2, text.encode("utf-16-be", errors="replace"), 140, 134


def _payload(octets: bytes) -> bytes:
    if len(octets) > 0xFFFF:
        raise TooLong(f"{len(octets)} octets, 65,535 at most")
    return tlv(MESSAGE_PAYLOAD, octets)


def _pieces(octets: bytes, each: int, unit: int) -> Iterator[bytes]:
    """Cut so that no character is torn: a surrogate pair (rare Hanzi, emoji) stays in one part."""
    start = 0
    while start < len(octets):
        stop = min(start + each, len(octets))
        if unit == 2 and stop < len(octets) and 0xD8 <= octets[stop - 2] <= 0xDB:
            stop -= 2
        yield octets[start:stop]
        start = stop
