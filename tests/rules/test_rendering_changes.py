"""What people are told when a warning changes, ends or was wrong."""

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
    shipped,
)

from gateway.model.alert import Grade, MsgType, UpdateKind
from gateway.model.dispatch import Cause


def test_a_cancel_without_info_is_told_from_what_it_ends() -> None:
    cancel = alert_of(msg_type=MsgType.CANCEL)
    text = say(info=None, alert=cancel, original=alert_of(RAIN), cause=Cause.LIFTED).message.text
    assert text == "清原县气象台7月22日14时30分解除暴雨橙色预警。解除区域：清原满族自治县、新宾满族自治县。"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("cause", [Cause.LIFTED, Cause.WITHDRAWN])
def test_the_end_of_a_warning_never_repeats_the_warning(format: str, cause: Cause) -> None:
    for templates in (shipped(), NO_TEMPLATES):
        found = say(
            format,
            RAIN,
            alert=alert_of(RAIN, msg_type=MsgType.CANCEL),
            cause=cause,
            original=alert_of(RAIN),
            templates=templates,
        )
        for text in everything(found):
            assert "预计" not in text
            assert "转移" not in text
        assert ("解除" if cause is Cause.LIFTED else "撤回") in found.message.text


def test_a_cancel_tells_its_own_words_about_the_end() -> None:
    over = replace(
        RAIN, headline="解除暴雨橙色预警", description="降雨已结束，解除暴雨橙色预警。", instruction="可以返回家中。"
    )
    found = say(info=over, alert=alert_of(over, msg_type=MsgType.CANCEL), cause=Cause.LIFTED)
    assert "降雨已结束，解除暴雨橙色预警。可以返回家中。" in found.message.text


def test_a_withdrawal_says_that_it_was_wrong_and_why() -> None:
    cancel = replace(alert_of(msg_type=MsgType.CANCEL), note="误操作")
    text = say(info=None, alert=cancel, original=alert_of(RAIN), cause=Cause.WITHDRAWN).message.text
    assert text.startswith("更正：清原县气象台此前发布的暴雨橙色预警有误，现已撤回。")
    assert text.endswith("误操作。")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (UpdateKind.RAISED, "升级发布暴雨红色预警（由暴雨橙色预警升级）"),
        (UpdateKind.LOWERED, "降级发布暴雨红色预警（由暴雨橙色预警降级）"),
        (UpdateKind.WIDENED, "扩大范围发布暴雨红色预警。"),
        (UpdateKind.EXTENDED, "继续发布暴雨红色预警。"),
        (UpdateKind.TEXT, "更新发布暴雨红色预警。"),
    ],
)
def test_updates_say_what_changed(kind: UpdateKind, words: str) -> None:
    red = replace(RAIN, grade=Grade.RED)
    update = alert_of(red, msg_type=MsgType.UPDATE)
    assert words in say(info=red, alert=update, kind=kind, original=alert_of(RAIN)).message.text


def test_regions_dropped_by_an_update_hear_of_the_end_of_the_old_warning() -> None:
    red = replace(RAIN, grade=Grade.RED, headline="清原县气象台发布暴雨红色预警")
    update, before = alert_of(red, msg_type=MsgType.UPDATE), alert_of(RAIN)
    for info in (RAIN, None):
        text = say(info=info, alert=update, original=before, cause=Cause.LIFTED, regions=("新宾县",)).message.text
        assert "解除暴雨橙色预警" in text
        assert "红色" not in text
