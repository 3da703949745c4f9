"""Messages written for these tests: one good message of each dialect, and ways to bend them."""

from __future__ import annotations

from typing import Any

CAP_12 = "urn:oasis:names:tc:emergency:cap:1.2"
CAP_11 = "urn:oasis:names:tc:emergency:cap:1.1"
AMP = "http://com.icss.amp"

RING = "41.9,124.9 41.9,125.1 42.1,125.1 41.9,124.9"
GEOCODE = "<geocode><valueName>CN-GB2260</valueName><value>210423</value></geocode>"
AREA = f"<area><areaDesc>清原满族自治县</areaDesc><polygon>{RING}</polygon>{GEOCODE}</area>"
INFO = (
    "<info><language>zh-CN</language><category>Met</category><event>暴雨</event><urgency>Immediate</urgency>"
    "<severity>Severe</severity><certainty>Likely</certainty><expires>2026-07-23T14:30:00+08:00</expires>"
    "<senderName>抚顺市气象台</senderName><headline>抚顺市气象台发布暴雨橙色预警</headline>"
    "<description>预计今夜有大暴雨。</description><instruction>请勿涉水。</instruction>" + AREA + "</info>"
)
HEAD = {
    "identifier": "FS-20260722-1",
    "sender": "fushun@met.example",
    "sent": "2026-07-22T14:30:00+08:00",
    "status": "Actual",
    "msgType": "Alert",
    "scope": "Public",
}


def cap(body: str = INFO, *, ns: str = CAP_12, root: str = "alert", extra: str = "", **head: Any) -> str:
    """A CAP document; keywords replace head elements (None leaves one out), `extra` stands between head and body."""
    texts = HEAD | head
    lines = "".join(f"<{name}>{text}</{name}>" for name, text in texts.items() if text is not None)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{ns}">{lines}{extra}{body}</{root}>'


def info(old: str = "", new: str = "") -> str:
    """The good info with one text replaced; fails if there is nothing to replace."""
    assert old in INFO, old
    return INFO.replace(old, new)


def area(inside: str) -> str:
    """A document whose only area holds its name and `inside`."""
    return cap(info(AREA, f"<area><areaDesc>清原</areaDesc>{inside}</area>"))


NATIONAL_HEAD = {
    "identifier": "21040041600000_20260722143000",
    "sender": "抚顺市气象局",
    "senderCode": "21040041600000",
    "sendTime": "2026-07-22 14:30:00+08:00",
    "status": "Actual",
    "msgType": "Alert",
    "scope": "Public",
    "code": "<method><methodName>SPEAKER</methodName><message>请立即转移</message>"
    "<audienceGrp>G01,G02，G03</audienceGrp><audiencePrt/></method>"
    "<method><methodName>sms</methodName><message/></method>",
    "secClassification": "None",
    "note": "",
    "references": "",
}
NATIONAL_INFO = {
    "language": "zh-CN",
    "eventType": "11B03",
    "urgency": "Unknown",
    "severity": "Orange",
    "certainty": "Unknown",
    "effective": "2026-07-22 14:30:00+08:00",
    "onset": "",
    "expires": "2026-07-23 14:30:00+08:00",
    "senderName": "值班员",
    "headline": "抚顺市气象局发布暴雨橙色预警",
    "description": "预计未来六小时有大暴雨。",
    "instruction": "远离河道。",
    "area": "<areaDesc>清原满族自治县</areaDesc><polygon/><circle/><geocode>210423</geocode>",
}


def national(*, root: str = "alert", ns: str = AMP, **texts: Any) -> str:
    """A national document; keywords replace elements of head or info, None leaves one out."""
    unknown = texts.keys() - NATIONAL_HEAD.keys() - NATIONAL_INFO.keys()
    assert not unknown, unknown
    head, inner = (
        "".join(
            f"<{name}>{text}</{name}>" for name, text in (group | _within(texts, group)).items() if text is not None
        )
        for group in (NATIONAL_HEAD, NATIONAL_INFO)
    )
    return f'<?xml version="1.0" encoding="UTF-8"?><{root} xmlns="{ns}">{head}<info>{inner}</info></{root}>'


def _within(texts: dict[str, str | None], group: dict[str, str]) -> dict[str, str | None]:
    return {name: text for name, text in texts.items() if name in group}
