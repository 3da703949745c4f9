"""What an alert says, in plain values for the templates: title, places, times, who warns, what changed.

`rendering` calls `values_of`; docs/templates.md lists every value. All are clean text, never `None`; `regions` is a list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from gateway.model.alert import Alert, Grade, Info, MsgType, UpdateKind
from gateway.model.dispatch import Cause
from gateway.model.time import Instant, moment
from gateway.rules.texts import clean, clean_line, cut, places

EventNames = Mapping[str, tuple[str, str]]
"""Event code -> (Chinese name, English name), from the table of event codes."""

Values = dict[str, str | list[str]]

LONGEST = 8000
"""Characters of one text of the sender that templates get; what is longer was never meant to be read to people."""
PLACE_ROOM = 24
MAX_NAMES = 200
NATIONAL = ("cn-12379", "gbt-35965")
EVENT_CODE = re.compile(r"[1-4][0-9][0-9A-Z][0-9A-Z]{2}")
CODE_NAMES = re.compile(r"12379|GB/?T ?35561|CN-|EVENTTYPE", re.IGNORECASE)

GRADE_ZH = {Grade.RED: "红色", Grade.ORANGE: "橙色", Grade.YELLOW: "黄色", Grade.BLUE: "蓝色", Grade.UNKNOWN: ""}
GRADE_EN = {Grade.RED: "Red", Grade.ORANGE: "Orange", Grade.YELLOW: "Yellow", Grade.BLUE: "Blue", Grade.UNKNOWN: ""}

ISSUES_ZH = {
    None: "发布", UpdateKind.RAISED: "升级发布", UpdateKind.WIDENED: "扩大范围发布", UpdateKind.LOWERED: "降级发布",
    UpdateKind.EXTENDED: "继续发布", UpdateKind.TEXT: "更新发布",
}  # fmt: skip
ISSUES_EN = {
    None: "issued", UpdateKind.RAISED: "raised", UpdateKind.WIDENED: "widened", UpdateKind.LOWERED: "lowered",
    UpdateKind.EXTENDED: "extended", UpdateKind.TEXT: "updated",
}  # fmt: skip
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip

PAINTED = re.compile(r"[（(]?(?:红|橙|黄|蓝)色[）)]?|预警(?:信号)?|事件$|\s+(?:warning|alert)$", re.IGNORECASE)
ENDED_ZH = re.compile(r"解除|取消|撤销|撤回|终止|结束|停止")
ENDED_EN = re.compile(r"cancel|lift|no longer|all.clear|ended|expired|withdrawn", re.IGNORECASE)
ISSUED_BY = re.compile(r"^\s*([^\s，,。:：]{2,30}?)(?:继续|更新|升级|降级)?(?:发布|解除|变更|确认)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What is to be told, and why.

    alert, info: the message and the block chosen for these recipients; `info` None = a Cancel without one, told from `original`.
    cause, kind: warning, lifted or withdrawn; for an Update what it changes. Regions dropped by an Update get `cause` LIFTED with
    `original` = the alert that had warned them and `info` one of its infos. regions: names of the targeted regions, the topmost
    first. zone: the zone that people read times in. own_text: what the national message says for this way of sending.
    """

    alert: Alert
    info: Info | None = None
    cause: Cause = Cause.RELEASE
    kind: UpdateKind | None = None
    regions: Sequence[str] = ()
    original: Alert | None = None
    zone: tzinfo = UTC
    own_text: str = ""


def values_of(occasion: Occasion, language: str, names: EventNames) -> Values:
    """Everything that a template may use, in the words of `language` (its frame; the sender's text stays as it is)."""
    alert, chinese = occasion.alert, base(language) == "zh"
    info = subject(occasion, language) or Info(language=language, event="", grade=alert.grade)
    over = occasion.cause in (Cause.LIFTED, Cause.WITHDRAWN)
    listed = _places(occasion, info)
    values: Values = {
        **(_texts_when_over(occasion) if over else _texts(info, occasion.own_text)),
        **_times(alert, info, occasion.zone, chinese),
        "title": title_of(info, chinese, names),
        "event": event_of(info, chinese, names),
        "code": event_code(info),
        "grade": (GRADE_ZH if chinese else GRADE_EN)[info.grade],
        "grade_zh": GRADE_ZH[info.grade],
        "sender": issuer(alert, info),
        "regions": list(listed),
        "place": places(listed, PLACE_ROOM if chinese else 2 * PLACE_ROOM, chinese=chinese),
        "issues": (ISSUES_ZH if chinese else ISSUES_EN)[occasion.kind],
        "change": occasion.kind.value if occasion.kind else "",
        "earlier": _earlier(occasion, language, names),
        "status": alert.status.value,
        "contact": clean_line(info.contact),
        "web": clean_line(info.web),
        "note": clean_line(alert.note) if alert.msg_type is MsgType.CANCEL else "",
        "identifier": clean_line(alert.identifier),
        "advice": "",
    }
    values["headline"] = _headline(values, occasion.cause, chinese)
    return values


def subject(occasion: Occasion, language: str) -> Info | None:
    """The info that says what the danger is: the chosen one, else one in `language` of the alert or of the one it ends."""
    if occasion.info is not None:
        return occasion.info
    own, before = occasion.alert.infos, occasion.original.infos if occasion.original else ()
    ends_another = occasion.cause in (Cause.LIFTED, Cause.WITHDRAWN) and occasion.alert.msg_type is not MsgType.CANCEL
    infos = before if ends_another and before else (own or before)
    same = [info for info in infos if base(info.language) == base(language)]
    return max(same or infos, key=lambda info: info.grade, default=None)


def base(language: str) -> str:
    """`zh` of `zh-CN`."""
    return language.lower().replace("_", "-").partition("-")[0]


