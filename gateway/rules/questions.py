"""Questions: the scenarios beside coverage that `tongluo coverage evaluate` reads, checked at the border.

Delay, plan, call-out, reports, cancel, display and readiness. Called by `evaluating` only; `scenarios` holds the common parts.
"""

from __future__ import annotations

from fractions import Fraction

from pydantic import Field, model_validator

from gateway.rules.scenarios import Amount, Part, Seconds, Share


class ConditionalScenario(Part):
    """A message pending since `age_now_s`: will it arrive by `age_deadline_s`?"""

    success: Share
    cdf: list[tuple[Seconds, Share]]
    age_now_s: Seconds
    age_deadline_s: Seconds

    @model_validator(mode="after")
    def _rising(self) -> ConditionalScenario:
        shares = [share for _, share in sorted(self.cdf)]
        if shares != sorted(shares):
            raise ValueError("cdf 不得下降 / cdf must not fall")
        return self


class PlacePart(Part):
    """A region as planning sees it."""

    id: str
    target: Amount | None
    projected: Share | None
    goal: Share


class CandidatePart(Part):
    """A further step that could be taken."""

    id: str
    cost: Amount = Fraction(0)
    ready_s: Amount = Fraction(0)
    reach: dict[str, Share] = Field(default_factory=dict)
    allowed: bool = True


class PlanScenario(Part):
    """What could be done before the deadline."""

    deadline_s: Amount | None = None
    budget: Amount | None = None
    min_gain_people: Amount = Fraction(1)
    regions: list[PlacePart]
    candidates: tuple[CandidatePart, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> PlanScenario:
        for parts in (self.regions, self.candidates):
            ids = [part.id for part in parts]
            if len(set(ids)) < len(ids):
                raise ValueError("编号重复 / an id stands twice")
        return self


class AckPart(Part):
    """An officer answered."""

    officer: str
    at: Seconds


class CalloutScenario(Part):
    """Post A, post B, and who answered when."""

    A: str
    B: str | None = None
    called_at: Seconds
    ack_timeout_s: Amount
    acks: tuple[AckPart, ...] = ()
    as_of: Seconds | None = None


class ReportPart(Part):
    """A report that a unit owed."""

    unit: str = ""
    due_at: Seconds
    received_at: Seconds | None = None


class TimelinessScenario(Part):
    """Reports due and received."""

    as_of: Seconds | None = None
    reports: list[ReportPart]


class PersonPart(Part):
    """Whom the alert may have reached, and whether the cancel did."""

    weight: Amount = Fraction(1)
    orig_possible: bool
    cancel_confirmed: bool


class CancelScenario(Part):
    """The people of an alert and of its cancel."""

    people: list[PersonPart]


class DisplayScenario(Part):
    """Shares to be shown; null where there is no number."""

    values: list[Amount | None]


class HealthPart(Part):
    """A channel that could reach a leaf."""

    channel: str
    healthy: bool = False


class ReadyLeafPart(Part):
    """A leaf, and the channels that could reach it."""

    population: Amount | None = None
    channels: tuple[HealthPart, ...] = ()


class ReadinessScenario(Part):
    """Leaves before an alert."""

    k: tuple[int, ...] = (1, 2)
    leaves: list[ReadyLeafPart]
