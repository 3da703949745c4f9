"""One warning and how to render it: what the tests of rendering share."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.model.alert import Alert, Grade, Info, MsgType, NameValue, Scope, Status
from gateway.model.time import instant
from gateway.reference.templatefiles import read_templates
from gateway.rules.rendering import Rendered, Style, Templates, render
from gateway.rules.wording import Occasion

ZONE = ZoneInfo("Asia/Shanghai")
FOLDER = Path(__file__).parents[2] / "templates"
NAMES = {"11B03": ("暴雨事件", "Rainstorm"), "11A51": ("山洪灾害事件", "Flash flood"), "11B01": ("台风事件", "Typhoon")}
FORMATS = ("sms", "wechat", "broadcast", "loudspeaker", "webhook")
SENT = instant(datetime(2026, 7, 22, 14, 30, tzinfo=ZONE))
DO_THIS = "请远离河道和山沟。低洼地区人员马上转移。如遇险情请拨打12379。"
RAIN = Info(
    "zh-CN",
    "暴雨",
    Grade.ORANGE,
    event_codes=(NameValue("CN-12379", "11B03"),),
    sender_name="清原县气象台",
    headline="清原县气象台发布暴雨橙色预警",
    description="预计未来6小时降雨量50-80毫米，局地超过100毫米。",
    instruction=DO_THIS,
    expires=SENT + 24 * 3600_000,
)
PLACES = ("清原满族自治县", "新宾满族自治县")
NO_TEMPLATES = Templates.from_mapping({})


@cache
def shipped() -> Templates:
    return Templates.from_mapping(read_templates(FOLDER))


def alert_of(
    *infos: Info, status: Status = Status.ACTUAL, msg_type: MsgType = MsgType.ALERT, dialect: str = "cap-1.2"
) -> Alert:
    return Alert("ID-1", "qyqxt", SENT, status, msg_type, Scope.PUBLIC, dialect, infos=infos)


def say(
    format: str = "sms",
    info: Info | None = RAIN,
    *,
    alert: Alert | None = None,
    language: str = "zh-CN",
    status: Status = Status.ACTUAL,
    templates: Templates | None = None,
    regions: tuple[str, ...] = PLACES,
    signature: str = "",
    max_chars: int = 0,
    max_parts: int = 3,
    **more: object,
) -> Rendered:
    alert = alert or alert_of(*([info] if info else []), status=status)
    occasion = Occasion(alert=alert, info=info, regions=regions, zone=ZONE, **more)  # type: ignore[arg-type]
    style = Style(format=format, language=language, signature=signature, max_chars=max_chars, max_parts=max_parts)
    return render(occasion, style, templates or shipped(), NAMES)


def everything(rendered: Rendered) -> list[str]:
    message = rendered.message
    return [message.text, message.title, *(value for _, value in message.fields)]
