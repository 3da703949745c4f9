"""What a phone shows: the text of a short message, put together from its parts. The simulator keeps one for all numbers.

Parts are tied by a user data header (GSM 03.40 §9.2.3.24.1 and .8) or by the SAR TLVs (SMPP 3.4 §5.3.2.22-24).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from channels.sms.smpp import SAR_NUMBER, SAR_REFERENCE, SAR_TOTAL, UDH_INDICATOR, Short
from channels.sms.text import UCS2


class Place(NamedTuple):
    """Where a part stands: which message, of how many parts, at which place (from 1)."""

    reference: int
    total: int
    number: int


WHOLE = Place(0, 1, 1)


class Phone:
    """Puts the parts of long messages together."""

    def __init__(self) -> None:
        self._open: dict[tuple[bytes, bytes, int, int], dict[int, str]] = {}

    def take(self, message: Short, tlvs: Mapping[int, bytes]) -> str | None:
        """The whole text once its last part is here, else None."""
        place, octets = _place(message, tlvs)
        text = _decode(octets, message.data_coding)
        if place.total <= 1:
            return text
        name = (message.source, message.destination, place.reference, place.total)
        parts = self._open.setdefault(name, {})
        parts[place.number] = text
        if len(parts) < place.total:
            return None
        del self._open[name]
        return "".join(parts[number] for number in sorted(parts))


def _place(message: Short, tlvs: Mapping[int, bytes]) -> tuple[Place, bytes]:
    text = message.text
    if message.esm_class & UDH_INDICATOR and text and len(text) > text[0]:
        return _from_header(text[1 : 1 + text[0]]), text[1 + text[0] :]
    if SAR_TOTAL in tlvs:
        sar = (int.from_bytes(tlvs.get(tag, b"\1"), "big") for tag in (SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER))
        return Place(*sar), text
    return WHOLE, text


def _from_header(header: bytes) -> Place:
    """The concatenation element (8-bit reference 00, 16-bit 08) of a user data header."""
    position = 0
    while position + 2 <= len(header):
        kind, length = header[position], header[position + 1]
        value = header[position + 2 : position + 2 + length]
        if (kind, len(value)) in ((0, 3), (8, 4)):
            return Place(int.from_bytes(value[:-2], "big"), value[-2], value[-1])
        position += 2 + length
    return WHOLE


def _decode(octets: bytes, data_coding: int) -> str:
    return octets.decode("utf-16-be" if data_coding == UCS2 else "latin-1", "replace")
