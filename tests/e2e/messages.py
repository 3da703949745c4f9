"""CAP messages for the end-to-end tests, by the parts that a test is about. Times are the town's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.testing.hamlet import NANSHAN


class Clocked(Protocol):
    """Whatever tells the time that a message is to bear: a town, a running gateway."""

    def at(self, **later: float) -> str:
        """A time that much later than now, in UTC."""
        ...


CAP = "urn:oasis:names:tc:emergency:cap:1.2"
SEVERITY = {"red": "Extreme", "orange": "Severe", "yellow": "Moderate", "blue": "Minor"}
COLOUR = {"red": "红色", "orange": "橙色", "yellow": "黄色", "blue": "蓝色"}


def area(*codes: str, desc: str = "清原满族自治县", shape: str = "") -> str:
    """An <area> with division codes, and any other shape."""
    geocodes = "".join(f"<geocode><valueName>CN-GB2260</valueName><value>{code}</value></geocode>" for code in codes)
    return f"<area><areaDesc>{desc}</areaDesc>{shape}{geocodes}</area>"


def info(
    town: Clocked,
    *areas: str,
    grade: str = "orange",
    event: str = "暴雨",
    code: str = "11B03",
    language: str = "zh-CN",
    headline: str = "",
    description: str = "预计未来六小时有大暴雨。",
    instruction: str = "请远离河道。",
    minutes: float | None = 60,
    urgency: str = "Unknown",
    extra: str = "",
) -> str:
    """An <info> that expires in `minutes` (None = it does not say)."""
    expires = "" if minutes is None else f"<expires>{town.at(minutes=minutes)[:19]}+00:00</expires>"
    coded = f"<eventCode><valueName>EVENT-CODE</valueName><value>{code}</value></eventCode>" if code else ""
    return (
        f"<info><language>{language}</language><category>Met</category><event>{event}</event><urgency>{urgency}</urgency>"
        f"<severity>{SEVERITY[grade]}</severity><certainty>Likely</certainty>{coded}{expires}"
        f"<senderName>抚顺市气象台</senderName><headline>{headline or f'抚顺市气象台发布{event}{COLOUR[grade]}预警'}</headline>"
        f"<description>{description}</description><instruction>{instruction}</instruction>{extra}{''.join(areas)}</info>"
    )


def cap(
    town: Clocked,
    *infos: str,
    identifier: str = "A-1",
    sender: str = "fushun@met.example",
    sent: str = "",
    status: str = "Actual",
    msg_type: str = "Alert",
    scope: str = "Public",
    note: str = "",
    references: Sequence[str] = (),
) -> str:
    """A CAP 1.2 message. `references` are triples as `reference` makes them."""
    noted = f"<note>{note}</note>" if note else ""
    refers = f"<references>{' '.join(references)}</references>" if references else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<alert xmlns="{CAP}"><identifier>{identifier}</identifier>'
        f"<sender>{sender}</sender><sent>{sent or stamp(town)}</sent><status>{status}</status><msgType>{msg_type}</msgType>"
        f"<scope>{scope}</scope>{noted}{refers}{''.join(infos)}</alert>"
    )


def national(town: Clocked, *methods: str, audience: str = "") -> str:
    """A message of the national platform for Nanshan, to be sent by these methods (to that audience)."""
    now, end = (f"{at[:10]} {at[11:19]}+00:00" for at in (town.at(), town.at(minutes=60)))
    group = f"<audienceGrp>{audience}</audienceGrp>" if audience else ""
    ways = "".join(f"<method><methodName>{name}</methodName><message/>{group}</method>" for name in methods)
    return (
        '<?xml version="1.0" encoding="UTF-8"?><alert xmlns="http://com.icss.amp">'
        "<identifier>21040041600000_20260722143000</identifier><sender>抚顺市气象局</sender>"
        f"<senderCode>21040041600000</senderCode><sendTime>{now}</sendTime><status>Actual</status>"
        f"<msgType>Alert</msgType><scope>Public</scope><code>{ways}</code>"
        "<secClassification>None</secClassification><note/><references/><info><language>zh-CN</language>"
        f"<eventType>11B03</eventType><urgency>Unknown</urgency><severity>Orange</severity><certainty>Unknown</certainty>"
        f"<effective>{now}</effective><onset/><expires>{end}</expires><senderName>值班员</senderName>"
        "<headline>抚顺市气象局发布暴雨橙色预警</headline><description>预计未来六小时有大暴雨。</description>"
        f"<instruction>远离河道。</instruction><area><areaDesc>南山村</areaDesc><polygon/><circle/><geocode>{NANSHAN}</geocode>"
        "</area></info></alert>"
    )


def stamp(town: Clocked, **later: float) -> str:
    """A time as CAP writes it: whole seconds and an offset."""
    return f"{town.at(**later)[:19]}+00:00"


def reference(town: Clocked, identifier: str = "A-1", sender: str = "fushun@met.example", sent: str = "") -> str:
    """A triple that names an earlier message, sent now unless said otherwise."""
    return f"{sender},{identifier},{sent or stamp(town)}"
