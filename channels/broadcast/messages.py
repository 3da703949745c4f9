"""The messages inside an EBD: what we write for a warning and what platforms answer (GD/J 082). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from zoneinfo import ZoneInfo

from channels.broadcast.config import Settings
from channels.broadcast.ebd import TIME, Element, Envelope, Unreadable, children, node, text_at
from gateway.channel import Batch, Endpoint, Instant, Level, Reason, Receipt, instant, moment

SEVERITY = {"red": "1", "orange": "2", "yellow": "3", "blue": "4"}
MILDEST = "4"
TEST_EVENT = "00000"
LANGUAGE = {
    "zh": "zho",
    "en": "eng",
    "mn": "mon",
    "bo": "bod",
    "ug": "uig",
    "ko": "kor",
    "kk": "kaz",
    "ja": "jpn",
    "ru": "rus",
}
LEVELS = (2, 4, 6, 9, 12)
"""Digits of a division code down to province, city, county, town and village."""


class MsgType(IntEnum):
    """EBM MsgBasicInfo/MsgType."""

    ACTUAL = 1
    CANCEL = 2
    PLATFORM_DRILL = 3


class Result(IntEnum):
    """EBDResponse/ResultCode."""

    RECEIVED = 0
    DONE = 1
    UNREADABLE = 2
    INCOMPLETE = 3
    SIGNATURE = 4
    OTHER = 5


RESULT_REASON = {
    Result.UNREADABLE: Reason.REJECTED,
    Result.INCOMPLETE: Reason.REJECTED,
    Result.SIGNATURE: Reason.SIGNATURE,
    Result.OTHER: Reason.ERROR,
}


class BrdState(IntEnum):
    """BrdStateCode: 未处理, 等待播发, 播发中, 播发成功, 播发失败, 播发取消."""

    UNPROCESSED = 0
    WAITING = 1
    PLAYING = 2
    PLAYED = 3
    FAILED = 4
    CANCELLED = 5

    @property
    def final(self) -> bool:
        """Nothing will follow."""
        return self >= BrdState.PLAYED


STATE_RECEIPT = {
    BrdState.WAITING: (Level.ACCEPTED, Reason.NONE),
    BrdState.PLAYING: (Level.ACCEPTED, Reason.NONE),
    BrdState.PLAYED: (Level.DELIVERED, Reason.NONE),
    BrdState.FAILED: (Level.FAILED, Reason.PLAYBACK_FAILED),
    BrdState.CANCELLED: (Level.FAILED, Reason.WITHDRAWN),
}


@dataclass(frozen=True, slots=True)
class State:
    """One EBMStateResponse: the state of a message at a platform, when it was reported, and the coverage it claims."""

    ebm_id: str
    code: BrdState
    at: Instant | None
    coverage: str = ""

    def receipt(self) -> Receipt | None:
        """The receipt this state is worth; None while the platform has not looked at the message."""
        if self.code not in STATE_RECEIPT:
            return None
        level, reason = STATE_RECEIPT[self.code]
        return Receipt(level, far_id=self.ebm_id, reason=reason, event_at=self.at)


@dataclass(frozen=True, slots=True)
class Attached:
    """An audio file that travels beside the message."""

    name: str
    size: int


def ebm(
    config: Settings,
    batch: Batch,
    endpoint: Endpoint,
    ebm_id: str,
    now: Instant,
    *,
    msg_type: MsgType,
    related: str = "",
    audio: Attached | None = None,
) -> Element:
    """The EBM for one platform. `related` is the EBMID of the message that this one cancels or replaces."""
    parts = [node("EBMVersion", "1"), node("EBMID", ebm_id)]
    if related:
        parts.append(node("RelatedInfo", node("EBMID", related)))
    parts.append(_basic_info(config, batch, now, msg_type))
    parts.append(_content(batch, endpoint, audio))
    return node("EBM", *parts)


def type_of(batch: Batch) -> MsgType:
    """Only what is meant for the public may go on air as actual."""
    return MsgType.ACTUAL if batch.status == "Actual" else MsgType.PLATFORM_DRILL


def area_codes(batch: Batch, endpoint: Endpoint) -> str:
    """AreaCode: the targeted divisions within the endpoint's own, if rendering names them, else the endpoint's own."""
    own = _significant(endpoint.region)
    named = [code.strip() for code in batch.message.field("area_codes").split(",")]
    within = [code for code in named if own and code.isdigit() and code.startswith(own)]
    return ",".join(dict.fromkeys(code[:12].ljust(12, "0") for code in within or [endpoint.region]))


def state_request(ebm_id: str) -> Element:
    """EBMStateRequest: how does this message stand?"""
    return node("EBMStateRequest", node("EBM", node("EBMID", ebm_id)))


def response(result: Result, description: str) -> Element:
    """EBDResponse: what became of an EBD that was sent to us."""
    return node("EBDResponse", node("ResultCode", str(int(result))), node("ResultDesc", description))


def result_of(body: Element) -> tuple[Result, str]:
    """Code and description of an EBDResponse. Raises Unreadable for an unknown code."""
    return Result(_number(text_at(body, "ResultCode"), Result.OTHER)), text_at(body, "ResultDesc")[:200]


def states_in(envelope: Envelope, zone: ZoneInfo) -> Iterator[State]:
    """The state in an EBMStateResponse (none in other messages). Raises Unreadable for an unknown code."""
    if envelope.kind != "EBMStateResponse":
        return
    body = envelope.body
    code = BrdState(_number(text_at(body, "BrdStateCode"), BrdState.CANCELLED))
    for message in children(body, "EBM"):
        at = parse_time(text_at(body, "RptTime"), zone)
        yield State(text_at(message, "EBMID"), code, at, text_at(body, "Coverage", "CoverageRate")[:20])


def write_time(at: Instant, zone: ZoneInfo) -> str:
    """Local time as platforms write it: `2026-07-22 14:30:00`."""
    return moment(at, zone).strftime(TIME)


def parse_time(text: str, zone: ZoneInfo) -> Instant | None:
    """The instant of a platform's local time; None if it is none."""
    try:
        return instant(datetime.strptime(text, TIME).replace(tzinfo=zone))
    except (ValueError, OverflowError):
        return None


