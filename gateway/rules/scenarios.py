"""Scenarios: what `tongluo coverage evaluate` reads, checked at the border (docs/coverage.md lists every field).

Numbers may be integers, decimals, strings ("0.6") or fractions ("2/3"); they become exact Fractions. What is wrong is refused with
the place where it stands. Called by `evaluating` only.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError, model_validator
from pydantic_core import ErrorDetails

from gateway.errors import Refused
from gateway.model.alert import Finding, Weight
from gateway.model.coverage import Evidence
from gateway.model.receipt import Level

NUMERAL = re.compile(r"[+-]?(\d{1,20}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,2})?|[+-]?\d{1,30}/\d{1,30}", re.ASCII)
LARGEST = 10**15
MOST_FINDINGS = 20


def rational(value: Any) -> Fraction:
    """The exact value of a number as written: 0.6 is three fifths. Raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("应为数字 / must be a number")
    text = value.strip() if isinstance(value, str) else repr(value) if isinstance(value, float) else ""
    if text and not NUMERAL.fullmatch(text):
        raise ValueError('应为数字，如 3、0.6、"2/3" / must be a number such as 3, 0.6 or "2/3"')
    if isinstance(value, str) and not text:
        raise ValueError("应为数字 / must be a number")
    if re.fullmatch(r".*/0+", text):
        raise ValueError("分母为零 / division by zero")
    number = Fraction(text or int(value))
    if abs(number) > LARGEST:
        raise ValueError("数字过大 / the number is too large")
    return number


def _within(lowest: int, highest: int | None) -> Any:
    def check(value: Any) -> Fraction:
        number = rational(value)
        if number < lowest or (highest is not None and number > highest):
            limit = f"{lowest}..{'' if highest is None else highest}"
            raise ValueError(f"应在 {limit} 之内 / must lie within {limit}")
        return number

    return check


Seconds = Annotated[Fraction, PlainValidator(rational)]
Amount = Annotated[Fraction, PlainValidator(_within(0, None))]
Share = Annotated[Fraction, PlainValidator(_within(0, 1))]
BasisPoints = Annotated[Fraction, PlainValidator(_within(0, 10000))]


class Part(BaseModel):
    """A part of a scenario. Fields it does not know are ignored."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)


class RegionPart(Part):
    """A region of the tree; those without children are the leaves."""

    id: str
    parent: str | None = None
    population: Amount | None = None
    target_share: Share = Fraction(1)
    targeted: bool = True
    goal_bp: BasisPoints | None = None


class ChannelPart(Part):
    """What a channel's receipts prove."""

    kind: Literal["addressed", "device", "area", "counted"]
    count_level: Literal["sent", "accepted", "delivered", "read", "ack"] = "delivered"
    q_unknown: Share = Fraction(0)
    hear_lo: Share = Fraction(1)
    hear_est: Share = Fraction(1)
    hear_hi: Share = Fraction(1)
    reach_lo: Share = Fraction(0)
    reach_est: Share | None = None
    reach_hi: Share = Fraction(1)
    failure_domain: str = ""
    share_res: Share = Fraction(4, 5)
    unique: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> ChannelPart:
        if self.kind == "device" and not self.hear_lo <= self.hear_est <= self.hear_hi:
            raise ValueError("应有 hear_lo <= hear_est <= hear_hi（缺省均为 1） / must be so (each is 1 by default)")
        if self.kind == "area" and not self.reach_lo <= self.reach <= self.reach_hi:
            raise ValueError("应有 reach_lo <= reach_est <= reach_hi / must be so")
        return self

    @property
    def reach(self) -> Fraction:
        """reach_est; what is not said is estimated no higher than what is certain."""
        return self.reach_lo if self.reach_est is None else self.reach_est

    def evidence(self, number: type[float] | type[Fraction]) -> Evidence:
        """The same as the model's `Evidence`, in floats or Fractions."""
        return Evidence(
            kind=self.kind,
            count_level=Level[self.count_level.upper()],
            q=number(self.q_unknown),
            hear_lo=number(self.hear_lo),
            hear_est=number(self.hear_est),
            hear_hi=number(self.hear_hi),
            reach_lo=number(self.reach_lo),
            reach_est=number(self.reach),
            reach_hi=number(self.reach_hi),
            failure_domain=self.failure_domain,
            share_res=number(self.share_res),
            unique=self.unique,
        )


class AddressPart(Part):
    """One address of a recipient."""

    unit: str
    channel: str


class RecipientPart(Part):
    """A person, household or institution; `weight` people."""

    id: str = ""
    region: str
    weight: Amount = Fraction(1)
    addresses: list[AddressPart] = []


class DevicePart(Part):
    """A loudspeaker or screen and the people around it, by leaf."""

    unit: str
    channel: str
    catchment: dict[str, Amount] = {}


class AreaSendPart(Part):
    """One send to a whole region: a leaf, or a region and with it all its leaves."""

    unit: str
    channel: str
    region: str


