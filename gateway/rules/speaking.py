"""Written text to words that a speech engine reads right: years, clock times, telephone numbers, units, ranges, letters.

`rendering` calls `spoken` on every loudspeaker script. The Chinese rules leave no digit behind: what no rule knows is read
digit by digit. The order of `RULES` is the meaning: the particular comes before the general.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from gateway.rules.numerals import cardinal, decimal, digits, telephone, year

Match = re.Match[str]

UNITS = {
    "μg/m3": "微克每立方米", "ug/m3": "微克每立方米", "mg/m3": "毫克每立方米", "m3/s": "立方米每秒", "km/h": "公里每小时",
    "mm/h": "毫米每小时", "cm/s": "厘米每秒", "m/s": "米每秒", "km2": "平方公里", "m2": "平方米", "m3": "立方米",
    "mm": "毫米", "cm": "厘米", "km": "公里", "dm": "分米", "hm2": "公顷", "hPa": "百帕", "kPa": "千帕", "Pa": "帕",
    "kg": "公斤", "mg": "毫克", "kV": "千伏", "kW": "千瓦", "MW": "兆瓦", "ml": "毫升", "mL": "毫升", "min": "分钟",
    "kt": "节", "m": "米", "h": "小时", "s": "秒", "t": "吨", "g": "克", "L": "升", "d": "天", "V": "伏", "W": "瓦",
}  # fmt: skip

TWO_OF = (
    "毫米|厘米|公里|平方|立方|小时|分钟|公斤|公顷|米|秒钟|吨|亩|天|周|年|个|人|名|户|次|处|座|条|辆|艘|间|栋|家|所|支|台|层|"
    "倍|元|块|头|只|株|件|份|种|项|批|点|万|亿|千|百"
)
"""What makes 2 两 and not 二 (二月, 二日, 二级, 二号 stay)."""

COUNTED = TWO_OF + "|里|度|级|村|镇|乡|县|区|市|组|社区|街道|℃|%"
"""What stands behind a number that counts something; such a number is never a telephone number."""

LETTERS = {
    "A": "诶", "B": "比", "C": "西", "D": "迪", "E": "伊", "F": "艾弗", "G": "吉", "H": "艾尺", "I": "艾", "J": "杰",
    "K": "开", "L": "艾勒", "M": "艾马", "N": "恩", "O": "欧", "P": "批", "Q": "克由", "R": "阿尔", "S": "艾斯",
    "T": "提", "U": "优", "V": "维", "W": "达不溜", "X": "艾克斯", "Y": "歪", "Z": "贼德",
}  # fmt: skip

SIGNS = {
    "≥": "大于等于", "≤": "小于等于", ">": "大于", "<": "小于", "＞": "大于", "＜": "小于", "±": "正负", "×": "乘", "+": "加",
    "=": "等于", "&": "和", "°": "度", "℃": "摄氏度", "%": "百分号", "‰": "千分号", "#": "号", "~": "到", "～": "到", "/": "、",
}  # fmt: skip

NUM = r"\d++(?:\.\d++)?+"
TO = r"\s*(?:[-~～—–―－]+|至|到)\s*"
WORDS = "〇零一二两三四五六七八九十百千万亿"
CALL = r"电话|热线|拨打|致电|请拨|拨|联系|报警|求助|咨询|号码|手机|传真|座机|值班室"
FULL_WIDTH = {
    ord(wide): chr(ord(wide) - 0xFEE0)
    for wide in "０１２３４５６７８９％．／－" + "ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ"
}
TELEPHONE = re.compile(r"(?i)(?<=call |dial )\d{3}\b|(?<![\d.,:+-])(?:12[1-9]\d\d|\d{7,})(?![.,:-]?\d|\s?%)")
ROMAN = {"I": 1, "V": 5, "X": 10}


def spoken(text: str, language: str) -> str:
    """`text` for a voice of `language` (BCP 47). Chinese gets no digit of any script; other languages telephone digits apart."""
    return spoken_chinese(text) if language.lower().startswith(("zh", "cmn")) else spoken_otherwise(text)


def spoken_otherwise(text: str) -> str:
    """`Call 12379` -> `Call 1 2 3 7 9`: most voices read quantities right and telephone numbers wrong."""
    return TELEPHONE.sub(lambda m: " ".join(m[0]), text)


def spoken_chinese(text: str) -> str:
    """Every number, unit, sign and abbreviation of `text` in Hanzi."""
    text = _plain_digits(text.translate(FULL_WIDTH))
    for pattern, say in RULES:
        text = pattern.sub(say, text)
    return text


def _plain_digits(text: str) -> str:
    """Digits and unit signs of every script and shape as ASCII: ３ ① ² ㎜ Ⅲ ½."""
    return text if text.isascii() else "".join(map(_plain_char, text))


def _plain_char(char: str) -> str:
    if char.isascii() or "\u3400" <= char <= "\u9fff":
        return char
    if char.isdigit():
        return str(unicodedata.digit(char))
    if char in "℃°" or unicodedata.category(char) not in ("No", "Nl", "So"):
        return char
    folded = unicodedata.normalize("NFKC", char).replace("\u2044", "/").replace("\u2215", "/")
    return folded if folded != char and any(each.isascii() for each in folded) else char


def _date(m: Match) -> str:
    return f"{m['y']}年{int(m['m'])}月{int(m['d'])}日"


def _clock(m: Match) -> str:
    minute, second = int(m["m"]), m["s"]
    said = cardinal(int(m["h"])) + "时"
    if minute or int(second or 0):
        said += ("零" if 0 < minute < 10 else "") + cardinal(minute) + "分"
    return said + (cardinal(int(second)) + "秒" if second and int(second) else "")


def _minute(m: Match) -> str:
    """十四时五分 is said 十四时零五分; 十四时零分 is 十四时."""
    minute = int(m["m"])
    said = cardinal(int(m["h"])) + "时"
    return said + (("零" if minute < 10 else "") + cardinal(minute) + "分" if minute else "")


def _year(m: Match) -> str:
    return year(m[0])


def _years(m: Match) -> str:
    return f"{year(m[1])}到{year(m[2])}"


def _phone(m: Match) -> str:
    return re.sub(r"\d+", lambda run: telephone(run[0]), re.sub(r"(?<=\d)[-\s](?=\d)", "，", m[0]))


def _phones_after_word(m: Match) -> str:
    return m["word"] + re.sub(r"\d+", lambda run: telephone(run[0]), re.sub(r"(?<=\d)-(?=\d)", "，", m["list"]))


def _percent(m: Match) -> str:
    of = "千分之" if m["sign"] == "‰" else "百分之"
    first = ("负" if m["minus"] else "") + decimal(m["a"])
    return of + first + (f"到{decimal(m['b'])}" if m["b"] else "")


def _degrees(m: Match) -> str:
    unit = "度" if m["unit"] == "度" else "摄氏度"
    said = ("零下" if m["minus"] else "") + decimal(m["a"])
    if m["b"]:
        said += "到" + ("零下" if m["minus2"] else "零上" if m["minus"] else "") + decimal(m["b"])
    return said + unit


def _measure(m: Match) -> str:
    said = _counted(m["a"])
    return said + (f"到{_counted(m['b'])}" if m["b"] else "") + UNITS[m["unit"]]


def _counted(number: str) -> str:
    return "两" if number == "2" else decimal(number)


def _roman(m: Match) -> str:
    values = [ROMAN[letter] for letter in m[0]]
    total = sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))
    return cardinal(total)


def _mixed(m: Match) -> str:
    """A road, a pressure level, a code: G202, PM2.5, 11B03. Letters are spelled by a later rule."""
    return re.sub(r"\d+", lambda run: digits(run[0]), m[0].upper().replace(".", "点"))


def _fraction(m: Match) -> str:
    top, bottom = int(m[1]), int(m[2])
    return f"{cardinal(bottom)}分之{cardinal(top)}" if top < bottom <= 100 else f"{m[1]}、{m[2]}"


def _number(m: Match) -> str:
    text = m[0]
    if text.count(".") > 1:
        return "点".join(map(digits, text.split(".")))
    if text.startswith("0") and len(text) > 1 and text[1] != ".":
        return (
            cardinal(int(text))
            if len(text) == 2 and m.string[m.end() : m.end() + 1] in tuple("年月日号时点分秒")
            else digits(text)
        )
    if text == "2" and re.match(rf"\s*(?:{TWO_OF})", m.string[m.end() :]) and not m.string[: m.start()].endswith("第"):
        return "两"
    return decimal(text) if len(text) <= 16 else digits(text.replace(".", ""))


def _spelled(m: Match) -> str:
    return "".join(LETTERS[letter] for letter in m[0])


def _rule(pattern: str, say: Callable[[Match], str] | str) -> tuple[re.Pattern[str], Callable[[Match], str]]:
    return re.compile(pattern), (say if callable(say) else lambda _match, words=say: words)


UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
HOUR = r"(?<![\d:.])(?P<h>[01]?\d|2[0-4])"

RULES = (
    _rule(r"(?i)(?:https?://|www\.)[!-~]+", "网站"),
    _rule(r"(?<![A-Za-z0-9_.+-])[A-Za-z0-9_.+-]{1,64}+@[A-Za-z0-9-]+\.[A-Za-z0-9.-]+", "邮箱"),
    _rule(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])", lambda m: m[0].replace(",", "")),
    _rule(r"(?<!\d)(?P<y>\d{4})(?P<sep>[-/.])(?P<m>0?[1-9]|1[0-2])(?P=sep)(?P<d>0?[1-9]|[12]\d|3[01])(?!\d)", _date),
    _rule(r"(?<=日)\s*T\s*(\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?", lambda m: m[1]),
    _rule(HOUR + r"[:：](?P<m>[0-5]\d)(?:[:：](?P<s>[0-5]\d))?(?![\d:])", _clock),
    _rule(HOUR + r"时(?P<m>[0-5]?\d)分(?!钟)", _minute),
    _rule(r"(?<!\d)((?:19|20|21)\d\d)" + TO + r"((?:19|20|21)\d\d)(?=年(?!一遇))", _years),
    _rule(r"(?<!\d)(?:19|20|21)\d\d(?=年(?!一遇))", _year),
    _rule(
        rf"(?P<word>(?:{CALL})[^\d。；;！？\n]{{0,8}})"
        rf"(?P<list>\d{{3,}}+(?:-\d++)*+(?:\s*[、，,/或和及与]\s*\d{{3,}}+(?:-\d++)*+)*+)(?![.:]\d|\s*(?:{COUNTED}|{UNIT}))",
        _phones_after_word,
    ),
    _rule(
        r"(?<![\d.-])(?:0\d{2,3}-\d{7,8}(?:-\d{1,5})?|[48]00-\d{3,4}-\d{3,4}|1\d{2}[- ]\d{4}[- ]\d{4})(?![\d.])", _phone
    ),
    _rule(r"(?<![\d.])\d{3,8}(?=(?:火警|匪警|急救|报警|热线|电话|平台|短信))", _phone),
    _rule(rf"(?<![\d.])(?:12[1-9]\d\d|\d{{7,}})(?!\d|\.\d|\s*(?:{COUNTED}|{UNIT}|[-~～至到%‰℃]))", _phone),
    _rule(rf"(?P<minus>(?<![\d{WORDS}])-)?(?P<a>{NUM})(?:[%‰]?{TO}(?P<b>{NUM}))?\s*(?P<sign>[%‰])", _percent),
    _rule(
        rf"(?P<minus>(?<![\d{WORDS}])(?:零下\s*)?[-−])?(?P<a>{NUM})(?:\s*(?:℃|°C))?(?:{TO}(?P<minus2>[-−])?(?P<b>{NUM}))?\s*(?P<unit>℃|°C)",
        _degrees,
    ),
    _rule(
        rf"(?P<minus>(?<![\d{WORDS}])[-−])(?P<a>{NUM})(?:{TO}(?P<minus2>[-−])?(?P<b>{NUM}))?\s*(?P<unit>度)", _degrees
    ),
    _rule(rf"(?P<a>{NUM})\s*(?:(?:{UNIT})?{TO}(?P<b>{NUM})\s*)?(?P<unit>{UNIT})(?![A-Za-z\d/])", _measure),
    _rule(r"(?<![A-Za-z])[IVX]{1,5}(?=[级类号期度型])", _roman),
    _rule(r"(?<![A-Za-z\d.])(?:[A-Za-z]+\d[A-Za-z\d]*(?:\.\d+)?|\d+[A-Za-z][A-Za-z\d]*)", _mixed),
    _rule(r"(?<![\d/])(\d+)/(\d+)(?![\d/])", _fraction),
    _rule(r"(?<=\d)[:：](?=\d)", "比"),
    _rule(r"(?<=\d)" + r"\s*[-~～—–―－]+\s*" + r"(?=\d)", "到"),
    _rule(r"(?<![\w])[-−](?=\d)", "负"),
    _rule(r"\d++(?:\.\d++)*+", _number),
    _rule(rf"(?<=[{WORDS}时分日月年天级米里度次人])\s*[-~～—–―－]+\s*(?=[{WORDS}])", "到"),
    _rule(r"(?<![A-Za-z])[A-Z]{1,6}(?![A-Za-z])", _spelled),
    _rule("[" + "".join(SIGNS) + "]", lambda m: SIGNS[m[0]]),
)
"""(pattern, what is said), applied one after the other."""
