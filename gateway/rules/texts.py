"""Words as plain matter: cleaning, cutting at sentence borders, counting SMS parts, naming many places briefly.

`rendering` calls it before and after the templates; nothing here knows what an alert is.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

NEWLINE = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
FILLERS = dict.fromkeys(map(ord, "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"))
"""Letters and marks that Unicode calls visible and no screen shows."""

FULL_STOP = re.compile(r"(?<=[。！？!?；;\n])(?![”’」』）)。！？!?；;\n])|(?<=[a-z)][.])\s+(?=[A-Z])")
CLAUSE_STOP = re.compile(r"(?<=[，,、：:])")
TERMINAL = "。！？!?…."
ELLIPSIS = "…"

GSM7_EXTENDED = frozenset("^{}\\[~]|")
GSM7_ABSENT = frozenset("`")


def clean(text: str) -> str:
    """`text` in NFC without control, bidirectional, zero-width, surrogate or unassigned characters; line ends are `\\n`."""
    lines = (_visible(line) for line in NEWLINE.sub("\n", text).split("\n"))
    return unicodedata.normalize("NFC", "\n".join(lines)).strip()


def _visible(line: str) -> str:
    if not line.isprintable():
        line = "".join(char if char.isprintable() else _gap(char) for char in line)
    return line.translate(FILLERS).strip()


def _gap(char: str) -> str:
    return " " if char == "\t" or unicodedata.category(char) == "Zs" else ""


def clean_line(text: str) -> str:
    """Like `clean`, on one line: what a subject, a form field or a header may hold."""
    return " ".join(clean(text).split())


def sentences(text: str) -> list[str]:
    """The sentences of `text` with their stops; joined they are the text again (blanks after an English stop aside)."""
    return [part for part in FULL_STOP.split(text) if part.strip()]


def ended(text: str) -> str:
    """`text` with a stop at its end: 。 after Chinese, a full stop after anything else; nothing for nothing."""
    text = text.strip()
    if not text or text[-1] in TERMINAL:
        return text
    return text.rstrip("，,；;、：:") + ("。" if wide(text) else ".")


def wide(text: str) -> bool:
    """Whether `text` holds a Chinese character."""
    return any("\u3400" <= char <= "\u9fff" for char in text)


def shorter(text: str, *, keep_first: bool) -> Iterator[str]:
    """Ever shorter versions of `text`, cut at sentence borders and marked 「…」.

    With `keep_first` the last one is the first sentence; else cuts go on at clause borders, down to nothing.
    """
    parts = sentences(text)
    for count in range(len(parts) - 1, 0, -1):
        yield "".join(parts[:count]).rstrip() + ELLIPSIS
    if not keep_first:
        clauses = CLAUSE_STOP.split(parts[0]) if parts else []
        for count in range(len(clauses) - 1, 0, -1):
            yield "".join(clauses[:count]).rstrip("，,、：:") + ELLIPSIS
        yield ""


def cut(text: str, room: int) -> str:
    """`text` in at most `room` characters: cut at the last sentence border past its half, else at the last character."""
    if len(text) <= room:
        return text
    head = text[: max(room - 1, 0)]
    border = max((found.end() for found in FULL_STOP.finditer(head)), default=0)
    return (head[:border] if border > room // 2 else head).rstrip() + ELLIPSIS if room else ""


def sms_parts(text: str) -> int:
    """How many short messages carry `text`: 70 UTF-16 units or 67 per part; 160 or 153 septets if all of it is GSM-7 ASCII."""
    if text.isascii() and not GSM7_ABSENT & set(text):
        return _parts((1 + (char in GSM7_EXTENDED) for char in text), 160, 153)
    return _parts((1 + (char > "\uffff") for char in text), 70, 67)


def _parts(widths: Iterator[int], single: int, each: int) -> int:
    """A character is never split between two parts."""
    sizes = list(widths)
    if sum(sizes) <= single:
        return 1
    parts, room = 1, each
    for size in sizes:
        if size > room:
            parts, room = parts + 1, each
        room -= size
    return parts


KINDS = ("县", "区", "旗", "市", "街道", "镇", "乡", "社区", "村", "屯", "组")


def places(names: Sequence[str], room: int, *, chinese: bool = True) -> str:
    """The places in at most `room` characters if that can be: all of them, or the first and how many: 清原县等3县12镇."""
    whole = ("、" if chinese else ", ").join(names)
    if len(whole) <= room or len(names) < 2:
        return whole
    if not chinese:
        return f"{names[0]} and {len(names) - 1} more places"
    return f"{names[0]}等{_counted(names)}"


def _counted(names: Sequence[str]) -> str:
    """3县12镇, in the order of the kinds in the tree; a kind without a word of its own is 处."""
    counts = Counter(_kind(name) for name in names)
    return "".join(f"{counts[kind]}{kind}" for kind in (*KINDS, "处") if counts[kind])


def _kind(name: str) -> str:
    return next((kind for kind in sorted(KINDS, key=len, reverse=True) if name.endswith(kind)), "处")
