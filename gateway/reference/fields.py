"""What may stand in a cell: codes, whole numbers, degrees, goals, dates, lists. Called by the readers of tables.

Every function takes a trimmed, non-empty text and raises `Unfit` with a code of `gateway.reference.reasons`.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date

from gateway.model.region import RegionLevel
from gateway.rules.divisions import level_of, normal

_SCIENTIFIC = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?[eE][+-][0-9]+")  # with its sign: 11E02 is an event code
_WHOLE = re.compile(r"[0-9]+|[0-9]{1,3}(,[0-9]{3})+")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]+)?")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,2})?)%")
_DATE = re.compile(r"([0-9]{4})[-/.年]?([0-9]{1,2})[-/.月]?([0-9]{1,2})日?")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_LIST = re.compile(r"[;；,，、|]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")

_LEVELS = {
    RegionLevel.PROVINCE: "province 1 省 省级 自治区 直辖市",
    RegionLevel.CITY: "city 2 市 市级 地级 地级市 地区 自治州 盟 州",
    RegionLevel.COUNTY: "county 3 县 县级 区县 县区 区 县级市 旗 自治县 市辖区",
    RegionLevel.TOWN: "town 4 乡 镇 乡镇 乡级 镇级 乡镇级 街道 乡镇街道 乡镇(街道)",
    RegionLevel.VILLAGE: "village 5 村 村级 社区 行政村 村社区 村居 村(社区)",
    RegionLevel.GROUP: "group 6 组 村民小组 小组 网格 自然村",
}
_LEVEL = {word: level for level, words in _LEVELS.items() for word in words.split()}


class Unfit(ValueError):
    """A cell that cannot be what its column needs."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def undamaged(text: str) -> str:
    """A text that Excel has not turned into `1.38E+10` and that holds no control characters."""
    if _SCIENTIFIC.fullmatch(text):
        raise Unfit("scientific")
    if text.startswith("#") and text.endswith(("!", "?", "/A")):
        raise Unfit("excel_error")
    if _CONTROL.search(text):
        raise Unfit("control_character")
    return text


def division(text: str) -> str:
    """A division code with ASCII digits, as long as it was written."""
    code = normal(undamaged(text))
    if code is None or level_of(code) is None:
        raise Unfit("not_a_code")
    return code


def parent(text: str) -> str | None:
    """The code of a parent; None for the country itself (100000 in GB/T 2260, or only zeros), which is no region of ours."""
    if not text.strip("0") or text.strip().rstrip("0") == "1":
        return None
    return division(text)


def level(text: str) -> RegionLevel:
    """`village`, `村`, `社区`, `5`."""
    found = _LEVEL.get(unicodedata.normalize("NFKC", text).strip().casefold())
    if found is None:
        raise Unfit("bad_level")
    return found


def whole(text: str) -> int:
    """A whole number from 0 to 2,000,000,000; `12,345` and full-width digits are read."""
    plain = unicodedata.normalize("NFKC", undamaged(text)).removesuffix(".0").removesuffix("人")
    if plain.startswith("-") and _WHOLE.fullmatch(plain[1:]):
        raise Unfit("negative")
    if not _WHOLE.fullmatch(plain):
        raise Unfit("not_whole")
    number = int(plain.replace(",", ""))
    if number > 2_000_000_000:
        raise Unfit("too_large")
    return number


def positive(text: str) -> int:
    """A whole number from 1."""
    number = whole(text)
    if not number:
        raise Unfit("not_positive")
    return number


def latitude(text: str) -> float:
    """Degrees from -90 to 90."""
    return _degrees(text, 90.0)


def longitude(text: str) -> float:
    """Degrees from -180 to 180."""
    return _degrees(text, 180.0)


def _degrees(text: str, most: float) -> float:
    plain = unicodedata.normalize("NFKC", undamaged(text))
    if not _DECIMAL.fullmatch(plain):
        raise Unfit("not_degrees")
    degrees = float(plain)
    if abs(degrees) > most:
        raise Unfit("out_of_range")
    return degrees


def basis_points(text: str) -> int:
    """A goal: basis points from 0 to 10000 (`9200`), or percent with its sign (`92%`, `98.5%`)."""
    plain = unicodedata.normalize("NFKC", text)
    if percent := _PERCENT.fullmatch(plain):
        points = round(float(percent[1]) * 100)
    elif plain.isascii() and plain.isdigit():
        points = int(plain)
    else:
        raise Unfit("not_a_goal")
    if points > 10_000 or (not percent and 0 < points <= 100):
        raise Unfit("not_a_goal")
    return points


def day(text: str) -> str:
    """An ISO date; `2026/7/1`, `20260701` and `2026年7月1日` are read."""
    found = _DATE.fullmatch(unicodedata.normalize("NFKC", text).removesuffix(" 00:00:00"))
    if not found:
        raise Unfit("not_a_date")
    try:
        return date(int(found[1]), int(found[2]), int(found[3])).isoformat()
    except ValueError:
        raise Unfit("not_a_date") from None


def names(text: str) -> tuple[str, ...]:
    """The parts of a list with `;` (or `；`, `、`, a comma) between them, each once."""
    parts = (part.strip() for part in _LIST.split(undamaged(text)))
    return tuple(dict.fromkeys(part for part in parts if part))


def divisions(text: str) -> tuple[str, ...]:
    """A list of division codes."""
    return tuple(division(part) for part in names(text))


def language(text: str) -> str:
    """A language tag such as `zh-CN` (RFC 5646)."""
    if not _LANGUAGE.fullmatch(text):
        raise Unfit("not_a_language")
    return text


def languages(text: str) -> tuple[str, ...]:
    """A list of language tags."""
    return tuple(language(part) for part in names(text))