def event_code(info: Info) -> str:
    """The national five-character event code of `info`, or ""."""
    named = [code.value for code in info.event_codes if CODE_NAMES.search(code.name)]
    others = [code.value for code in info.event_codes]
    return next((value for value in (*named, info.event, *others) if EVENT_CODE.fullmatch(value)), "")


def event_of(info: Info, chinese: bool, names: EventNames) -> str:
    """暴雨 or Rainstorm: by the code, else the sender's own word without colour and 预警; "" if it is only an unknown code."""
    code = event_code(info)
    if code in names:
        return re.sub(r"事件$", "", names[code][0]) if chinese else names[code][1]
    word = clean_line(info.event)
    is_code = EVENT_CODE.fullmatch(word) or word in {code.value for code in info.event_codes}
    return "" if is_code else (PAINTED.sub("", word) or word)


def title_of(info: Info, chinese: bool, names: EventNames) -> str:
    """暴雨橙色预警, Orange warning: Rainstorm; the headline where there is no name for the event."""
    event = event_of(info, chinese, names)
    if not event:
        return _title_without_event(info, chinese)
    if chinese:
        return f"{event}{GRADE_ZH[info.grade]}预警"
    return f"{GRADE_EN[info.grade]} warning: {event}" if info.grade else f"Warning: {event}"


def _title_without_event(info: Info, chinese: bool) -> str:
    """The headline; the grade never gets lost with the event."""
    said, grade = clean_line(info.headline), (GRADE_ZH if chinese else GRADE_EN)[info.grade]
    if not said:
        return f"{grade}预警" if chinese else f"{grade} warning".strip()
    if grade.lower() in said.lower():
        return said
    return f"{said}（{grade}）" if chinese else f"{said} ({grade})"


def issuer(alert: Alert, info: Info) -> str:
    """Who warns. In the national dialect senderName is the officer who signed, never to be read out: there it is the agency."""
    said = ISSUED_BY.match(info.headline)
    by_headline = said[1] if said else ""
    if alert.dialect in NATIONAL:
        return clean_line(alert.source or by_headline)
    return clean_line(info.sender_name or by_headline or alert.source)


def _places(occasion: Occasion, info: Info) -> list[str]:
    """Our names for the regions; what the sender wrote only where we have none."""
    names = occasion.regions or [area.desc for area in info.areas]
    return [name for name in map(clean_line, names[:MAX_NAMES]) if name]


def _texts(info: Info, own_text: str) -> dict[str, str]:
    """The national <method><message> stands for the description; it may already hold the instruction."""
    own, instruction = clean(cut(own_text, LONGEST)), clean(cut(info.instruction, LONGEST))
    description = own or clean(cut(info.description, LONGEST))
    return {
        "own_headline": clean_line(info.headline),
        "description": description,
        "instruction": "" if own and instruction in own else instruction,
    }


def _texts_when_over(occasion: Occasion) -> dict[str, str]:
    """A Cancel often repeats the warning's own words; only what speaks of its end may be told as its end."""
    cancels = occasion.cause is Cause.LIFTED and occasion.alert.msg_type is MsgType.CANCEL
    own = occasion.info if cancels and occasion.info in occasion.alert.infos else None
    said = [
        clean(cut(text, LONGEST))
        for text in ((own.headline, own.description, own.instruction) if own else ("", "", ""))
    ]
    headline, description, instruction = said
    told = _speaks_of_end(description)
    return {
        "own_headline": clean_line(headline) if _speaks_of_end(headline) else "",
        "description": description if told else "",
        "instruction": instruction if told or _speaks_of_end(instruction) else "",
    }


def _speaks_of_end(text: str) -> bool:
    return bool(ENDED_ZH.search(text) or ENDED_EN.search(text))


def _earlier(occasion: Occasion, language: str, names: EventNames) -> str:
    """The title of the alert before this one, where an Update changed it."""
    if not (occasion.kind and occasion.original):
        return ""
    before = subject(Occasion(alert=occasion.original), language)
    return title_of(before, base(language) == "zh", names) if before else ""


def _headline(values: Values, cause: Cause, chinese: bool) -> str:
    """The sender's own headline, or one made of who, what and 发布, 解除 or 撤回."""
    if values["own_headline"]:
        return str(values["own_headline"])
    if chinese:
        verb = {Cause.LIFTED: "解除", Cause.WITHDRAWN: "撤回"}.get(cause, values["issues"] if values["event"] else "")
        return f"{values['sender']}{verb}{values['title']}" if verb else str(values["title"])
    ending = {Cause.LIFTED: " is over", Cause.WITHDRAWN: " was wrong and is withdrawn"}.get(cause, "")
    return f"{values['title']}{ending}"


def _times(alert: Alert, info: Info, zone: tzinfo, chinese: bool) -> dict[str, str]:
    say = _time_zh if chinese else _time_en
    sent = moment(alert.sent, zone)
    return {
        "issued": say(alert.sent, zone),
        "starts": say(info.onset or info.effective or alert.sent, zone),
        "ends": say(info.expires, zone) if info.expires is not None else "",
        "issued_on": f"{sent.year}年{sent.month:02d}月{sent.day:02d}日 {sent:%H:%M}",
        "year": str(sent.year),
    }


def _time_zh(at: Instant, zone: tzinfo) -> str:
    """7月22日14时30分."""
    when = moment(at, zone)
    return f"{when.month}月{when.day}日{when.hour}时" + (f"{when.minute:02d}分" if when.minute else "")


def _time_en(at: Instant, zone: tzinfo) -> str:
    """14:30 on 22 July."""
    when = moment(at, zone)
    return f"{when:%H:%M} on {when.day} {MONTHS[when.month - 1]}"
