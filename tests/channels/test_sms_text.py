"""Texts into short messages: the right alphabet, 70 or 67 characters, and a phone that shows what was written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.sms.phone import Phone
from channels.sms.smpp import MESSAGE_PAYLOAD, SAR_NUMBER, SAR_REFERENCE, SAR_TOTAL, Short, read_tlvs
from channels.sms.text import DEFAULT_ALPHABET, UCS2, Part, TooLong, compose


def shown(parts: list[Part], order: list[int] | None = None) -> list[str]:
    """What a phone shows when these parts come in this order."""
    phone = Phone()
    texts = []
    for index in order or range(len(parts)):
        part = parts[index]
        tlvs = read_tlvs(part.options, 0, len(part.options))
        payload = tlvs.get(MESSAGE_PAYLOAD)
        octets = part.short if payload is None else payload
        message = Short(b"12379", b"10000000000", part.esm_class, b"", 1, part.data_coding, octets, 0, bool(payload))
        if (text := phone.take(message, tlvs)) is not None:
            texts.append(text)
    return texts


@pytest.mark.parametrize(
    ("length", "parts"), [(0, 1), (1, 1), (70, 1), (71, 2), (134, 2), (135, 3), (201, 3), (202, 4)]
)
def test_chinese_takes_70_characters_or_67_in_each_part(length: int, parts: int) -> None:
    composed = compose("雨" * length, "udh", 7)
    assert len(composed) == parts
    assert all(len(part.short) <= 140 for part in composed)
    assert shown(composed) == ["雨" * length]


@pytest.mark.parametrize(("length", "parts"), [(160, 1), (161, 2), (306, 2), (307, 3)])
def test_plain_latin_text_takes_160_characters_or_153_in_each_part(length: int, parts: int) -> None:
    composed = compose("a" * length, "udh", 7)
    assert len(composed) == parts
    assert {part.data_coding for part in composed} == {DEFAULT_ALPHABET}
    assert shown(composed) == ["a" * length]


@pytest.mark.parametrize("character", list("@$_[]{}\\^~|`€é雨"))
def test_what_an_operator_could_misread_goes_as_ucs2(character: str) -> None:
    assert compose(character, "udh", 0)[0].data_coding == UCS2


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=400), st.sampled_from(["udh", "payload"]), st.randoms()
)
def test_the_phone_shows_the_text_whatever_the_order_of_its_parts(text: str, long: str, lot: object) -> None:
    parts = compose(text, "udh" if long == "udh" else "payload", 300)
    order = list(range(len(parts)))
    lot.shuffle(order)  # type: ignore[attr-defined]
    assert shown(parts, order) == [text]


def test_a_rare_hanzi_is_never_torn_between_two_parts() -> None:
    parts = compose("雨" * 66 + "𠮷" + "雨" * 20, "udh", 1)
    assert [len(part.short) for part in parts] == [6 + 66 * 2, 6 + 4 + 20 * 2]


def test_the_header_ties_parts_by_reference_total_and_number() -> None:
    parts = compose("雨" * 100, "udh", 0x1234)
    assert [part.short[:6] for part in parts] == [bytes((5, 0, 3, 0x34, 2, 1)), bytes((5, 0, 3, 0x34, 2, 2))]
    assert {part.esm_class for part in parts} == {0x40}


def test_payload_keeps_a_long_text_whole() -> None:
    (part,) = compose("雨" * 300, "payload", 1)
    assert part.short == b""
    assert len(part.options) == 4 + 600


@pytest.mark.parametrize(("text", "long"), [("雨" * (67 * 255 + 1), "udh"), ("雨" * 32768, "payload")])
def test_a_text_beyond_all_limits_is_refused(text: str, long: str) -> None:
    with pytest.raises(TooLong):
        compose(text, "udh" if long == "udh" else "payload", 1)


def test_the_phone_also_joins_parts_tied_by_sar_tlvs_and_16_bit_headers() -> None:
    phone = Phone()
    sar = {SAR_REFERENCE: b"\0\1", SAR_TOTAL: b"\2"}
    first = Short(b"1", b"2", 0, b"", 1, UCS2, "洪".encode("utf-16-be"), 0, False)
    second = first._replace(text="水".encode("utf-16-be"))
    assert phone.take(second, sar | {SAR_NUMBER: b"\2"}) is None
    assert phone.take(first, sar | {SAR_NUMBER: b"\1"}) == "洪水"
    wide = first._replace(esm_class=0x40, text=b"\6\x08\4\1\0\1\1" + first.text)
    assert phone.take(wide, {}) == "洪"