class EventPart(Part):
    """A receipt. One of the two times may be missing."""

    id: str | None = None
    unit: str
    level: Literal["sent", "accepted", "delivered", "read", "ack", "failed"]
    event_at: Seconds | None = None
    received_at: Seconds | None = None

    @model_validator(mode="after")
    def _dated(self) -> EventPart:
        if self.event_at is None and self.received_at is None:
            raise ValueError("event_at 与 received_at 至少给出一个 / one of event_at and received_at is needed")
        return self


class CountPart(Part):
    """What a counting far side told about one area send."""

    unit: str
    n_sent: Amount
    n_ok: Amount
    event_at: Seconds | None = None
    received_at: Seconds | None = None

    @model_validator(mode="after")
    def _dated(self) -> CountPart:
        if self.event_at is None and self.received_at is None:
            raise ValueError("event_at 与 received_at 至少给出一个 / one of event_at and received_at is needed")
        return self


class CoverageScenario(Part):
    """One alert: its regions, channels, targets and receipts. Times in seconds on any common clock."""

    regions: list[RegionPart]
    channels: dict[str, ChannelPart] = {}
    recipients: list[RecipientPart] = []
    devices: list[DevicePart] = []
    area_sends: list[AreaSendPart] = []
    events: list[EventPart] = []
    counts: list[CountPart] = []
    released_at: Seconds = Fraction(0)
    expires_at: Seconds | None = None
    cancelled_at: Seconds | None = None
    superseded_at: Seconds | None = None
    as_of: Seconds | None = None
    known_at: Seconds | None = None
    default_goal_bp: BasisPoints = Fraction(9000)
    failure_domains: bool = False

    @model_validator(mode="after")
    def _coherent(self) -> CoverageScenario:
        self._check_tree()
        self._check_units()
        return self

    def _check_tree(self) -> None:
        parents = {region.id: region.parent for region in self.regions}
        if len(parents) < len(self.regions):
            raise ValueError("区域编号重复 / a region id stands twice")
        for region, parent in parents.items():
            if parent is not None and parent not in parents:
                raise ValueError(f"区域 {region} 的上级 {parent} 不存在 / region {region} has an unknown parent")
            seen = {region}
            while parent is not None and parent not in seen:
                seen.add(parent)
                parent = parents[parent]
            if parent is not None:
                raise ValueError(f"区域 {region} 的上级成环 / the parents of region {region} run in a circle")
        inner = {parent for parent in parents.values() if parent is not None}
        for device in self.devices:
            if wrong := inner & device.catchment.keys():
                raise ValueError(
                    f"设备 {device.unit} 的覆盖须按末级区域给出，{min(wrong)} 不是 / catchment of a leaf only"
                )

    def _check_units(self) -> None:
        held: list[tuple[str, str, tuple[str, ...]]]
        held = [(a.unit, a.channel, ("addressed",)) for person in self.recipients for a in person.addresses]
        held += [(device.unit, device.channel, ("device",)) for device in self.devices]
        held += [(send.unit, send.channel, ("area", "counted")) for send in self.area_sends]
        seen: set[str] = set()
        for unit, channel, kinds in held:
            if channel not in self.channels:
                raise ValueError(f"单元 {unit} 的渠道 {channel} 未定义 / unit {unit}: unknown channel {channel}")
            if self.channels[channel].kind not in kinds:
                raise ValueError(
                    f"单元 {unit} 与渠道 {channel} 的类型不符 / unit {unit} does not fit the kind of {channel}"
                )
            if unit in seen:
                raise ValueError(f"单元 {unit} 重复 / unit {unit} stands twice")
            seen.add(unit)


AnyPart = TypeVar("AnyPart", bound=Part)


def read(model: type[AnyPart], data: Any, place: str) -> AnyPart:
    """`data` as a scenario; `place` says where it stands in the file. Raises Refused `scenario_invalid`."""
    try:
        return model.model_validate(data)
    except ValidationError as wrong:
        raise invalid(*(_named(place, error) for error in wrong.errors()[:MOST_FINDINGS])) from None


def _named(place: str, error: ErrorDetails) -> tuple[str, str]:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"])
    return f"{place}{''.join(steps)}".lstrip("."), error["msg"].removeprefix("Value error, ")


def invalid(*faults: tuple[str, str]) -> Refused:
    """The refusal of a scenario. faults: (place in the file, what is wrong there), the first one leading."""
    place, what = faults[0]
    where = place or "document"
    zh, _, en = what.partition(" / ")
    return Refused(
        "scenario_invalid",
        422,
        f"情景文件 {where} 处有误：{zh}。未作任何计算，请改正后重试。",
        f"scenario file, {where}: {en or zh}. Nothing was computed; correct it and try again.",
        [Finding("scenario_invalid", Weight.ERROR, at or "document", None, fault) for at, fault in faults],
    )
