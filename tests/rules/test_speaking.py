"""Spoken Chinese: what a village hears. Examples one by one, then the promise that no digit is left in anything."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.rules.numerals import cardinal, quantity
from gateway.rules.speaking import spoken, spoken_chinese

SAID = {
    "2026年7月22日14时30分": "二〇二六年七月二十二日十四时三十分",
    "2026-07-22 14:30": "二〇二六年七月二十二日 十四时三十分",
    "2026-07-23T08:05:00+08:00": "二〇二六年七月二十三日八时零五分",
    "14时00分至18时": "十四时至十八时",
    "08:00-12:00": "八时到十二时",
    "2025-2026年": "二〇二五到二〇二六年",
    "20年一遇、2000年一遇": "二十年一遇、两千年一遇",
    "22日-24日": "二十二日到二十四日",
    "雨量50-80毫米": "雨量五十到八十毫米",
    "50～80 mm": "五十到八十毫米",
    "50mm～80mm": "五十到八十毫米",
    "30.5毫米": "三十点五毫米",
    "8-9级，阵风10级(25m/s)": "八到九级，阵风十级(二十五米每秒)",
    "流量1,200m³/s": "流量一千二百立方米每秒",
    "150μg/m³": "一百五十微克每立方米",
    "5㎞、10㎡": "五公里、十平方米",
    "35℃": "三十五摄氏度",
    "-5~3℃": "零下五到零上三摄氏度",
    "零下-12.5°C": "零下十二点五摄氏度",
    "湿度80%": "湿度百分之八十",
    "30～40%": "百分之三十到四十",
    "80%-90%": "百分之八十到九十",
    "拨打12379、110或119": "拨打幺二三七九、幺幺零或幺幺九",
    "119火警": "幺幺九火警",
    "电话：024-52323333": "电话：零二四，五二三二三三三三",
    "联系10000000001": "联系幺零零零零零零零零零幺",
    "转移120户": "转移一百二十户",
    "拨打前转移110户": "拨打前转移一百一十户",
    "共12379人": "共一万二千三百七十九人",
    "2人、2小时、2万元": "两人、两小时、两万元",
    "2km、2-3m": "两公里、两到三米",
    "写信到a.b1@c2.example": "写信到邮箱",
    "2月2日第2号2级": "二月二日第二号二级",
    "III级、Ⅳ级": "三级、四级",
    "G202国道": "吉二零二国道",
    "PM2.5": "批艾马二点五",
    "1/3": "三分之一",
    "1:100": "一比一百",
    "007": "零零七",
    "３０毫米": "三十毫米",
    "①关窗": "一关窗",
    "≥50mm": "大于等于五十毫米",
    "详见 https://a.example/x?y=1": "详见 网站",
}


@pytest.mark.parametrize(("written", "heard"), SAID.items(), ids=SAID)
def test_is_said_as_people_say_it(written: str, heard: str) -> None:
    assert spoken_chinese(written) == heard


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "零"), (10, "十"), (19, "十九"), (20, "二十"), (105, "一百零五"), (110, "一百一十"),
        (1001, "一千零一"),
        (1010, "一千零一十"), (10000, "一万"), (10010, "一万零一十"), (100000, "十万"), (100300, "十万零三百"),
        (101000, "十万一千"),
        (1000010, "一百万零一十"),
        (100000000, "一亿"), (100005000, "一亿零五千"), (123456789, "一亿二千三百四十五万六千七百八十九"),
    ],
)  # fmt: skip
def test_cardinals(number: int, said: str) -> None:
    assert cardinal(number) == said


def test_two_is_liang_before_thousands_only() -> None:
    assert [quantity(n) for n in (2, 12, 200, 2000, 20000, 22222)] == [
        "二",
        "十二",
        "二百",
        "两千",
        "两万",
        "两万二千二百二十二",
    ]


@given(st.integers(0, 10**16 - 1))
def test_different_numbers_sound_different(number: int) -> None:
    assert _value(cardinal(number)) == number


def _value(said: str) -> int:
    """Reads a Chinese cardinal back."""
    total, group, digit, top = 0, 0, 0, 0
    said = "一" + said if said.startswith("十") else said
    for char in said.replace("万亿", "兆"):
        if char in "零一二三四五六七八九":
            digit = "零一二三四五六七八九".index(char)
        elif char in "十百千":
            group, digit = group + (digit or 1) * {"十": 10, "百": 100, "千": 1000}[char], 0
        else:
            top = {"万": 10**4, "亿": 10**8, "兆": 10**12}[char]
            total, group, digit = total + (group + digit) * top, 0, 0
    return total + group + digit


MATTER = st.text(
    alphabet=st.sampled_from("0123456789０９①²Ⅲ½٣-~～:：./，。、年月日时分毫米%℃°IVXmkGhs级拨打电话 +≥第"), max_size=40
)


@given(st.one_of(MATTER, st.text(max_size=60)))
@example("1-2-3~4%5℃6/7:8.9.0")
def test_no_digit_is_left(text: str) -> None:
    assert not [char for char in spoken_chinese(text) if char.isdigit()]


def test_other_languages_keep_quantities_and_spell_telephones() -> None:
    assert (
        spoken("Call 12379. 120 mm by 14:30, 10000000001", "en-GB")
        == "Call 1 2 3 7 9. 120 mm by 14:30, 1 0 0 0 0 0 0 0 0 0 1"
    )
    assert spoken("Call 119", "en") == "Call 1 1 9"


def test_hostile_lengths_are_read_in_no_time() -> None:
    for text in ("1" * 8000, "1-" * 4000, "拨打110、" * 1500, "电话" * 4000, "1:" * 4000, "1,111" * 1500, "-5~" * 2500):
        assert not any(char.isdigit() for char in spoken_chinese(text))
