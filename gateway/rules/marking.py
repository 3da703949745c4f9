"""The program's own mark on drills and tests: 【演练】, 【测试】, in writing and aloud. `rendering` puts it on every text.

Marks of the same look that the author wrote are taken out of a drill and lose their brackets in a real warning, so that the
mark stands there exactly when the program put it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.model.alert import Status

WORDS = {Status.EXERCISE: ("演练", "EXERCISE", "an exercise"), Status.TEST: ("测试", "TEST", "a test")}
WORDS[Status.SYSTEM] = WORDS[Status.TEST]

FORGED = re.compile(
    r"[【〖［\[〔]([^】〗］\]〕\n]{0,12}?(?:演\s*[练練]|[测測]\s*[试試]|drill|exercise|\btest\b)[^】〗］\]〕\n]{0,12}?)[】〗］\]〕]",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands before and after a text; `word` is 演练, 测试 or "" for a real warning."""

    word: str = ""
    front: str = ""
    back: str = ""

    @property
    def size(self) -> int:
        """Characters that the mark takes."""
        return len(self.front) + len(self.back)


def mark_of(status: Status, *, chinese: bool, aloud: bool = False) -> Mark:
    """The mark for a message of `status`. Aloud it is said twice, and again at the end for those who tuned in late."""
    if status not in WORDS:
        return Mark()
    word, english, noun = WORDS[status]
    front = f"【{word}】" + ("" if chinese else f"{english}: ")
    if not aloud:
        return Mark(word, front)
    if chinese:
        return Mark(word, f"{front}{word}，{word}。", f"以上是{word}，不是真实预警。")
    return Mark(word, front, f" This was only {noun}.")


def put(mark: Mark, text: str) -> str:
    """`text` behind `mark`, without any mark of the author's."""
    return mark.front + unmarked(text, real=not mark.word).lstrip() + mark.back


def unmarked(text: str, *, real: bool) -> str:
    """`text` without marks that look like the program's. In a real warning their words stay, in other brackets."""
    while FORGED.search(text):
        text = FORGED.sub(r"「\1」" if real else "", text)
    return text
