"""Reading a delivery receipt out of a deliver_sm: its ids, its state and its time. Called for every receipt that comes.

The text is that of SMPP 3.4 appendix B, `id:... stat:DELIVRD err:000 done date:2607221430`, which every vendor bends a
little; the TLVs receipted_message_id and message_state say the same without ambiguity and win where they are present.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

from channels.sms.outcome import MESSAGE_STATES, verdict
from channels.sms.smpp import MESSAGE_STATE, RECEIPT_TYPES, RECEIPTED_MESSAGE_ID, SHORT, read_short, read_tlvs
from channels.sms.text import UCS2
from gateway.channel import Instant, Level, Reason, instant

OLDEST, SKEW = 7 * 86_400_000, 60_000
"""A centre's time is believed if it is less than a week ago and no more than a minute ahead (milliseconds)."""

_USUAL = re.compile(
    rb"sub:\S* dlvrd:\S* submit date:\S* done date:(\d*) stat:(\S+) err:(\S*)(?: text:.*)?", re.IGNORECASE | re.DOTALL
)
"""What follows the id in a receipt's text, as nearly all centres write it."""
_USUAL_TLVS = re.compile(
    rb"(?:\x00\x1e\x00.([^\0]*)\0)?(?:\x04\x27\x00\x01(.))?(?:\x00\x1e\x00.([^\0]*)\0)?", re.DOTALL
)
"""The TLVs of such a receipt, read in one stroke."""
_FIELD = re.compile(rb"\b(id|stat|err|done[ _]?date)\s*:\s*([^\s]+)", re.IGNORECASE)
_TEXT = re.compile(rb"\btext\s*:", re.IGNORECASE)


class Arrival(NamedTuple):
    """One receipt as it came. `ids` as written, the surest first; `address` the phone it is about; `event_at` if told."""

    ids: tuple[str, ...]
    address: str
    level: Level
    reason: Reason
    event_at: Instant | None


class Fields(NamedTuple):
    """The text of a receipt, cut up; what is missing is empty."""

    id: bytes
    done: bytes
    state: bytes
    error: bytes


Judgement = tuple[Level, Reason, Instant | None]


class Reader:
    """Reads receipts of one centre: its time zone, and its own codes for failures.

    What follows the id in a receipt's text is the same for thousands of receipts, so it is judged once and remembered.
    """

    def __init__(self, zone: tzinfo, reasons: Mapping[str, Reason]) -> None:
        self._zone, self._reasons = zone, reasons
        self._usual = lru_cache(maxsize=8192)(self._judge_usual)

    def read(self, data: bytes, start: int, end: int, now: Instant) -> Arrival | None:
        """The receipt in the deliver_sm `data[start:end]`, or None if it is a message from a phone.

        `now` bounds the time it may name. Raises ValueError if it is no deliver_sm.
        """
        head = SHORT.match(data, start, end)
        if head is None:
            raise ValueError("not a deliver_sm")
        source, length = head.group(1, 7)
        begin = head.end()
        options = begin + length[0]
        name, _, rest = data[begin:options].partition(b" ")
        tlvs = _USUAL_TLVS.fullmatch(data, options, end)
        if tlvs is None or name[:3] != b"id:" or len(name) == 3:
            return self._read_slowly(data, start, end, now)
        sure, told, sure_after = tlvs.groups()
        judgement = self._usual(rest, told)
        if judgement is None:
            return self._read_slowly(data, start, end, now)
        return _arrival(source, name[3:], sure or sure_after, judgement, now)

    def _judge_usual(self, rest: bytes, told: bytes | None) -> Judgement | None:
        match = _USUAL.fullmatch(rest)
        return None if match is None else self._judge(Fields(b"", *match.groups()), told)

    def _judge(self, fields: Fields, told: bytes | None) -> Judgement:
        """`told`, the message_state TLV, wins over the text, unless the text has one of the operators' finer codes."""
        word = fields.state.decode("ascii", "replace")
        if told and ":" not in word:
            word = MESSAGE_STATES.get(told[0], "UNKNOWN")
        level, reason = verdict(word, fields.error.decode("ascii", "replace"), self._reasons)
        return level, reason, done_at(fields.done, self._zone)

    def _read_slowly(self, data: bytes, start: int, end: int, now: Instant) -> Arrival | None:
        """Any shape of receipt: fields in any order and case, UCS-2, strange TLVs."""
        message = read_short(data, start, end)
        if message is None:
            raise ValueError("not a deliver_sm")
        text = message.text
        if message.data_coding == UCS2:
            text = text.decode("utf-16-be", "replace").encode("ascii", "replace")
        fields = _fields(text)
        if not (message.esm_class & RECEIPT_TYPES or (fields.id and fields.state)):
            return None
        options = read_tlvs(data, message.options, end)
        judgement = self._judge(fields, options.get(MESSAGE_STATE))
        return _arrival(message.source, fields.id, options.get(RECEIPTED_MESSAGE_ID, b"").rstrip(b"\0"), judgement, now)


def done_at(digits: bytes, zone: tzinfo) -> Instant | None:
    """The instant of a `done date`, YYMMDDhhmm or YYMMDDhhmmss of `zone`; None if it is no date.

    Without seconds it is the last second of its minute: never earlier than the truth.
    """
    shape = {10: "%y%m%d%H%M", 12: "%y%m%d%H%M%S"}.get(len(digits))
    if shape is None:
        return None
    try:
        local = datetime.strptime(digits.decode("ascii"), shape).replace(tzinfo=zone)
    except ValueError:
        return None
    return instant(local + timedelta(seconds=59 if len(digits) == 10 else 0))


def _fields(text: bytes) -> Fields:
    start = _TEXT.search(text)
    found = {name.lower()[:4]: value for name, value in _FIELD.findall(text[: start.start()] if start else text)}
    return Fields(found.get(b"id", b""), found.get(b"done", b""), found.get(b"stat", b""), found.get(b"err", b""))


def _arrival(source: bytes, name: bytes, sure: bytes | None, judgement: Judgement, now: Instant) -> Arrival:
    level, reason, at = judgement
    if at is not None:
        at = None if at < now - OLDEST or at > now + SKEW else min(at, now)
    ids = (name.decode("latin-1"),)
    if sure and sure != name:
        ids = (sure.decode("latin-1"), *(ids if name else ()))
    return Arrival(ids, source.decode("latin-1"), level, reason, at)
