"""What the contract kit sends, and what a far side answers that is none. Read by `ChannelContract`."""

from __future__ import annotations

TEXTS = {
    "chinese": "清原县气象台发布暴雨红色预警：预计未来三小时降雨将达一百毫米以上。",
    "rare characters": "𠮷野家村、㙍头沟请立即转移 🌊⛰️👨‍👩‍👧",
    "quotes and brackets": """他说"快走"、'now'，<b>&amp;</b> {"a": 1} ]]> {text} {{x}} %s %(y)d \\n \\u0041 ${z}""",
    "lines": "第一行\n第二行",
    "latin": "Red alert: leave now! Ünïcödé £€¥ @~^|",
}

DRILL = "【演练】"

LONG = "低洼地区群众请立即向高处转移，带好老人和孩子，不要涉水过河。"


def long_text(characters: int) -> str:
    """Exactly that many characters."""
    return (LONG * (characters // len(LONG) + 1))[:characters]


def _http(status: str, body: bytes, kind: str = "application/json", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n".encode() + body


NONSENSE = {
    "a login page": _http("200 OK", b"<html>login</html>", "text/html"),
    "an empty answer": _http("200 OK", b""),
    "null": _http("200 OK", b"null"),
    "a list": _http("200 OK", b'[1,{"a":[[]]}]'),
    "wrong types": _http("200 OK", b'{"errcode":[],"id":{},"msgid":[1],"access_token":1.5,"taken":7}'),
    "not UTF-8": _http("200 OK", b'{"errcode":"\xff\xfe\xc3"}'),
    "half an answer": _http("200 OK", b'{"errcode":', length=5000),
    "no such page": _http("404 Not Found", b""),
    "a byte": b"\0",
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
}
"""Answers of a broken proxy, a login page or another service on the same port."""

STRANGE = (b"", b"\xff\x00", b"null", b"[[1]]", b"<a><b/></a>", b'{"receipts": [7]}')
"""What somebody who is not the far side may send to a callback."""
