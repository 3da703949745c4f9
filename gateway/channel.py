"""The channel seam: all that a channel author imports.

A channel type is a callable `(config, context) -> Channel`, registered by one entry-point line in the group
`gateway.channels`; its pydantic model is `type.Config`. One type may be configured many times under many names.

    class Pager:
        class Config(ChannelConfig):
            url: str
        traits = Traits(kind="device", proves=Level.ACCEPTED)
        def __init__(self, config: Config, context: Context) -> None: ...
        async def send(self, batch: Batch) -> Sequence[Receipt]: ...

The gateway renders, budgets, paces, times out, retries, de-duplicates, masks, measures and journals; a channel puts a
batch on its wire and says truthfully what became of each endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import aiohttp
import structlog
from pydantic import BaseModel, ConfigDict, Field

from gateway.errors import ChannelError, Misconfigured, Rejected, Throttled, Unavailable
from gateway.model.dispatch import Audio, Batch, Cause, Endpoint, Message
from gateway.model.receipt import Level, Reason, Receipt
from gateway.model.time import Instant, instant, moment

__all__ = [
    "Audio",
    "Batch",
    "Callback",
    "Cause",
    "Channel",
    "ChannelConfig",
    "ChannelError",
    "Clock",
    "Context",
    "Endpoint",
    "EvidenceConfig",
    "Instant",
    "Level",
    "Message",
    "Misconfigured",
    "Reason",
    "Receipt",
    "Rejected",
    "Reply",
    "Report",
    "Simulator",
    "Throttled",
    "Traits",
    "Unavailable",
    "instant",
    "moment",
]


class Clock(Protocol):
    """Wall clock and due times; tests move it by hand. Socket time-outs and pacing never use it."""

    def now(self) -> Instant:
        """Milliseconds since the epoch, UTC."""
        ...

    async def until(self, at: Instant) -> None:
        """Return once `now() >= at`."""
        ...


class Report(Protocol):
    """What a channel calls with receipts that come later. Returns once they are on disk: answer the far side after it."""

    async def __call__(self, receipts: Sequence[Receipt]) -> None:
        """Journal `receipts` (named by `far_id` or `key`). Raises `Unstorable`: then do not acknowledge."""
        ...


class EvidenceConfig(BaseModel):
    """`evidence:` of a channel: what its receipts prove about people (coverage.md §1.2), with the source of the figures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["addressed", "device", "area", "counted"] = Field(
        "addressed",
        description="Whom one endpoint stands for: a person, the people around a device, an area, a number.",
    )
    count_level: Literal["accepted", "delivered", "read", "ack"] = Field(
        "delivered", description="The receipt level from which people count as reached."
    )
    q_unknown: float = Field(
        0.0, ge=0, le=1, description="Share of unanswered sends that succeed all the same (for the estimate)."
    )
    hear: tuple[float, float, float] = Field(
        (1.0, 1.0, 1.0), description="Share of a device's people who hear it: low, estimate, high."
    )
    hear_night: tuple[float, float, float] | None = Field(None, description="The same by night; empty = as by day.")
    reach: tuple[float, float, float] = Field(
        (0.0, 0.0, 1.0), description="Share of an area's people reached where nothing answers: low, estimate, high."
    )
    failure_domain: str = Field(
        "", description="Channels of one domain fail together: of their unknown outcomes only the best counts."
    )
    source: str = Field("", description="Where the figures come from.")
    date: str = Field("", description="When they were measured.")


class ChannelConfig(BaseModel):
    """Settings common to all channels; a type's own `Config` derives from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str = Field(description="The channel's type: the name of its entry point.")
    sink: str | None = Field(
        None, description="The address where Test, System and canaries go; empty = they go nowhere."
    )
    rate: float | None = Field(None, ge=0, description="Endpoints per second; 0 = unlimited; empty = the type's own.")
    parallel: int | None = Field(None, ge=1, description="Sends in flight; empty = the type's own.")
    timeout: float = Field(
        30.0, gt=0, description="Seconds that one send may take; what it has not reported is unknown."
    )
    attempts: int = Field(5, ge=1, description="Attempts before a batch goes to the dead letters.")
    cost: float = Field(0.0, ge=0, description="Cost of one endpoint, for comparing reinforcements.")
    evidence: EvidenceConfig | None = Field(
        None, description="What its receipts prove about people (docs/coverage.md); empty = the type's own figures."
    )


@dataclass(frozen=True, slots=True)
class Traits:
    """What a channel is.

    kind: addressed (a person behind each address), device (people around it), area, counted.
    proves: the strongest level it can honestly prove; what it reports above that is cut down to it.
    max_batch: endpoints per `send`; max_chars: longest text it takes (0 = any); rate: endpoints per second (0 = any);
    parallel: sends in flight; media: `text` or `audio`; audible: it makes noise, so quiet hours apply;
    format: which templates render for it (`sms`, `wechat`, `broadcast`, `loudspeaker`, `webhook`);
    methods: names of the national dialect's methods it serves; evidence: default figures.
    """

    kind: Literal["addressed", "device", "area", "counted"] = "addressed"
    proves: Level = Level.ACCEPTED
    max_batch: int = 500
    max_chars: int = 0
    rate: float = 0.0
    parallel: int = 4
    media: Literal["text", "audio"] = "text"
    audible: bool = False
    format: str = "webhook"
    methods: tuple[str, ...] = ()
    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)


@dataclass(frozen=True, slots=True)
class Context:
    """What the gateway lends to a channel: its name, a shared HTTP session, `report`, a logger, a clock, secrets' folder.

    `callback_url` is where the far side may reach this channel's `callback` ("" if it has none); `data` a folder of its own.
    """

    name: str
    http: aiohttp.ClientSession
    report: Report
    log: structlog.stdlib.BoundLogger
    clock: Clock
    data: Path
    callback_url: str = ""


@dataclass(frozen=True, slots=True)
class Callback:
    """An HTTP request that came to `/callbacks/<name>`, in plain values."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer to a callback."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Channel(Protocol):
    """A way to reach endpoints.

    Optional abilities, found once at start-up: `async with` (long sessions), `probe() -> None` (raises if the far side is not
    there), `recall(batch, receipts) -> Sequence[Receipt]` (stop or undo what was handed over), `callback(Callback) -> Reply`.
    """

    traits: Traits

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        """Hand the batch over; one receipt per endpoint. An endpoint left out is *unknown* and will be tried again.

        Raises Unavailable or Throttled (the whole batch is tried again), Rejected or Misconfigured (it is not). May be
        cancelled at any await: what was not reported is unknown.
        """
        ...


class Simulator(Protocol):
    """A far side for tests, the demo and `tongluo simulate`: an async context manager that listens on loopback.

    Constructed as `type(port=0, log=None, faults="", **options)`; `settings()` gives the channel settings that reach it;
    `received` is everything it took, as dicts `{at, channel, address, text, key, alert}`.
    """

    received: list[dict[str, Any]]

    async def __aenter__(self) -> Simulator: ...

    async def __aexit__(self, *exc: object) -> None: ...

    def settings(self) -> dict[str, Any]:
        """The channel configuration (without `type`'s defaults) that points at this far side."""
        ...
