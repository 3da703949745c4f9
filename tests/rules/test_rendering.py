"""What people read and hear, with the templates that ship."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rendering_samples import (
    DO_THIS,
    FOLDER,
    FORMATS,
    NAMES,
    RAIN,
    alert_of,
    everything,
    say,
    shipped,
)

from gateway.errors import ConfigError
from gateway.model.alert import NameValue, Status
from gateway.reference.templatefiles import read_templates
from gateway.rules.rendering import Templates
from gateway.rules.wording import Occasion, values_of


def test_every_shipped_template_goes_through() -> None:
    assert shipped().problems() == []
    assert {name.split("/")[0] for name in shipped().names} == set(FORMATS)


def test_sms_says_who_when_what_where_and_what_to_do() -> None:
    found = say()
    assert found.message.text == (
        "清原县气象台7月22日14时30分发布暴雨橙色预警。影响区域：清原满族自治县、新宾满族自治县。"
        "预计未来6小时降雨量50-80毫米，局地超过100毫米。请远离河道和山沟。低洼地区人员马上转移。如遇险情请拨打12379。"
    )
    assert (found.message.title, found.flags, found.parts) == ("暴雨橙色预警", (), 2)


def test_a_description_that_says_it_all_is_not_introduced_again() -> None:
    whole = "清原县气象台2026年7月22日14时30分发布暴雨橙色预警信号：清原满族自治县、新宾满族自治县将有强降雨。"
    assert say(info=replace(RAIN, description=whole)).message.text == whole + DO_THIS


@pytest.mark.parametrize(("sentences", "parts", "flags"), [(1, 3, ()), (40, 3, ("shortened",))])
def test_long_descriptions_give_way_first(sentences: int, parts: int, flags: tuple[str, ...]) -> None:
    found = say(info=replace(RAIN, description="雨" * 60 + "。" + "有短时大风和雷电。" * sentences))
    assert (found.parts <= parts, found.flags) == (True, flags)
    for kept in ("暴雨橙色预警", "清原满族自治县、新宾满族自治县", DO_THIS):
        assert kept in found.message.text
    assert ("…" in found.message.text) is bool(flags)


def test_then_the_instruction_gives_way_at_sentence_borders() -> None:
    found = say(info=replace(RAIN, instruction="请马上转移。" + "不要返回家中取任何东西。" * 40))
    assert found.parts == 3
    assert found.flags == ("shortened",)
    assert "请马上转移。不要返回家中取任何东西。" in found.message.text
    assert found.message.text.endswith("。…")


def test_a_text_beyond_all_reading_is_cut_and_says_so() -> None:
    found = say("webhook", replace(RAIN, instruction="请马上转移。" * 3000))
    assert found.flags == ("cut",)
    assert found.message.text.endswith("请马上转移。…")


def test_more_parts_rather_than_a_cut_first_sentence() -> None:
    first = "请" + "转移" * 150 + "。"
    found = say(info=replace(RAIN, instruction=first + "再见。"))
    assert first in found.message.text
    assert found.flags == ("shortened", "over_budget")
    assert found.parts == 6


def test_what_no_carrier_takes_is_cut_and_says_so() -> None:
    found = say(info=replace(RAIN, instruction="转移" * 2000))
    assert found.flags == ("shortened", "over_budget", "cut")
    assert found.parts == 10
    assert "暴雨橙色预警" in found.message.text


PROSE = st.text(st.sampled_from("雨水大风转移。！，；a1 {%}【】"), max_size=300)


@settings(max_examples=60, deadline=None)
@given(PROSE, PROSE, st.sampled_from(FORMATS), st.integers(1, 4))
def test_place_event_and_grade_never_get_lost_and_cuts_are_flagged(
    description: str, instruction: str, format: str, max_parts: int
) -> None:
    found = say(format, replace(RAIN, description=description, instruction=instruction), max_parts=max_parts)
    assert "暴雨橙色预警" in found.message.text
    assert "清原满族自治县、新宾满族自治县" in found.message.text
    assert found.parts <= max_parts or "over_budget" in found.flags
    assert ("…" in found.message.text) <= bool(found.flags)


def test_max_chars_is_kept_in_every_format() -> None:
    for format in FORMATS:
        found = say(format, replace(RAIN, description="大雨。" * 500), max_chars=120, status=Status.EXERCISE)
        assert len(found.message.text) <= 120
        assert "shortened" in found.flags


def test_the_signature_stands_in_front() -> None:
    assert say(signature="清原县气象台").message.text.startswith("【清原县气象台】清原县气象台7月22日")
    assert say(signature="清原县气象台", status=Status.EXERCISE).message.text.startswith("【演练】【清原县气象台】")


def test_many_places_are_counted() -> None:
    many = ("清原县", "新宾县", "抚顺县", *(f"{n}号镇" for n in range(12)))
    assert "清原县等3县12镇" in say(regions=many).message.text


def test_the_loudspeaker_says_what_where_when_and_twice_what_to_do() -> None:
    found = say("loudspeaker").message
    assert found.text == (
        "清原满族自治县、新宾满族自治县，请注意。清原县气象台七月二十二日十四时三十分发布暴雨橙色预警。"
        "预计未来六小时降雨量五十到八十毫米，局地超过一百毫米。有效到七月二十三日十四时三十分。"
        "请远离河道和山沟。低洼地区人员马上转移。如遇险情请拨打幺二三七九。"
        "再说一遍。请远离河道和山沟。低洼地区人员马上转移。如遇险情请拨打幺二三七九。"
    )
    assert "12379" in found.field("written")


@pytest.mark.parametrize("code", ["11B03", "11A51", "11B01", "11D02", "12A01", "11Z99", ""])
def test_without_an_instruction_the_event_brings_its_advice_twice(code: str) -> None:
    bare = replace(RAIN, instruction="", event_codes=(NameValue("CN-12379", code),) if code else ())
    text = say("loudspeaker", bare).message.text
    advice = text.split("再说一遍。")[1]
    assert len(advice) > 8
    assert text.count(advice) == 2
    assert not any(char.isdigit() for char in text)


def test_the_most_particular_template_wins() -> None:
    names = ["11B03", "11B", "warning", "update", "11B.update", "lifted", "11B03.lifted"]
    held = Templates.from_mapping({f"sms/zh-CN/{name}.txt.j2": name for name in names})
    found = {
        (code, moment): held.find("sms", "zh-CN", code, moment)
        for code, moment in [
            ("11B03", "warning"), ("11B04", "warning"), ("12A01", "warning"), ("11B03", "update"), ("11B04", "update"),
            ("12A01", "update"), ("11B03", "lifted"), ("11B04", "lifted"), ("11B03", "withdrawn"),
        ]
    }  # fmt: skip
    assert [name and name.split("/")[2].removesuffix(".txt.j2") for name in found.values()] == [
        "11B03", "11B", "warning", "11B03", "11B.update", "update", "11B03.lifted", "lifted", None,
    ]  # fmt: skip


def test_languages_exact_then_base_then_chinese_flagged() -> None:
    english = replace(RAIN, language="en", instruction="Leave now.", description="", headline="", event="Rainstorm")
    assert say(info=english, language="en").flags == ()
    assert say(info=english, language="en-GB").message.text.startswith("Orange warning: Rainstorm.")
    missing = say(info=replace(english, language="mn"), language="mn")
    assert (missing.flags, missing.message.language) == (("language_missing",), "mn")
    assert "Leave now." in missing.message.text
    assert say(language="zh").flags == ()
    assert say(language="en").flags == ("language_missing",), "the sender gave no English"


@pytest.mark.parametrize("source", ["{{ typo }}", "{% if %}", "{{ 'a' * 10**10 }}", "{{ title.upper() }}"])
def test_a_faulty_template_falls_back_to_headline_and_instruction(source: str) -> None:
    faulty = Templates.from_mapping({"sms/zh-CN/warning.txt.j2": source})
    found = say(templates=faulty)
    assert found.flags == ("fell_back",)
    assert found.message.text == f"清原县气象台发布暴雨橙色预警 清原满族自治县、新宾满族自治县 {DO_THIS}"
    assert [problem.name for problem in faulty.problems()] == ["sms/zh-CN/warning.txt.j2"]


def test_the_national_dialect_names_the_agency_and_not_the_officer() -> None:
    national = replace(
        RAIN, event="11B03", event_codes=(), sender_name="值班员王某", headline="抚顺市气象局发布暴雨橙色预警"
    )
    found = say(info=national, alert=alert_of(national, dialect="cn-12379"))
    assert found.message.text.startswith("抚顺市气象局7月22日14时30分发布暴雨橙色预警。")
    assert not any("王某" in text for text in everything(found))


def test_the_text_for_a_method_stands_for_the_description() -> None:
    found = say("loudspeaker", own_text="暴雨橙色预警，3小时内有大雨。")
    assert "暴雨橙色预警，三小时内有大雨。" in found.message.text
    assert "预计" not in found.message.text
    assert found.message.text.count("暴雨橙色预警") == 1
    assert found.message.text.count("请远离河道和山沟") == 2


@pytest.mark.parametrize("status", [Status.ACTUAL, Status.EXERCISE])
def test_wechat_fields_keep_the_limits_of_the_platform(status: Status) -> None:
    many = tuple(f"第{n}个特别长名字的乡镇" for n in range(30))
    found = say(
        "wechat",
        replace(RAIN, sender_name="辽宁省抚顺市清原满族自治县气象局预警信息发布中心"),
        regions=many,
        status=status,
    )
    limits = {"headline": 20, "region": 20, "event": 20, "instruction": 20, "sender": 20, "until": 20, "grade": 5}
    for name, limit in limits.items():
        value = found.message.field(name)
        assert value
        assert len(value) <= limit
        assert "\n" not in value
    assert found.message.field("time") == "2026年07月22日 14:30"
    assert found.message.field("grade") == ("橙色" if status is Status.ACTUAL else "演练橙色")
    assert "shortened" in found.flags


def test_an_unknown_event_goes_by_its_headline_and_keeps_its_grade() -> None:
    strange = replace(RAIN, event="11Z99", event_codes=(), headline="本县发布怪风预警")
    assert "本县发布怪风预警（橙色）" in say(info=strange).message.text


@pytest.mark.parametrize("code", NAMES)
@pytest.mark.parametrize("format", FORMATS)
def test_the_name_of_the_event_is_there_in_every_format(code: str, format: str) -> None:
    text = say(format, replace(RAIN, event="", event_codes=(NameValue("CN-12379", code),))).message.text
    assert NAMES[code][0].removesuffix("事件") + "橙色预警" in text


@pytest.mark.timeout(10)
@pytest.mark.parametrize("format", FORMATS)
def test_an_endless_description_is_shortened_in_no_time(format: str) -> None:
    found = say(
        format, replace(RAIN, description="雨3-5毫米。" * 200_000, instruction="转移。" * 200_000), max_chars=300
    )
    assert len(found.message.text) <= 300
    assert "shortened" in found.flags


def test_the_folder_of_templates_is_read_or_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such"):
        read_templates(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"no \*"):
        read_templates(tmp_path)
    (tmp_path / "bad.txt.j2").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="unreadable"):
        read_templates(tmp_path)


def test_every_value_and_flag_is_documented() -> None:
    page = (FOLDER.parent / "docs" / "templates.md").read_text(encoding="utf-8")
    values = values_of(Occasion(alert=alert_of(RAIN), info=RAIN), "zh-CN", NAMES)
    flags = ("shortened", "over_budget", "cut", "fell_back", "language_missing", "mark_neutralised")
    assert [name for name in (*values, *flags) if f"`{name}`" not in page] == []
