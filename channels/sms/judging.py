"""How the simulated centre judges a message and words its receipt. Pure; `simulator.py` asks."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from channels.sms.smpp import (
    INVALID_DESTINATION,
    INVALID_EXPIRY,
    INVALID_MESSAGE_LENGTH,
    MESSAGE_STATE,
    OK,
    RECEIPT,
    RECEIPTED_MESSAGE_ID,
    Short,
    tlv,
)
from channels.sms.text import UCS2

CHINA: Final = ZoneInfo("Asia/Shanghai")
NO_RECEIPT, ENROUTE, DELIVERED, EXPIRED, DELETED, UNDELIVERABLE = 0, 1, 2, 3, 4, 5
"""message_state (SMPP 3.4 §5.2.28)."""
WORDS = {
    DELIVERED: (b"001", b"DELIVRD", b"000"),
    EXPIRED: (b"000", b"EXPIRED", b"000"),
    DELETED: (b"000", b"DELETED", b"000"),
    UNDELIVERABLE: (b"000", b"UNDELIV", b"027"),
}


@lru_cache(maxsize=64)
def receipt_form(state: int, date: bytes) -> tuple[bytes, int]:
    """A receipt but for phone, our number, text length, id, and id again as TLV; and how long its text is without the id."""
    count, word, error = WORDS[state]
    rest = b" sub:001 dlvrd:%s submit date:%s done date:%s stat:%s err:%s text:" % (count, date, date, word, error)
    head = b"\0\1\1%s\0\0\1%s\0" + bytes((RECEIPT,)) + bytes(8)
    options = tlv(MESSAGE_STATE, bytes((state,))) + RECEIPTED_MESSAGE_ID.to_bytes(2, "big")
    return head + b"%cid:%s" + rest + options + b"\0%c%s\0", len(b"id:" + rest)


def objection(message: Short) -> int:
    """Why a strict centre would not take this message, as command_status; 0 if it would."""
    if not message.destination.isdigit():
        return INVALID_DESTINATION
    if not message.payload and len(message.text) > (140 if message.data_coding == UCS2 else 160):
        return INVALID_MESSAGE_LENGTH
    try:
        deadline(message.validity)
    except ValueError:
        return INVALID_EXPIRY
    return OK


@lru_cache(maxsize=64)
def deadline(validity: bytes) -> float:
    """Seconds since the epoch of an absolute validity_period, YYMMDDhhmmsstnnp (SMPP 3.4 §7.1.1); never, if relative.

    Raises ValueError if it is neither.
    """
    if not validity or validity.endswith(b"R"):
        return math.inf
    digits, sign = validity[:15], validity[15:]
    if len(digits) != 15 or not digits.isdigit() or sign not in (b"+", b"-"):
        raise ValueError("validity_period")
    local = datetime.strptime(digits[:12].decode(), "%y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    return local - int(digits[13:15]) * 900 * (1 if sign == b"+" else -1)
