"""From bytes as received to clean UTF-8, by our own rules, so that no later parser guesses an encoding again.

Read: UTF-8, UTF-16 with BOM, GB18030 under its many names; Latin-1 and Windows-1252 with a warning. What else is
declared, or does not decode strictly, is refused: a warning must never go out as mojibake.
"""

from __future__ import annotations

import codecs
import re

from gateway.cap.notes import Notes, Stop

_DECLARED = re.compile(rb"""<\?xml\s[^>]*?\bencoding\s*=\s*["']([^"'>]*)["']""")
_CJK_IN_UTF8 = re.compile(rb"[\xe3-\xe9][\x80-\xbf][\x80-\xbf]")

_CODECS = {
    "": "utf-8",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "gb18030": "gb18030",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "gb-2312": "gb18030",
    "x-gbk": "gb18030",
    "cp936": "gb18030",
    "ms936": "gb18030",
    "windows-936": "gb18030",
    "euc-cn": "gb18030",
    "iso-8859-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "latin-1": "iso-8859-1",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
}


def to_utf8(raw: bytes, notes: Notes) -> bytes:
    """The document as UTF-8 without BOM. Raises Stop (`empty_body`, `encoding_unsupported`, `undecodable`)."""
    if not raw.strip():
        raise Stop("empty_body")
    if raw.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise Stop("encoding_unsupported", "UTF-32")
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _from_utf16(raw, notes)
    if raw.startswith(codecs.BOM_UTF8):
        return _from_utf8_with_bom(raw[3:], notes)
    if b"\0" in raw[:4]:
        raise Stop("encoding_unsupported", "UTF-16 / UTF-32 without BOM")
    return _from_declaration(raw, notes)


def _from_utf16(raw: bytes, notes: Notes) -> bytes:
    utf8 = _decoded(raw, "utf-16")
    if declared_encoding(utf8) not in ("", "utf-16", "utf-16le", "utf-16be", "ucs-2", "iso-10646-ucs-2", "unicode"):
        notes.add("encoding_contradiction", "UTF-16")
    return utf8


def _from_utf8_with_bom(raw: bytes, notes: Notes) -> bytes:
    if _CODECS.get(declared_encoding(raw)) != "utf-8":
        notes.add("encoding_contradiction", "UTF-8")
    return _decoded(raw, "utf-8")


def _from_declaration(raw: bytes, notes: Notes) -> bytes:
    declared = declared_encoding(raw)
    if declared in ("utf-16", "unicode"):  # .NET writes this into text that it then saves as UTF-8
        notes.add("encoding_contradiction", "UTF-8")
        return _decoded(raw, "utf-8")
    codec = _CODECS.get(declared)
    if codec is None:
        raise Stop("encoding_unsupported", declared, line=1)
    if codec != "utf-8" and _is_really_utf8(raw):
        notes.add("encoding_contradiction", "UTF-8")
        codec = "utf-8"
    elif codec in ("iso-8859-1", "cp1252"):
        notes.add("encoding_unusual", declared)
    return _decoded(raw, codec)


def declared_encoding(raw: bytes) -> str:
    """The name in the XML declaration, lower case with hyphens; "" without one."""
    if not raw.startswith(b"<?xml"):
        return ""
    found = _DECLARED.match(raw, 0, raw.find(b"?>") + 2)
    return found[1].decode("ascii", "replace").strip().lower().replace("_", "-") if found else ""


def _is_really_utf8(raw: bytes) -> bool:
    """Valid UTF-8 with Chinese in it is no accident: another encoding's text is practically never both."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return _CJK_IN_UTF8.search(raw) is not None


def _decoded(raw: bytes, codec: str) -> bytes:
    try:
        text = raw.decode(codec)
        return raw if codec == "utf-8" else text.encode("utf-8")
    except UnicodeDecodeError as error:
        line = 1 + raw.count(b"\n", 0, error.start)
        raise Stop("undecodable", f"{codec.upper()}, byte {error.start}", line=line) from error
    except UnicodeEncodeError as error:  # a lone surrogate slipped through the decoder
        raise Stop("undecodable", codec.upper()) from error
