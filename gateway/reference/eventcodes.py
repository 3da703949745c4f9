"""The national event codes (five characters, such as 11B03 暴雨) with their names. Rendering, planning and the pages call this.

An unknown code is no fault: it is shown as it came, or by its class.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from gateway.reference import fields
from gateway.reference.tables import open_table

HEADING: Mapping[str, tuple[str, ...]] = {
    "code": ("代码", "编码"),
    "zh": ("name_zh", "名称"),
    "en": ("name_en", "英文名称"),
    "category": ("类别",),
}


class EventCode(NamedTuple):
    """One code: its names and its category, such as `weather`."""

    code: str
    zh: str
    en: str
    category: str


def list_codes(path: Path) -> dict[str, EventCode]:
    """All codes of a table, by code. Raises ConfigError if it cannot be read."""
    rows = open_table(path, HEADING, ("code", "zh"), None).rows()
    codes = (EventCode(*(row.take(column, fields.undamaged, "") for column in EventCode._fields)) for row in rows)
    return {code.code: code for code in codes if code.code}


def label(codes: Mapping[str, EventCode], code: str, language: str = "zh-CN") -> str:
    """The name of a code in Chinese or English; of its class (11B99 -> 11B00) if it is unknown; else the code itself."""
    found = codes.get(code) or codes.get(f"{code[:3]}00")
    if found is None:
        return code
    return found.zh if language.casefold().startswith("zh") or not found.en else found.en
