"""The shapes of the JSON that goes over the API (docs/api.md), as pydantic models. They write the OpenAPI document, give the pages
typed values, and check in tests that what the store's reads answer is what we promise. Times are RFC 3339, UTC, milliseconds;
shares are 0 to 1; durations are seconds.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from gateway.model.alert import CancelKind


class Shape(BaseModel):
    """A JSON object of the API. Members may be added later, so readers must ignore what they do not know."""

    model_config = ConfigDict(extra="allow", frozen=True)


class FindingShape(Shape):
    """One deviation found in a message: stable code, weight, place, sentence."""

    code: str
    level: str
    xpath: str = ""
    line: int | None = None
    message: str = ""


class Problem(Shape):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    findings: list[FindingShape] = []


class Links(Shape):
    """Where to go on."""

    self: str
    coverage: str
    events: str
    report: str


class Posted(Shape):
    """The answer to an accepted message."""

    id: str
    identifier: str
    state: str
    fingerprint: str
    warnings: list[FindingShape]
    links: Links


class Preview(Shape):
    """What a message would do: nothing was stored or sent."""

    would: str
    why: str
    findings: list[FindingShape] = []
    regions: Any = None
    people: Any = None
    endpoints: Any = None
    texts: Any = None


class Act(BaseModel):
    """The body of an operator's action; may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    note: str = Field("", max_length=2000)
    kind: CancelKind = CancelKind.LIFTED


class CoverageShort(Shape):
    """The headline of an alert's coverage."""

    lo: float | None
    est: float | None
    hi: float | None
    goal_bp: int | None = None
    status: str = "no_target"
    gap_people: int | None = None


class AlertItem(Shape):
    """An alert in a list."""

    id: str
    identifier: str
    sender: str
    sent: str
    headline: str
    event: str = ""
    event_code: str = ""
    grade: str = "unknown"
    status: str
    msg_type: str
    state: str
    source: str = ""
    received_at: str
    released_at: str | None = None
    expires_at: str | None = None
    ended_at: str | None = None
    regions: list[str] = []
    warnings: int = 0
    coverage: CoverageShort | None = None


class AlertPage(Shape):
    """A page of a list of alerts; `next` is the cursor of the following one."""

    items: list[AlertItem]
    next: str | None = None


class ChainLink(Shape):
    """A message of the same chain."""

    id: str
    msg_type: str
    state: str
    sent: str
    headline: str


class PlanShape(Shape):
    """Which rule chose which channels."""

    rule: str = ""
    first: list[str] = []
    reserve: list[str] = []
    quieted: list[Any] = []


class AttachmentShape(Shape):
    """A file that came beside the message."""

    name: str
    sha256: str
    size: int


class AuditRow(Shape):
    """Who did what."""

    at: str
    who: str
    what: str
    note: str = ""


class AlertDetail(AlertItem):
    """One alert: CAP as JSON, state, chain."""

    cap: dict[str, Any] = {}
    findings: list[FindingShape] = []
    chain: list[ChainLink] = []
    plan: PlanShape | None = None
    attachments: list[AttachmentShape] = []
    audit: list[AuditRow] = []
    flags: list[str] = []


class People(Shape):
    """People behind the three shares."""

    lo: float
    est: float
    hi: float


class RegionCoverage(Shape):
    """Coverage of one region; the three shares are null where nobody is to be reached."""

    id: str
    name: str
    level: str = ""
    target: float | None = None
    lo: float | None = None
    est: float | None = None
    hi: float | None = None
    people: People | None = None
    answered: float | None = None
    goal_bp: int | None = None
    basis: str = "est"
    status: str = "no_target"
    gap_people: int | None = None
    time_to_goal_s: float | None = None
    leaves_total: int = 0
    leaves_reached: int = 0
    blind_spots: int = 0
    flags: list[str] = []


class Coverage(Shape):
    """Coverage of a region and its children."""

    as_of: str
    known_at: str | None = None
    released_at: str | None = None
    deadline_at: str | None = None
    cutoff: str | None = None
    region: RegionCoverage
    children: list[RegionCoverage] = []


class Curve(Shape):
    """Coverage over seconds since release, at most 400 points."""

    t: list[float]
    lo: list[float]
    est: list[float]
    hi: list[float]
    goal_bp: int | None = None
    deadline_s: float | None = None


class ChannelFigures(Shape):
    """What one channel did for one alert."""

    channel: str
    type: str = ""
    kind: str = ""
    targets: int = 0
    handed: int = 0
    receipts: int = 0
    pending: int = 0
    failed: dict[str, int] = {}
    late: int = 0
    p50_s: float | None = None
    p90_s: float | None = None
    state: str = "ok"
    oldest_pending_s: float | None = None


class Failure(Shape):
    """One reason of failures, over all channels."""

    reason: str
    count: int
    channels: dict[str, int]


class Delivery(Shape):
    """One endpoint; `unit` is its masked address."""

    endpoint: str | int
    unit: str
    channel: str
    region: str = ""
    state: str
    level: str | None = None
    reason: str | None = None
    attempts: int = 0
    times: dict[str, str | None] = {}


class DeliveryPage(Shape):
    """A page of deliveries."""

    items: list[Delivery]
    next: str | None = None


class LogEntry(Shape):
    """Something that happened to an alert."""

    id: int
    at: str
    level: str = "info"
    code: str
    args: dict[str, Any] = {}


class LogPage(Shape):
    """A page of the log, newest first."""

    items: list[LogEntry]
    next: str | None = None


class ChannelState(Shape):
    """A configured channel and how it is."""

    channel: str
    type: str
    kind: str = ""
    proves: str = ""
    abilities: list[str] = []
    state: str = "ok"
    since: str | None = None
    oldest_pending_s: float | None = None
    pending: int = 0
    sink: str | None = None
    online_ratio: float | None = None
    detail: str = ""


class DeadLetter(Shape):
    """A batch that was given up (`endpoints` left of it), or a queue message that nobody could read."""

    id: str
    kind: str
    channel: str
    endpoints: int | None
    attempts: int | None
    reason: str
    at: str | None
    alert: str | None
    headline: str
    replaying: bool


class RegionRow(Shape):
    """A region of the tree."""

    id: str
    name: str
    level: str
    population: int | None = None
    lat: float | None = None
    lon: float | None = None
    children: int = 0


class BlindSpot(Shape):
    """A region with people that no endpoint able to prove delivery covers."""

    id: str
    name: str
    people: int | None = None


class CountyReadiness(Shape):
    """Readiness of one county."""

    id: str
    name: str
    k1: float | None = None
    k2: float | None = None


class Readiness(Shape):
    """Share of people within reach of at least one (k1) or two (k2) healthy channels."""

    k1: float | None = None
    k2: float | None = None
    people: float | None = None
    blind_spots: list[BlindSpot] = []
    counties: list[CountyReadiness] = []
    sample: bool = False


class Whoami(Shape):
    """The caller as the gateway knows it."""

    id: str
    name: str
    source: str
    roles: list[str]
    regions: list[str]
    sandbox: bool
    mode: str
    limits: dict[str, int]


class Ready(Shape):
    """Each part by name."""

    ready: bool
    parts: dict[str, Any]


class Health(Shape):
    """The process lives."""

    status: str
    version: str


class Report(Shape):
    """What is known of an alert, in one document."""

    alert: AlertDetail
    coverage: Coverage | None
    curve: Curve | None
    channels: list[ChannelFigures]
    failures: list[Failure]
