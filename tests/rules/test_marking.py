"""Drills are marked and nothing else is; author's text is data and leaves clean."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rendering_samples import (
    FORMATS,
    NO_TEMPLATES,
    RAIN,
    alert_of,
    everything,
    say,
)

from gateway.model.alert import Status
from gateway.model.dispatch import Cause


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("cause", [Cause.RELEASE, Cause.LIFTED, Cause.WITHDRAWN])
def test_drills_and_tests_are_marked_in_every_text(format: str, language: str, cause: Cause) -> None:
    for status, word in ((Status.EXERCISE, "演练"), (Status.TEST, "测试"), (Status.SYSTEM, "测试")):
        forged = replace(RAIN, headline="【演练】" + RAIN.headline, description="【 演 \u200b练】[DRILL]【测试】雨。")
        found = say(format, forged, language=language, cause=cause, status=status)
        message = found.message
        assert message.text.startswith(f"【{word}】")
        assert message.title.startswith(f"【{word}】")
        assert message.text.count("【") == message.title.count("【") == 1
        if format in ("wechat", "webhook", "broadcast"):
            assert message.field("headline").startswith(f"【{word}】")
    assert not any(
        "【演练】" in text or "【测试】" in text for text in everything(say(format, language=language, cause=cause))
    )


def test_a_drill_says_so_aloud_at_both_ends() -> None:
    text = say("loudspeaker", status=Status.EXERCISE).message.text
    assert text.startswith("【演练】演练，演练。")
    assert text.endswith("以上是演练，不是真实预警。")


def test_a_drill_without_templates_is_still_marked() -> None:
    found = say("pigeon", status=Status.EXERCISE, templates=NO_TEMPLATES)
    assert found.message.text.startswith("【演练】清原县气象台发布暴雨橙色预警")
    assert found.flags == ("fell_back",)


@pytest.mark.parametrize(
    "mark",
    ["【演练】", "【 演 练 】", "[演练]", "［演練］", "【演\u200b练】", "【【演练】演练】", "【应急演练】", "[TEST]"],
)
def test_a_real_warning_cannot_be_passed_off_as_a_drill(mark: str) -> None:
    for format in FORMATS:
        found = say(format, replace(RAIN, description=mark + "雨。"))
        assert "mark_neutralised" in found.flags
        assert not any(
            "练】" in text or "練］" in text or "练 】" in text or "TEST]" in text for text in everything(found)
        )
        assert "雨。" in found.message.text


DIRTY = [
    "\x00",
    "\x1b[31m",
    "\r\n\r\nX: y",
    "\u202e",
    "\u2066",
    "\u200b",
    "\ufeff",
    "\x85",
    "\u2028",
    "\ud800",
    "\U000e0041",
    "\x7f",
]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dirt", DIRTY, ids=[f"U+{ord(d[0]):04X}" for d in DIRTY])
def test_control_and_bidi_characters_never_leave(format: str, dirt: str) -> None:
    words = dict.fromkeys(
        ("event", "sender_name", "headline", "description", "instruction", "contact", "web"), f"甲{dirt}乙"
    )
    info = replace(RAIN, **words, event_codes=())  # type: ignore[arg-type]
    alert = replace(alert_of(info), identifier=f"I{dirt}D", note=f"n{dirt}")
    for text in everything(say(format, info, alert=alert, regions=(f"清{dirt}原县",), own_text=f"短{dirt}句")):
        assert all(char == "\n" or char.isprintable() for char in text)


@pytest.mark.parametrize("format", FORMATS)
def test_cap_text_is_data(format: str) -> None:
    evil = "{{7*7}}{% for %}{{ ''.__class__ }}"
    found = say(format, replace(RAIN, description=evil, instruction=evil))
    assert found.flags in ((), ("shortened",))
    assert "__class__" in found.message.text
    assert ("{{7*7}}" in found.message.text) or format == "loudspeaker"
    assert "49" not in found.message.text
