"""The closed list of findings: every code that reading a message can give, how heavy it is, and what to tell people.

`docs/cap.md` shows the same list (a test compares them). The HTTP room maps a refusal to its status with `http_status`.
A sentence may hold `{what}`: the offending value, shortened and printable.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gateway.model.alert import Finding, Weight


class Code(NamedTuple):
    """One kind of finding: its level, the HTTP status if it refuses (0 otherwise), and a sentence in two languages."""

    level: Weight
    status: int
    zh: str
    en: str


def _refusal(status: int, zh: str, en: str) -> Code:
    return Code(Weight.ERROR, status, zh, en)


def _warning(zh: str, en: str) -> Code:
    return Code(Weight.WARNING, 0, zh, en)


def _info(zh: str, en: str) -> Code:
    return Code(Weight.INFO, 0, zh, en)


CODES: dict[str, Code] = {
    # 400: not XML, or nothing that can be decoded
    "empty_body": _refusal(
        400, "报文为空，请发送 CAP 报文正文。", "The message is empty: send the CAP document itself."
    ),
    "encoding_unsupported": _refusal(
        400,
        "不支持编码 {what}；请用 UTF-8、带 BOM 的 UTF-16 或 GB18030。",
        "Encoding {what} is not read here: use UTF-8, UTF-16 with BOM or GB18030.",
    ),
    "undecodable": _refusal(
        400,
        "有字节不符合所声明的编码（{what}）；请改正 encoding 声明或转码后重发。",
        "Bytes do not fit the declared encoding ({what}): correct the declaration or the bytes and send again.",
    ),
    "not_well_formed": _refusal(
        400,
        "不是格式良好的 XML：{what}。请检查是否被截断或改动。",
        "Not well-formed XML: {what}. Was it cut or altered?",
    ),
    "doctype_forbidden": _refusal(
        400, "报文不得含 DOCTYPE 或实体定义，请删除后重发。", "DOCTYPE and entities are never read: remove them."
    ),
    # 413: over a limit
    "body_too_large": _refusal(413, "报文超过 {what} 字节的上限。", "The message is larger than {what} bytes."),
    "too_deep": _refusal(413, "元素嵌套超过 {what} 层。", "Elements are nested deeper than {what} levels."),
    "too_many_elements": _refusal(
        413, "元素和属性过多（上限 {what}）。", "There are too many elements and attributes (limit {what})."
    ),
    "name_too_long": _refusal(
        413, "命名空间或元素名超过 {what} 个字符。", "A namespace or element name is longer than {what} characters."
    ),
    "polygon_too_large": _refusal(
        413, "一个多边形超过 {what} 个点，请简化后重发。", "One polygon has more than {what} points: simplify it."
    ),
    "too_many_points": _refusal(
        413, "全文多边形超过 {what} 个点，请简化后重发。", "All polygons together have more than {what} points."
    ),
    "too_many_geocodes": _refusal(413, "区划代码超过 {what} 个。", "There are more than {what} geocodes."),
    "too_many_infos": _refusal(413, "info 超过 {what} 个。", "There are more than {what} info blocks."),
    "too_many_references": _refusal(413, "references 超过 {what} 条。", "There are more than {what} references."),
    "identifier_too_long": _refusal(
        413, "identifier 超过 {what} 个字符。", "identifier is longer than {what} characters."
    ),
    "sender_too_long": _refusal(413, "sender 超过 {what} 个字符。", "sender is longer than {what} characters."),
    # 422: XML, but not a message that can be attributed, dated and classified
    "namespace_unknown": _refusal(
        422,
        "命名空间“{what}”不是 CAP 1.2、CAP 1.1 或国突（http://com.icss.amp）。",
        "Namespace '{what}' is neither CAP 1.2, CAP 1.1 nor http://com.icss.amp.",
    ),
    "root_unknown": _refusal(422, "根元素是 {what}，应为 alert。", "The root element is {what}, not alert."),
    "required_missing": _refusal(422, "缺少必填元素 {what}。", "Required element {what} is missing or empty."),
    "required_conflicting": _refusal(
        422,
        "必填元素 {what} 出现多次且内容不一致。",
        "Required element {what} occurs several times with different content.",
    ),
    "code_unknown": _refusal(
        422, "“{what}”不在规定的取值之内。", "'{what}' is not a value of this element's code list."
    ),
    "comma_forbidden": _refusal(
        422, "identifier 和 sender 不得含逗号：{what}。", "identifier and sender must not contain a comma: {what}."
    ),
    "sent_unreadable": _refusal(
        422,
        "发送时间“{what}”无法确定，应为 2026-07-22T14:30:00+08:00 的形式（须带时区）。",
        "The time of sending '{what}' cannot be read: write 2026-07-22T14:30:00+08:00, with its offset.",
    ),
    "cancel_without_references": _refusal(
        422, "Cancel 没有可读的 references，不知解除哪一条。", "A Cancel without readable references cancels nothing."
    ),
    # accepted with a warning: a strict source gets 422 for these
    "encoding_contradiction": _warning(
        "encoding 声明与实际字节不符，已按 {what} 读取。",
        "The declared encoding contradicts the bytes; read as {what}.",
    ),
    "encoding_unusual": _warning(
        "编码 {what} 已读取，建议改用 UTF-8。", "Encoding {what} was read; UTF-8 is expected."
    ),
    "identifier_characters": _warning(
        "identifier 或 sender 含空白：{what}。", "identifier or sender contains white space: {what}."
    ),
    "sender_code_missing": _warning(
        "缺 senderCode，改用 sender 文本作为发布单位。", "senderCode is missing; the text of sender stands in for it."
    ),
    "msg_type_spelling": _warning("msgType 写作“{what}”，已按相近取值理解。", "msgType is spelt '{what}'; understood."),
    "classified_inner": _warning(
        "密级为 Inner（内部）：按 Restricted 处理，不向公众发布。", "secClassification Inner: treated as Restricted."
    ),
    "time_z": _warning(
        "时间以 Z 结尾（CAP 1.2 不允许）：{what}。", "The time ends in Z, which CAP 1.2 forbids: {what}."
    ),
    "time_fraction": _warning("时间带小数秒：{what}。", "The time has fractions of a second: {what}."),
    "time_zone_assumed": _warning(
        "时间没有时区，按该发布单位设定的时区读取：{what}。",
        "The time has no offset; read in the source's zone: {what}.",
    ),
    "time_unusual": _warning(
        "时间写作 24:00 或闰秒，已换算：{what}。", "24:00 or a leap second was converted: {what}."
    ),
    "time_unreadable": _warning(
        "时间无法读取，视为未填：{what}。", "The time cannot be read and counts as absent: {what}."
    ),
    "expires_before_sent": _warning("失效时间早于发送时间：{what}。", "expires lies before sent: {what}."),
    "element_missing": _warning("缺少应有的元素 {what}，已用默认值。", "Element {what} is missing; a default is used."),
    "element_repeated": _warning("只应出现一次的 {what} 出现多次。", "{what} should occur once but is repeated."),
    "element_out_of_sequence": _warning("元素顺序不合规范：{what}。", "Elements are out of sequence: {what}."),
    "element_misnamed": _warning("元素名写错，已忽略：{what}。", "A misnamed element was ignored: {what}."),
    "element_unknown": _warning("未知元素，已忽略：{what}。", "An unknown element was ignored: {what}."),
    "element_foreign": _warning(
        "元素 {what} 的命名空间与根元素不同，已忽略。", "{what} is not in the namespace of the root and was ignored."
    ),
    "markup_in_text": _warning(
        "文本 {what} 中夹有标签，只取文字。", "{what} contains markup; its text alone was taken."
    ),
    "value_unknown": _warning("“{what}”不是规定取值，按 Unknown 或 Other 处理。", "'{what}' is not in the code list."),
    "value_spelling": _warning(
        "取值“{what}”拼写不规范，已按相近取值理解。", "The value '{what}' is misspelt; understood."
    ),
    "number_unreadable": _warning("数值无法读取，已忽略：{what}。", "A number cannot be read and was ignored: {what}."),
    "colour_contradicts_severity": _warning(
        "颜色与 severity 不一致（{what}），等级以 severity 为准。",
        "The colour contradicts severity ({what}), which rules.",
    ),
    "info_missing": _warning("报文没有 info，没有可发布的内容。", "The message has no info: there is nothing to say."),
    "area_missing": _warning("info 没有 area，发布范围不明。", "The info has no area: whom it concerns is unknown."),
    "area_without_geometry": _warning(
        "区域只有名称，没有代码和图形，需人工确认：{what}。", "The area is only named; a person must choose: {what}."
    ),
    "geocode_lost": _warning("区划代码写法有误而丢失：{what}。", "A geocode was meant but cannot be read: {what}."),
    "polygon_empty": _warning("多边形为空，已忽略。", "An empty polygon was dropped."),
    "polygon_not_closed": _warning(
        "多边形未闭合，已补上首点。", "The polygon was not closed; its first point was repeated."
    ),
    "polygon_too_few_points": _warning(
        "多边形不足三个不同的点，已忽略。", "A polygon of under three points was dropped."
    ),
    "polygon_punctuation": _warning(
        "坐标中有多余的空格、括号或全角逗号，已整理。",
        "Stray spaces, brackets or commas among coordinates were tidied.",
    ),
    "point_unreadable": _warning(
        "坐标无法读取，已跳过：{what}。", "Coordinates cannot be read and were skipped: {what}."
    ),
    "axis_swapped": _warning(
        "坐标按“经度,纬度”书写，已对调。", "Coordinates were written longitude first and were swapped."
    ),
    "longitude_normalised": _warning(
        "经度超过 180 度，已换算：{what}。", "A longitude past 180 was normalised: {what}."
    ),
    "circle_empty": _warning("圆形区域为空，已忽略。", "An empty circle was dropped."),
    "circle_unreadable": _warning(
        "圆形区域无法读取，已忽略：{what}。", "A circle cannot be read and was dropped: {what}."
    ),
    "update_without_references": _warning(
        "Update 没有 references，将作为新预警发布。", "An Update without references replaces nothing."
    ),
    "reference_unreadable": _warning("references 中一条无法读取：{what}。", "A reference cannot be read: {what}."),
    "reference_without_time": _warning(
        "references 中一条没有可读的时间，只按 sender 和 identifier 匹配：{what}。",
        "A reference has no readable time; matched by sender and identifier: {what}.",
    ),
    # worth knowing, never refused
    "language_missing": _info("info 未写 language，按 {what} 处理。", "The info names no language; read as {what}."),
    "expires_missing": _info(
        "info 未写 expires，用设定的默认时效。", "The info has no expires; the default window applies."
    ),
    "value_empty": _info("{what} 的值为空。", "{what} has an empty value."),
    "element_extension": _info("扩展元素未使用：{what}。", "An extension element is kept but not used: {what}."),
    "findings_cut": _info("问题过多，其余未列出。", "There are more findings than are listed here."),
}

_SHOWN = 80


def sentence(code: str, what: str = "") -> str:
    """The sentence of `code` for people, Chinese first; `what` is cut to 80 characters and made printable."""
    shown = "".join(sign if sign.isprintable() else " " for sign in what[: _SHOWN + 1])
    if len(shown) > _SHOWN:
        shown = shown[:_SHOWN] + "…"
    entry = CODES[code]
    return f"{entry.zh} {entry.en}".replace("{what}", shown)


def http_status(findings: Iterable[Finding]) -> int | None:
    """The HTTP status that refuses a message with these findings: 400 before 413 before 422; None if none refuses."""
    statuses = [CODES[finding.code].status or 422 for finding in findings if finding.level is Weight.ERROR]
    return min(statuses, default=None)
