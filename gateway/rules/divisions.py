"""Division codes: how one place may be spelled, and what all its spellings share.

A code grows by segments: province 2 digits, city 4, county 6 (GB/T 2260), town 9, village 12 (statistical codes, GB/T 10114),
group 14 or 15; behind the last segment that says something it may be padded with zeros. Called by the tree, by targeting, by
the readers of reference data and wherever a code is compared with a scope.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from gateway.model.region import RegionLevel

LENGTHS = frozenset({2, 4, 6, 9, 12, 14, 15})
"""How many digits a code may be written with."""

_SCHEMES = (
    "cngb2260 gb2260 gbt2260 gbt10114 gb10114 cn12379 12379 cndivision division divisioncode adcode adminadcode "
    "cnadcode chinadivision cnregion tongluoregion tongluodivision administrativedivision "
    "administrativedivisioncode cngeocode xzqh xzqhdm 行政区划 行政区划代码 行政区划编码 行政区代码 行政区划码 "
    "区划代码 区划编码 区划码 统计用区划代码 统计区划代码 城乡分类代码 中国行政区划代码 国标行政区划代码"
)
DIVISION_SCHEMES = frozenset(_SCHEMES.split())
"""Geocode names under which a number is a Chinese division code, without case, spaces and punctuation. Numbers under any other
name (FIPS6, SAME, WARNCELLID, ...) may look the same and are never taken for one."""

_EDITION = re.compile(r"(2260|10114)(19|20)\d\d$")
_ENDS = (2, 4, 6, 9, 12)
_SEPARATORS = re.compile(r"[,;，；、\s]+")
_LEVELS = {
    2: RegionLevel.PROVINCE,
    4: RegionLevel.CITY,
    6: RegionLevel.COUNTY,
    9: RegionLevel.TOWN,
    12: RegionLevel.VILLAGE,
    14: RegionLevel.GROUP,
    15: RegionLevel.GROUP,
}


def normal(text: str) -> str | None:
    """The code in ASCII digits (full-width ones are read too), or None if this is no division code."""
    code = unicodedata.normalize("NFKC", text).strip()
    return code if code.isascii() and code.isdigit() and len(code) in LENGTHS and int(code[:2]) else None


@lru_cache(maxsize=65536)
def significant(code: str) -> str:
    """The code without its padding: `210000` -> `21`, `210106001000` -> `210106001`. Equal for all spellings of one place."""
    ends = [*(end for end in _ENDS if end < len(code)), len(code)]
    while ends and not code[ends[-2] if len(ends) > 1 else 0 : ends[-1]].strip("0"):
        ends.pop()
    return code[: ends[-1]] if ends else ""


def shorter(code: str) -> list[str]:
    """The significant codes that hold this one by spelling, deepest first: `210106001` -> `210106`, `2101`, `21`."""
    own = significant(code)
    prefixes = [significant(own[:end]) for end in reversed(_ENDS) if end < len(own)]
    return list(dict.fromkeys(prefixes))


def level_of(code: str) -> RegionLevel | None:
    """The level that a code's own length gives, or None for a code without meaning such as `000000`."""
    return _LEVELS.get(len(significant(code)))


def within(code: str, scope: str) -> bool:
    """Is the place of `code` the place of `scope` or inside it, by spelling? `within("210106001000", "210000")` is True."""
    return significant(code).startswith(significant(scope))


def split(text: str) -> list[str]:
    """The single values of a list written with commas (ASCII or full-width), semicolons or white space."""
    return [part for part in _SEPARATORS.split(text) if part]


def is_division_scheme(name: str) -> bool:
    """Are numbers under this geocode name Chinese division codes? `GB/T 2260-2007`, `CN-GB2260`, `行政区划代码`: yes."""
    plain = "".join(letter for letter in name.casefold() if letter.isalnum())
    return _EDITION.sub(r"\1", plain) in DIVISION_SCHEMES
