"""Everything that may go wrong over HTTP, as problem details (RFC 9457): one table of codes with both languages, and the
translation of the project's errors into answers. Handlers raise `refuse(code)`; `gateway.web.gate` answers.
"""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus

from gateway.errors import Refused, Unstorable
from gateway.ports import Json

CODES: dict[str, tuple[int, str, str]] = {
    "host_refused": (
        400,
        "请求里的主机名不是本网关的名字,未处理。请使用网关的正式地址,或由管理员把该名字加入 http.hosts。",
        "The Host header does not name this gateway; nothing was done. Use its own address, or add the name to http.hosts.",
    ),
    "query_invalid": (
        400,
        "查询参数 {name} 的值无效({why}),未返回数据。请改正后重试。",
        "The query parameter {name} is not valid ({why}); nothing was returned. Correct it and ask again.",
    ),
    "body_empty": (
        400,
        "请求没有正文,未收到任何预警。请在正文中放入 CAP 或国突 XML。",
        "The request has no body, so no alert was taken. Send CAP or national XML as the body.",
    ),
    "body_malformed": (
        400,
        "正文在传输中损坏,未收到预警。请用同样的内容重发。",
        "The body was damaged on its way; no alert was taken. Send the same bytes again.",
    ),
    "gzip_invalid": (
        400,
        "正文声明为 gzip,但无法解压,未收到预警。请检查压缩或去掉 Content-Encoding。",
        "The body is said to be gzip but cannot be unpacked; no alert was taken. Check it or drop Content-Encoding.",
    ),
    "zip_invalid": (
        400,
        "ZIP 文件损坏、加密或使用了不支持的压缩方式,未收到预警。请重新打包。",
        "The ZIP is damaged, encrypted or packed in an unknown way; no alert was taken. Pack it again.",
    ),
    "zip_names": (
        400,
        "ZIP 中的文件名不可接受({name}),未收到预警。只允许一个 XML 和名为 *_P_nn、*_O_nn 的附件。",
        "The ZIP holds an unacceptable name ({name}); no alert was taken. One XML and attachments *_P_nn, *_O_nn are allowed.",
    ),
    "zip_no_message": (
        422,
        "ZIP 中应有且只有一个 XML 文件,实际有 {count} 个,未收到预警。",
        "A ZIP has to hold exactly one XML file; this one holds {count}. No alert was taken.",
    ),
    "key_missing": (
        401,
        "没有提供密钥,请求未处理。请用 Authorization: Bearer 或 X-API-Key 提供密钥,或在控制台登录。",
        "No key was given; nothing was done. Send one as Authorization: Bearer or X-API-Key, or sign in to the console.",
    ),
    "key_unknown": (
        401,
        "密钥未知或已吊销,请求未处理。请核对密钥,或请管理员新建(tongluo keys create)。",
        "The key is unknown or revoked; nothing was done. Check it, or have one made (tongluo keys create).",
    ),
    "session_ended": (
        401,
        "登录已失效,请求未处理。请用新的登录链接重新登录(tongluo link)。",
        "The session has ended; nothing was done. Sign in again with a fresh link (tongluo link).",
    ),
    "ticket_spent": (
        403,
        "登录链接无效、已用过或已过期,未登录。请取一个新的链接(tongluo link)。",
        "The sign-in link is unknown, used or too old; you are not signed in. Get a fresh one (tongluo link).",
    ),
    "request_foreign": (
        403,
        "该操作不是从本控制台页面发出的,为防止冒用已拒绝,什么也没有改变。请在控制台页面上重试。",
        "This did not come from a page of this console and was refused; nothing changed. Try again from the page itself.",
    ),
    "role_denied": (
        403,
        "{name} 没有执行此操作的角色(需要:{roles}),什么也没有改变。请由有权限的人操作。",
        "{name} lacks the role for this (needed: {roles}); nothing changed. Ask somebody who has it.",
    ),
    "unknown_dead_letter": (
        404,
        "死信中没有这一条,可能已被重放;没有任何改变。请刷新后再看。",
        "There is no such dead letter; it may have been replayed already. Nothing was changed.",
    ),
    "unknown_alert": (
        404,
        "没有这条预警,或它不在您的管辖范围内。请核对编号。",
        "There is no such alert, or it is outside your regions. Check the id.",
    ),
    "not_found": (
        404,
        "这里没有内容。请核对地址。",
        "There is nothing here. Check the address.",
    ),
    "method_unknown": (
        405,
        "该地址不支持 {method} 方法,什么也没有做。",
        "This address does not take {method}; nothing was done.",
    ),
    "body_slow": (
        408,
        "正文在 {seconds} 秒内没有传完,连接已放弃,未收到预警。请用同样的内容重发。",
        "The body did not arrive within {seconds} s and was given up; no alert was taken. Send the same bytes again.",
    ),
    "body_too_large": (
        413,
        "正文解压后超过 {limit} 字节的上限,未收到预警。请精简内容(例如多边形的点数)后再发。",
        "The body exceeds {limit} bytes after decompression; no alert was taken. Make it smaller (polygon points, for example).",
    ),
    "type_unsupported": (
        415,
        "不支持正文类型 {given},未处理。请使用 {wanted}。",
        "The content type {given} is not taken; nothing was done. Use {wanted}.",
    ),
    "encoding_unsupported": (
        415,
        "不支持内容编码 {given},未收到预警。请使用 gzip 或不压缩。",
        "The content encoding {given} is not taken; no alert was taken. Use gzip or none.",
    ),
    "body_invalid": (
        422,
        "正文内容不符合要求({why}),什么也没有改变。",
        "The body is not as it should be ({why}); nothing changed.",
    ),
    "too_fast": (
        429,
        "该密钥的请求过于频繁,本次未处理。请稍候按 Retry-After 重试;同样的内容可以重发。",
        "This key asks too often; this request was not handled. Wait for Retry-After and send the same bytes again.",
    ),
    "wrong_keys": (
        429,
        "来自同一地址的错误密钥过多,暂停受理。请核对密钥后按 Retry-After 重试。",
        "Too many wrong keys came from one address; it has to wait. Check the key and try again after Retry-After.",
    ),
    "internal": (
        500,
        "网关内部出错,本次请求可能未完成,已记入日志。请稍后重试,并把 request_id 告知管理员。",
        "The gateway failed inside and logged it; the request may be undone. Try again, and give the request_id to the operator.",
    ),
    "store_unavailable": (
        503,
        "网关暂时无法保存,未受理。请按 Retry-After 用同样的内容重发。",
        "The gateway cannot store anything now, so nothing was taken. Send the same bytes again after Retry-After.",
    ),
}

