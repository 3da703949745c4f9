"""Messages that clients post, as bytes that are the same at every repeat, and the places whose people they are for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.testing.hamlet import BEIHE, CANGSHI, JIANNONG, NANSHAN, YONGLE, phone

STAMP = "%Y-%m-%dT%H:%M:%S+00:00"
SEVERITY = {"red": "Extreme", "orange": "Severe", "blue": "Minor"}

CROWD, MEASURED = CANGSHI, YONGLE
"""A village of thousands, for backlogs; and one whose people are called by the channel `paced`, which has a rate."""

HAMLET = {
    NANSHAN: frozenset(phone(number) for number in range(1, 7)),
    BEIHE: frozenset(phone(number) for number in range(7, 11)),
    JIANNONG: frozenset(phone(number) for number in range(21, 24)),
}


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to be posted. `sent` is part of its identity."""

    identifier: str
    sent: str
    region: str
    cancels: Letter | None = None
    grade: str = "orange"
    minutes: int = 24 * 60

    @property
    def raw(self) -> bytes:
        """The bytes, the same at every repeat."""
        expires = (datetime.fromisoformat(self.sent) + timedelta(minutes=self.minutes)).strftime(STAMP)
        refers = (
            f"<references>met@example,{self.cancels.identifier},{self.cancels.sent}</references>"
            if self.cancels
            else ""
        )
        info = (
            f"<info><language>zh-CN</language><category>Met</category><event>暴雨</event><urgency>Immediate</urgency>"
            f"<severity>{SEVERITY[self.grade]}</severity><certainty>Likely</certainty><eventCode><valueName>EVENT-CODE"
            f"</valueName><value>11B03</value></eventCode><expires>{expires}</expires><headline>暴雨预警 {self.identifier}"
            f"</headline><description>大雨。</description><instruction>远离河道。</instruction><area><areaDesc>某村</areaDesc>"
            f"<geocode><valueName>CN-GB2260</valueName><value>{self.region}</value></geocode></area></info>"
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">'
            f"<identifier>{self.identifier}</identifier><sender>met@example</sender><sent>{self.sent}</sent>"
            f"<status>Actual</status><msgType>{'Cancel' if self.cancels else 'Alert'}</msgType><scope>Public</scope>"
            f"{refers}{'' if self.cancels else info}</alert>"
        ).encode()


def now() -> str:
    """A time for `sent`."""
    return datetime.now(UTC).strftime(STAMP)


def populate(directory: Path, crowd: int, measured: int) -> Mapping[str, frozenset[str]]:
    """Add the crowd and the measured to the hamlet's directory; returns everybody's addresses by village."""
    many = [f"1001{number:07}" for number in range(crowd)]
    paced = [f"1002{number:07}" for number in range(measured)]
    with directory.open("a", encoding="utf-8") as rows:
        rows.writelines(f"c-{place},sms,{number},{CROWD},c-{place},1,,\n" for place, number in enumerate(many))
        rows.writelines(f"m-{place},paced,{number},{MEASURED},m-{place},1,,\n" for place, number in enumerate(paced))
    return {**HAMLET, CROWD: frozenset(many), MEASURED: frozenset(paced) | {phone(31)}}