def _basic_info(config: Settings, batch: Batch, now: Instant, msg_type: MsgType) -> Element:
    event = batch.event_code or config.default_event
    return node(
        "MsgBasicInfo",
        node("MsgType", str(int(msg_type))),
        node("SenderName", config.source_names.get(batch.sender, batch.sender)),
        node("SenderCode", config.sender_code or config.ebrid),
        node("SendTime", write_time(batch.sent_at or now, config.zone)),
        node("EventType", TEST_EVENT if batch.status in ("Test", "System") else event),
        node("Severity", SEVERITY.get(batch.grade, MILDEST)),
        node("StartTime", write_time(now, config.zone)),
        node("EndTime", write_time(batch.expires_at, config.zone)),
    )


def _content(batch: Batch, endpoint: Endpoint, audio: Attached | None) -> Element:
    message = batch.message
    parts = [
        node("LanguageCode", LANGUAGE.get(message.language.partition("-")[0].lower(), "zho")),
        node("MsgTitle", message.title or message.field("headline")),
        node("MsgDesc", message.text),
        node("AreaCode", area_codes(batch, endpoint)),
    ]
    if audio:
        described = [node("AuxiliaryType", "2"), node("AuxiliaryDesc", audio.name), node("Size", str(audio.size))]
        parts.append(node("Auxiliary", *described))
    return node("MsgContent", *parts)


def _significant(code: str) -> str:
    """A division code without the zeros that only fill it up: 210423000000 -> 210423."""
    return next((code[:digits] for digits in LEVELS if not code[digits:].strip("0")), code)


def _number(text: str, highest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= highest):
        raise Unreadable(f"an unknown code {text[:20]!r}")
    return int(text)