TITLES = {
    400: ("请求有误", "Bad request"),
    401: ("需要身份", "Who are you?"),
    403: ("不允许", "Not allowed"),
    404: ("没有找到", "Not found"),
    405: ("方法不支持", "Method not allowed"),
    408: ("传输过慢", "Too slow"),
    409: ("内容冲突", "Conflict"),
    413: ("超过上限", "Over a limit"),
    415: ("类型不支持", "Unsupported type"),
    422: ("内容不合要求", "Not acceptable"),
    429: ("过于频繁", "Too fast"),
    500: ("内部错误", "Internal error"),
    503: ("暂时无法受理", "Unavailable for now"),
}


def refuse(code: str, retry_after: int | None = None, **details: object) -> Refused:
    """The error of one of `CODES`, its sentences filled with `details`. KeyError if the code is not in the table."""
    status, zh, en = CODES[code]
    return Refused(code, status, zh.format(**details), en.format(**details), retry_after=retry_after)


def unstorable(error: Unstorable) -> Refused:
    """The same as an answer: 503, nothing taken, try again. The reason stays in the log."""
    return refuse("store_unavailable", retry_after=error.retry_after)


def title(status: int, language: str) -> str:
    """What kind of problem a status is, in `zh` or `en`."""
    zh, en = TITLES.get(status, (HTTPStatus(status).phrase, HTTPStatus(status).phrase))
    return zh if language == "zh" else en


def details(error: Refused, language: str, request_id: str) -> Json:
    """The members of `application/problem+json` (RFC 9457 §3), with our extensions `code`, `request_id` and `findings`."""
    return {
        "type": f"urn:tongluo:problem:{error.code}",
        "title": title(error.status, language),
        "status": error.status,
        "detail": error.zh if language == "zh" else error.en,
        "code": error.code,
        "request_id": request_id,
        "findings": [asdict(finding) for finding in error.findings],
    }
