"""The alert as CAP knows it (OASIS CAP 1.2 §3.2), the same for every dialect it may arrive in.

`gateway.cap` makes these values from bytes; everything else reads them. Times are `Instant`s; what the sender wrote is
kept beside them where it matters (`sent_text`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from gateway.model.time import Instant


class Status(StrEnum):
    """CAP 1.2 §3.2.1 <status>."""

    ACTUAL = "Actual"
    EXERCISE = "Exercise"
    SYSTEM = "System"
    TEST = "Test"
    DRAFT = "Draft"


class MsgType(StrEnum):
    """CAP 1.2 §3.2.1 <msgType>."""

    ALERT = "Alert"
    UPDATE = "Update"
    CANCEL = "Cancel"
    ACK = "Ack"
    ERROR = "Error"


class Scope(StrEnum):
    """CAP 1.2 §3.2.1 <scope>."""

    PUBLIC = "Public"
    RESTRICTED = "Restricted"
    PRIVATE = "Private"


class Grade(IntEnum):
    """The colour grade 红橙黄蓝. Higher is graver; UNKNOWN is planned and shown as the mildest."""

    UNKNOWN = 0
    BLUE = 1
    YELLOW = 2
    ORANGE = 3
    RED = 4

    @property
    def label(self) -> str:
        """`red`, `orange`, `yellow`, `blue` or `unknown`: the word in configuration, API and metrics."""
        return self.name.lower()

    @classmethod
    def named(cls, word: str) -> Grade:
        """The grade of a word such as `red` or `Red`. Raises KeyError for any other word."""
        return cls[word.upper()]


SEVERITY_GRADE = {
    "Extreme": Grade.RED,
    "Severe": Grade.ORANGE,
    "Moderate": Grade.YELLOW,
    "Minor": Grade.BLUE,
    "Unknown": Grade.UNKNOWN,
}
"""CAP 1.2 <severity> to grade (the column of the national table is our choice)."""

GRADE_SEVERITY = {grade: severity for severity, grade in SEVERITY_GRADE.items()}


class Weight(StrEnum):
    """How heavy a finding is: an `error` refuses the message, a `warning` refuses it only for a strict source."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One deviation found in a message: stable `code`, `level`, where (`xpath`, `line`) and a sentence for people."""

    code: str
    level: Weight
    xpath: str
    line: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Reference:
    """An earlier message. CAP: sender, identifier, sent; the national dialect names the identifier only (`sent` None)."""

    sender: str
    identifier: str
    sent: Instant | None


@dataclass(frozen=True, slots=True)
class NameValue:
    """<geocode>, <eventCode> or <parameter>: a domain-specific name and a value, which may be empty."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Circle:
    """A circle on the WGS 84 ellipsoid; `radius` in metres whatever the dialect (0 = a point)."""

    lat: float
    lon: float
    radius: float


Polygon = tuple[tuple[float, float], ...]
"""A closed ring of (latitude, longitude) in degrees, first point repeated at the end."""


@dataclass(frozen=True, slots=True)
class Area:
    """What the sender wrote in one <area> (CAP 1.2 §3.2.4). `lost` = a target was meant here and could not be read."""

    desc: str
    polygons: tuple[Polygon, ...] = ()
    circles: tuple[Circle, ...] = ()
    geocodes: tuple[NameValue, ...] = ()
    altitude: float | None = None
    ceiling: float | None = None
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Resource:
    """<resource> (CAP 1.2 §3.2.3). Never fetched: `uri` is shown, not followed."""

    desc: str
    mime_type: str = ""
    size: int | None = None
    uri: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Info:
    """One <info> block (CAP 1.2 §3.2.2). Absent texts are empty strings; `event` of the national dialect is its code."""

    language: str
    event: str
    grade: Grade
    urgency: str = "Unknown"
    severity: str = "Unknown"
    certainty: str = "Unknown"
    categories: tuple[str, ...] = ()
    response_types: tuple[str, ...] = ()
    audience: str = ""
    event_codes: tuple[NameValue, ...] = ()
    effective: Instant | None = None
    onset: Instant | None = None
    expires: Instant | None = None
    sender_name: str = ""
    headline: str = ""
    description: str = ""
    instruction: str = ""
    web: str = ""
    contact: str = ""
    parameters: tuple[NameValue, ...] = ()
    resources: tuple[Resource, ...] = ()
    areas: tuple[Area, ...] = ()


@dataclass(frozen=True, slots=True)
class Method:
    """A way of sending that the national message itself names (SMS, LED, SPEAKER, ...), with its own text if any."""

    name: str
    message: str = ""
    groups: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Alert:
    """One message: identity (sender, identifier, sent), kind, and its infos."""

    identifier: str
    sender: str
    sent: Instant
    status: Status
    msg_type: MsgType
    scope: Scope
    dialect: str
    sent_text: str = ""
    source: str = ""
    restriction: str = ""
    addresses: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    note: str = ""
    references: tuple[Reference, ...] = ()
    incidents: tuple[str, ...] = ()
    infos: tuple[Info, ...] = ()
    methods: tuple[Method, ...] = ()

    @property
    def grade(self) -> Grade:
        """The gravest grade of the infos; UNKNOWN without infos."""
        return max((info.grade for info in self.infos), default=Grade.UNKNOWN)

    @property
    def headline(self) -> str:
        """The first non-empty headline, else the first event, else the identifier: what a list shows."""
        texts = [info.headline for info in self.infos] + [info.event for info in self.infos]
        return next((text for text in texts if text), self.identifier)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What reading a message gives: the alert (None if refused), every finding, and the fingerprint of its content."""

    alert: Alert | None
    findings: tuple[Finding, ...]
    dialect: str | None = None
    fingerprint: str = ""
    header: dict[str, str] = field(default_factory=dict)

    @property
    def errors(self) -> Sequence[Finding]:
        """Findings that refuse the message."""
        return [finding for finding in self.findings if finding.level is Weight.ERROR]

    @property
    def warnings(self) -> Sequence[Finding]:
        """Findings that a strict source refuses."""
        return [finding for finding in self.findings if finding.level is Weight.WARNING]


class AlertState(StrEnum):
    """Where an alert stands. `superseded`, `cancelled`, `stopped` and `expired` are ends of a released one."""

    DRAFT = "draft"
    HELD = "held"
    RELEASED = "released"
    STORED = "stored"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    EXPIRED = "expired"

    @property
    def active(self) -> bool:
        """Released and not ended: `GET /alerts?state=active`."""
        return self is AlertState.RELEASED


class CancelKind(StrEnum):
    """The two kinds of Cancel: 解除 (the danger is over) and 撤回更正 (it was wrong)."""

    LIFTED = "lifted"
    WITHDRAWN = "withdrawn"


class UpdateKind(StrEnum):
    """What an Update changes, the first that applies in this order."""

    RAISED = "raised"
    WIDENED = "widened"
    LOWERED = "lowered"
    EXTENDED = "extended"
    TEXT = "text"
