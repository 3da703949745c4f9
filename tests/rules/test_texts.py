"""Cleaning, cutting and counting of plain text."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.texts import clean, clean_line, cut, ended, places, sentences, shorter, sms_parts

HIDDEN = (
    "\x00\x07\x1b\x7f\x85\u009f\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff\ue000"
    "\U000e0041"
)


def test_hidden_characters_go_and_line_ends_are_one() -> None:
    assert clean("暴" + "雨".join(HIDDEN.replace("\x85", ""))) == "暴" + "雨" * (len(HIDDEN) - 2)
    assert clean("a\r\nb\rc\u2028d\u0085e\tf\u3000g") == "a\nb\nc\nd\ne f g"
    assert clean("\ud800x\ufdd0") == "x"
    assert clean("e\u0301") == "é"
    assert clean_line(" a \r\n\r\n b ") == "a b"


@given(st.text(st.characters(), max_size=80))
def test_clean_text_is_printable_and_stays_so(text: str) -> None:
    once = clean(text)
    assert all(char == "\n" or char.isprintable() for char in once)
    assert clean(once) == once == unicodedata.normalize("NFC", once)


@given(st.text(st.sampled_from("雨。！？；，a. B\n”」"), max_size=60))
def test_sentences_lose_no_word(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@given(st.text(st.sampled_from("雨雪。！；，、"), max_size=60), st.booleans())
def test_shorter_texts_are_ever_shorter_and_marked(text: str, keep_first: bool) -> None:
    lengths = [len(text) + 1] + [len(version) for version in shorter(text, keep_first=keep_first)]
    assert all(after <= before for before, after in pairwise(lengths))
    assert all(version.endswith("…") or not version for version in shorter(text, keep_first=keep_first))


def test_shorter_goes_by_sentences_then_clauses() -> None:
    assert list(shorter("一，二。三！", keep_first=False)) == ["一，二。…", "一…", ""]
    assert list(shorter("一，二。三！", keep_first=True)) == ["一，二。…"]


@given(st.text(max_size=50), st.integers(0, 60))
def test_cut_keeps_its_room(text: str, room: int) -> None:
    assert len(cut(text, room)) <= room
    assert len(text) > room or cut(text, room) == text


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("雨" * 70, 1), ("雨" * 71, 2), ("雨" * 134, 2), ("雨" * 135, 3), ("雨" * 201, 3), ("a" * 160, 1), ("a" * 161, 2),
        ("a" * 306, 2), ("a" * 307, 3), ("[" * 80, 1), ("[" * 81, 2), ("`" * 71, 2), ("😀" * 35, 1), ("😀" * 36, 2),
        ("😀" * 67, 3), ("", 1),
    ],
)  # fmt: skip
def test_sms_parts(text: str, parts: int) -> None:
    assert sms_parts(text) == parts


def test_places_are_all_named_or_counted() -> None:
    assert places(["清原县", "新宾县"], 24) == "清原县、新宾县"
    many = ["清原满族自治县", "新宾满族自治县", "抚顺县"] + [f"第{n}镇" for n in range(12)] + ["某水库"]
    assert places(many, 24) == "清原满族自治县等3县12镇1处"
    assert places(["Qingyuan", "Xinbin", "Fushun"], 10, chinese=False) == "Qingyuan and 2 more places"


def test_ended() -> None:
    assert [ended("请转移"), ended("请转移！"), ended("Leave now"), ended(""), ended("关窗，")] == [
        "请转移。",
        "请转移！",
        "Leave now.",
        "",
        "关窗。",
    ]
