"""Receipts as centres really write them: ids, states, reasons and times; and ids in another base than the answer's."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.sms.ids import Names, Recent, canonical
from channels.sms.outcome import refusal, status_name
from channels.sms.receipt import Arrival, Reader, done_at
from channels.sms.smpp import MESSAGE_STATE, RECEIPTED_MESSAGE_ID, cstring, tlv
from gateway.channel import Instant, Level, Reason, moment

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW: Instant = 1_784_702_000_000  # 2026-07-22 14:33:20 in Shanghai


def deliver(text: str | bytes, esm_class: int = 4, options: bytes = b"", coding: int = 0) -> bytes:
    """Body of a deliver_sm about the phone 10000000001."""
    octets = text.encode() if isinstance(text, str) else text
    return (
        cstring("") + b"\1\1" + cstring("10000000001") + b"\0\1" + cstring("12379") + bytes((esm_class, 0, 0)) + b"\0\0"
        + bytes((0, 0, coding, 0, len(octets))) + octets + options
    )  # fmt: skip


def read(body: bytes, reasons: dict[str, Reason] | None = None) -> Arrival | None:
    return Reader(SHANGHAI, reasons or {}).read(body, 0, len(body), NOW)


def text(stat: str = "DELIVRD", err: str = "000", done: str = "2607221430", name: str = "00A1") -> str:
    return f"id:{name} sub:001 dlvrd:001 submit date:2607221429 done date:{done} stat:{stat} err:{err} text:warning"


def test_the_usual_receipt() -> None:
    arrival = read(deliver(text(done="260722143005")))
    assert arrival is not None
    assert (arrival.ids, arrival.address) == (("00A1",), "10000000001")
    assert (arrival.level, arrival.reason) == (Level.DELIVERED, Reason.NONE)
    assert arrival.event_at is not None
    assert moment(arrival.event_at, SHANGHAI).isoformat() == "2026-07-22T14:30:05+08:00"


@pytest.mark.parametrize(
    "shape",
    [
        "ID:00A1 SUB:001 DLVRD:001 SUBMIT DATE:2607221429 DONE DATE:2607221430 STAT:DELIVRD ERR:000 TEXT:x",
        "id:00A1 stat:DELIVRD done date:2607221430",
        "stat:delivrd  err:000 id: 00A1 Done_date:2607221430 text:id:FFFF stat:UNDELIV",
        "id:00A1 sub:001 dlvrd:001 submit date:2607221429 done date:2607221430 stat:DELIVRD err:000",
    ],
)
def test_receipts_of_other_vendors_say_the_same(shape: str) -> None:
    assert read(deliver(shape)) == Arrival(
        ("00A1",), "10000000001", Level.DELIVERED, Reason.NONE, done_at(b"2607221430", SHANGHAI)
    )


def test_a_receipt_in_ucs2_and_one_whose_class_is_not_set_are_receipts_too() -> None:
    wide = deliver("id:00A1 stat:DELIVRD".encode("utf-16-be"), coding=8)
    for body in (wide, deliver(text(), esm_class=0)):
        arrival = read(body)
        assert arrival is not None
        assert arrival.level == Level.DELIVERED


def test_a_message_from_a_phone_is_no_receipt() -> None:
    assert read(deliver("is it safe to go home?", esm_class=0)) is None


def test_what_is_no_deliver_sm_is_an_error() -> None:
    with pytest.raises(ValueError, match="deliver_sm"):
        read(b"\0\0")


def test_tlvs_win_over_the_text_and_both_ids_are_kept() -> None:
    options = tlv(RECEIPTED_MESSAGE_ID, b"161\0") + tlv(MESSAGE_STATE, b"\5")
    arrival = read(deliver(text(), options=options))
    assert arrival is not None
    assert arrival.ids == ("161", "00A1")
    assert (arrival.level, arrival.reason) == (Level.FAILED, Reason.UNREACHABLE)


def test_a_receipt_of_tlvs_alone() -> None:
    options = tlv(0x0423, b"\3\0\1") + tlv(RECEIPTED_MESSAGE_ID, b"00A1\0") + tlv(MESSAGE_STATE, b"\2")
    arrival = read(deliver("", options=options))
    assert arrival is not None
    assert (arrival.ids, arrival.level) == (("00A1",), Level.DELIVERED)


@pytest.mark.parametrize(
    ("stat", "level", "reason"),
    [
        ("DELIVRD", Level.DELIVERED, Reason.NONE),
        ("ACCEPTD", Level.ACCEPTED, Reason.NONE),
        ("ENROUTE", Level.ACCEPTED, Reason.NONE),
        ("UNDELIV", Level.FAILED, Reason.UNREACHABLE),
        ("EXPIRED", Level.FAILED, Reason.EXPIRED),
        ("DELETED", Level.FAILED, Reason.WITHDRAWN),
        ("REJECTD", Level.FAILED, Reason.REJECTED),
        ("UNKNOWN", Level.FAILED, Reason.UNKNOWN),
        ("MA:0001", Level.FAILED, Reason.UNAVAILABLE),
        ("MB:0069", Level.FAILED, Reason.REJECTED),
        ("CB:0005", Level.FAILED, Reason.BLOCKED),
        ("whatever", Level.FAILED, Reason.UNKNOWN),
    ],
)
def test_states_in_our_words(stat: str, level: Level, reason: Reason) -> None:
    arrival = read(deliver(text(stat)))
    assert arrival is not None
    assert (arrival.level, arrival.reason) == (level, reason)


def test_the_operators_own_codes_are_settings_and_never_raise_a_level() -> None:
    own = {"MK:0001": Reason.INVALID_ADDRESS, "err:027": Reason.OFFLINE, "MB": Reason.BLOCKED}
    told = [
        read(deliver(text(*one)), own)
        for one in (("MK:0001", "1"), ("UNDELIV", "027"), ("MB:7", "0"), ("DELIVRD", "027"))
    ]
    assert [arrival and arrival.reason for arrival in told] == [
        Reason.INVALID_ADDRESS, Reason.OFFLINE, Reason.BLOCKED, Reason.NONE,
    ]  # fmt: skip


def test_an_operators_code_is_not_hidden_by_the_coarser_tlv() -> None:
    arrival = read(deliver(text("CB:0005"), options=tlv(MESSAGE_STATE, b"\5")))
    assert arrival is not None
    assert arrival.reason == Reason.BLOCKED


def test_a_time_without_seconds_is_the_end_of_its_minute_but_never_after_now() -> None:
    assert read(deliver(text(done="2607221430"))).event_at == done_at(b"260722143059", SHANGHAI)  # type: ignore[union-attr]
    assert read(deliver(text(done="2607221433"))).event_at == NOW  # type: ignore[union-attr]


@pytest.mark.parametrize("done", ["", "0", "9999999999", "2607221500", "2507221430", "26072214305", "260731250000"])
def test_an_absurd_time_is_no_time(done: str) -> None:
    arrival = read(deliver(text(done=done)))
    assert arrival is not None
    assert arrival.event_at is None
    assert arrival.level == Level.DELIVERED


@given(st.binary(max_size=160), st.integers(0, 255), st.binary(max_size=40))
def test_no_delivery_breaks_the_reader(octets: bytes, esm_class: int, options: bytes) -> None:
    arrival = read(deliver(octets, esm_class, options))
    assert arrival is None or arrival.address == "10000000001"


@given(st.integers(1, 2**60), st.integers(0, 4), st.booleans(), st.booleans())
def test_one_id_has_one_spelling(number: int, zeros: int, upper: bool, decimal: bool) -> None:
    plain = str(number) if decimal else format(number, "x")
    written = "0" * zeros + (plain.upper() if upper else plain)
    assert canonical(written) == plain


def test_ids_that_are_all_zeros_or_blank() -> None:
    assert (canonical("0000"), canonical(""), canonical(" 00a ")) == ("0", "", "a")


def test_the_other_base_is_recognised_by_the_phone_it_is_about_and_learnt() -> None:
    names = Names("any", keep=100)
    assert names.accepted(["00FF"], ["10000000001"]) == ["ff"]
    assert names.resolve(("255",), "8610000000001") == ("ff", True)
    assert names.resolve(("4096",), "10000000009") == ("1000", False), "learnt: decimal receipts of hexadecimal answers"
    assert names.spelling("ff") == "00FF"


def test_an_id_of_somebody_else_is_not_taken_for_the_other_base() -> None:
    names = Names("any", keep=100)
    names.accepted(["16", "10"], ["10000000001", "10000000002"])  # 10 is hexadecimal for sixteen
    assert names.resolve(("16",), "10000000002") == ("10", True)
    assert names.resolve(("16",), "10000000001") == ("16", True)


@pytest.mark.parametrize(
    ("form", "receipt", "far_id"), [("dec", "255", "ff"), ("hex", "00FF", "255"), ("any", "00FF", "ff")]
)
def test_a_set_base_needs_no_memory(form: str, receipt: str, far_id: str) -> None:
    names = Names(form, keep=100)  # type: ignore[arg-type]
    assert names.resolve((receipt,), "10000000001") == (far_id, False)


def test_recent_keeps_the_last_entries_and_no_more_than_twice_as_many() -> None:
    recent: Recent[int] = Recent(keep=10)
    for number in range(100):
        recent[str(number)] = number
    kept = [number for number in range(100) if recent.get(str(number)) is not None]
    assert set(range(90, 100)) <= set(kept)
    assert len(kept) <= 20


def test_statuses_are_named_and_unknown_ones_are_tried_again() -> None:
    assert status_name(0x58) == "ESME_RTHROTTLED (0x58)"
    assert refusal(0x0B) == Reason.INVALID_ADDRESS
    assert refusal(0x0444) == Reason.UNKNOWN
