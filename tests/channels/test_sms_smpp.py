"""The SMPP codec: any PDU survives the wire, however the stream is cut, and garbage is seen for what it is."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from channels.sms.smpp import (
    HEADER,
    LARGEST,
    MESSAGE_PAYLOAD,
    cancel,
    cstring,
    pack,
    read_cstring,
    read_short,
    read_tlvs,
    split,
    tlv,
)

PDUS = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(1, 2**31 - 1), st.binary(max_size=60)),
    max_size=8,
)


@given(PDUS, st.lists(st.integers(0, 600), max_size=6))
def test_a_stream_gives_the_same_pdus_however_it_is_cut(
    pdus: list[tuple[int, int, int, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(pack(*pdu) for pdu in pdus)
    borders = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    tail, seen = b"", []
    for start, stop in pairwise(borders):
        data = tail + stream[start:stop]
        frames, used, sound = split(data)
        assert sound
        seen += [(command, status, number, data[begin:end]) for command, status, number, begin, end in frames]
        tail = data[used:]
    assert seen == pdus
    assert tail == b""


@given(st.one_of(st.integers(0, 15), st.integers(LARGEST + 1, 2**32 - 1)), st.binary(max_size=40))
def test_an_impossible_length_is_garbage_and_what_came_before_it_is_kept(length: int, rest: bytes) -> None:
    good = pack(0x15, 0, 7)
    blocks = split(good + HEADER.pack(length, 4, 0, 1) + rest)
    assert not blocks.sound
    assert [frame[2] for frame in blocks.frames] == [7]
    assert blocks.used == len(good)


NUMBER = st.text("0123456789", max_size=20)


@given(NUMBER, NUMBER, st.binary(max_size=140), st.integers(0, 255), st.booleans(), st.binary(max_size=30))
def test_a_short_message_is_read_as_it_was_written(
    source: str, destination: str, text: bytes, coding: int, payload: bool, before: bytes
) -> None:
    options = tlv(0x1501, b"key") + (tlv(MESSAGE_PAYLOAD, text) if payload else b"")
    short = b"" if payload else text
    body = (
        cstring("") + b"\1\1" + cstring(source) + b"\1\1" + cstring(destination) + bytes((0x40, 0, 0)) + cstring("")
        + cstring("260722063000000+") + bytes((1, 0, coding, 0, len(short))) + short + options
    )  # fmt: skip
    data = before + body + b"next PDU"
    message = read_short(data, len(before), len(before) + len(body))
    assert message is not None
    assert (message.source, message.destination) == (source.encode(), destination.encode())
    assert (message.text, message.data_coding, message.esm_class, message.registered) == (text, coding, 0x40, 1)
    assert message.validity == b"260722063000000+"
    assert message.payload == (payload and bool(text))
    assert read_tlvs(data, message.options, len(before) + len(body))[0x1501] == b"key"


@given(st.binary(max_size=120))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    message = read_short(body, 0, len(body))
    if message is not None:
        assert message.options <= len(body)
        read_tlvs(body, message.options, len(body))


def test_a_text_that_claims_to_be_longer_than_its_pdu_is_no_message() -> None:
    body = b"\0\0\0\0\0\0\0" + bytes((0, 0, 0)) + b"\0\0" + bytes((0, 0, 0, 0, 200)) + b"short"
    assert read_short(body, 0, len(body)) is None


@given(st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=20), max_size=5))
def test_tlvs_round_trip(values: dict[int, bytes]) -> None:
    data = b"".join(tlv(tag, value) for tag, value in values.items())
    assert read_tlvs(data, 0, len(data)) == values


def test_a_tlv_that_runs_over_the_end_is_dropped() -> None:
    data = tlv(1, b"one") + b"\0\2\0\xffrest"
    assert read_tlvs(data, 0, len(data)) == {1: b"one"}


def test_strings_end_at_their_nul_or_at_the_end_of_the_pdu() -> None:
    assert read_cstring(b"gw\0pw\0", 0, 6) == (b"gw", 3)
    assert read_cstring(b"gw", 0, 2) == (b"gw", 2)


def test_cancel_names_the_message_and_both_numbers() -> None:
    assert (
        cancel("00AB", b"\0\x0112379\0", b"\1\x0110000000001\0") == b"\x0000AB\0" + b"\0\x0112379\0\1\x0110000000001\0"
    )
