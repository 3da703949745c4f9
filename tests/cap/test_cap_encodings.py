"""Encodings are read exactly or refused; a lying declaration never becomes mojibake."""

import codecs

import pytest
from cap_messages import cap

from gateway.cap import parse

TEXT = cap()
HEADLINE = "抚顺市气象台发布暴雨橙色预警"


def declared(name: str) -> str:
    return TEXT.replace('encoding="UTF-8"', f'encoding="{name}"')


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(TEXT.encode(), id="utf-8"),
        pytest.param(TEXT[39:].encode(), id="undeclared"),
        pytest.param(codecs.BOM_UTF8 + TEXT.encode(), id="utf-8 bom"),
        pytest.param(declared("UTF-16").encode("utf-16"), id="utf-16"),
        pytest.param(codecs.BOM_UTF16_BE + declared("utf-16").encode("utf-16-be"), id="utf-16 big endian"),
        pytest.param(codecs.BOM_UTF16_LE + TEXT[39:].encode("utf-16-le"), id="utf-16 undeclared"),
        *(pytest.param(declared(name).encode("gb18030"), id=name) for name in ("GB18030", "gbk", "GB2312", "gb_2312")),
    ],
)
def test_read_without_a_finding(raw: bytes) -> None:
    parsed = parse(raw)
    assert parsed.findings == ()
    assert parsed.alert is not None
    assert parsed.alert.infos[0].headline == HEADLINE


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(declared("GB2312").encode(), id="says gb, is utf-8"),
        pytest.param(declared("ISO-8859-1").encode(), id="says latin-1, is utf-8"),
        pytest.param(declared("utf-16").encode(), id="says utf-16, is utf-8"),
        pytest.param(codecs.BOM_UTF8 + declared("gbk").encode(), id="bom against gbk"),
        pytest.param(codecs.BOM_UTF8 + declared("utf-7").encode(), id="bom against utf-7"),
        pytest.param(TEXT.encode("utf-16"), id="says utf-8, is utf-16 with bom"),
    ],
)
def test_a_contradicted_declaration_is_read_as_what_it_is(raw: bytes) -> None:
    parsed = parse(raw)
    assert [finding.code for finding in parsed.findings] == ["encoding_contradiction"]
    assert parsed.alert is not None
    assert parsed.alert.infos[0].headline == HEADLINE


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param(TEXT.encode("gb18030"), "undecodable", id="says utf-8, is gb18030"),
        pytest.param(TEXT[39:].encode("gb18030"), "undecodable", id="undeclared gb18030"),
        pytest.param(declared("GB18030").encode("gb18030")[:-40] + b"\xff</alert>", "undecodable", id="broken gb18030"),
        pytest.param(TEXT.encode() + b"\xed\xa0\x80", "undecodable", id="surrogate in utf-8"),
        pytest.param(TEXT.encode().replace(b"Met", b"M\xc0\xa5t"), "undecodable", id="overlong utf-8"),
        pytest.param(TEXT.encode("utf-16") + b"\x00\xd8", "undecodable", id="lone surrogate"),
        pytest.param(TEXT.encode("utf-16")[:-1], "undecodable", id="half a character"),
        pytest.param(TEXT.encode("utf-16-le"), "encoding_unsupported", id="utf-16 without bom"),
        pytest.param(TEXT.encode("utf-16-be"), "encoding_unsupported", id="utf-16be without bom"),
        pytest.param(TEXT.encode("utf-32"), "encoding_unsupported", id="utf-32"),
        pytest.param(TEXT.encode("utf-32-be"), "encoding_unsupported", id="utf-32 without bom"),
        pytest.param(declared("utf-7").encode("utf-7"), "encoding_unsupported", id="utf-7"),
        pytest.param(declared("cp037").encode("ascii", "replace"), "encoding_unsupported", id="ebcdic"),
        pytest.param(declared("no-such").encode(), "encoding_unsupported", id="unknown name"),
    ],
)
def test_refused_not_guessed(raw: bytes, code: str) -> None:
    parsed = parse(raw)
    assert parsed.alert is None
    assert [finding.code for finding in parsed.errors] == [code]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_no_encoding_hides_a_doctype(encoding: str) -> None:
    text = declared(encoding).replace("<alert ", '<!DOCTYPE alert [<!ENTITY e "x">]><alert ')
    assert [finding.code for finding in parse(text.encode(encoding)).errors] == ["doctype_forbidden"]


def test_latin_1_is_read_with_a_warning() -> None:
    text = cap(sender="señal@met.example").replace("UTF-8", "ISO-8859-1")
    raw = "".join(sign if ord(sign) < 256 else "?" for sign in text).encode("iso-8859-1")
    parsed = parse(raw)
    assert parsed.alert is not None
    assert (parsed.alert.sender, parsed.findings[0].code) == ("señal@met.example", "encoding_unusual")


def test_the_place_of_a_bad_byte_is_told() -> None:
    (finding,) = parse(TEXT.encode().replace(b"Met", b"M\xfft")).findings
    assert finding.line == 2
