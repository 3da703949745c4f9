"""Chinese numerals: quantities (两千零五), digits one by one (二〇二六), telephone digits (幺二三七九). `speaking` calls it."""

from __future__ import annotations

DIGITS = "零一二三四五六七八九"
PLACES = ("", "十", "百", "千")
GROUPS = ("", "万", "亿", "万亿")
LARGEST = 10**16


def cardinal(number: int) -> str:
    """十二, 一百零五, 十万零三百: a whole number from 0 to 10^16 - 1. Larger ones are read digit by digit."""
    if number >= LARGEST:
        return digits(str(number))
    if number == 0:
        return DIGITS[0]
    said = ""
    for power in range(3, -1, -1):
        group = number // 10 ** (4 * power) % 10000
        gap = said and (group < 1000 or _ends_in_gap(number, power))
        if group:
            said += (DIGITS[0] if gap and not said.endswith(DIGITS[0]) else "") + _group(group) + GROUPS[power]
    return said[1:] if said.startswith("一十") else said


def _ends_in_gap(number: int, power: int) -> bool:
    """Whether the group above is empty: 一亿零五千."""
    above = number // int(10 ** (4 * power + 4))
    return above % 10000 == 0


def _group(number: int) -> str:
    """1 to 9999."""
    said, gap = "", False
    for place in range(3, -1, -1):
        digit = number // 10**place % 10
        if digit:
            said += (DIGITS[0] if gap and said else "") + DIGITS[digit] + PLACES[place]
        gap = digit == 0
    return said


def quantity(number: int) -> str:
    """Like `cardinal`, with 两 where people say it before 千, 万 and 亿 at the front."""
    said = cardinal(number)
    return "两" + said[1:] if said[0] == "二" and said[1:2] in ("千", "万", "亿") else said


def decimal(text: str) -> str:
    """`12.50` -> 十二点五零; a whole number is a quantity."""
    whole, _, rest = text.partition(".")
    return quantity(int(whole)) + ("点" + digits(rest) if rest else "")


def digits(text: str) -> str:
    """`105` -> 一零五."""
    return "".join(DIGITS[int(char)] for char in text)


def year(text: str) -> str:
    """`2026` -> 二〇二六."""
    return digits(text).replace("零", "〇")


def telephone(text: str) -> str:
    """`12379` -> 幺二三七九; 1 is 幺 so that nobody hears 七."""
    return digits(text).replace("一", "幺")
