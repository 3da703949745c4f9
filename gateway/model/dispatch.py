"""Dispatch, batch and slice: the decision to send, what travels on the queue, and what one `send` gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

from gateway.model.time import Instant


class Priority(IntEnum):
    """The class of a batch, highest first; one queue for each. A Cancel's own sends go before everything."""

    CANCEL = 0
    RED = 1
    ORANGE = 2
    YELLOW = 3
    BLUE = 4
    TEST = 5

    @property
    def label(self) -> str:
        """`cancel`, `red`, `orange`, `yellow`, `blue`, `test`."""
        return self.name.lower()


class Cause(StrEnum):
    """Why a dispatch exists."""

    RELEASE = "release"
    LIFTED = "lifted"
    WITHDRAWN = "withdrawn"
    REPEAT = "repeat"
    REINFORCEMENT = "reinforcement"
    CANARY = "canary"


class WorkState(StrEnum):
    """Where an endpoint's (or a whole batch's) work stands."""

    PENDING = "pending"
    SENDING = "sending"
    UNKNOWN = "unknown"
    DONE = "done"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    DEAD = "dead"


class Endpoint(NamedTuple):
    """One address on one channel. `ordinal` is its place in the roster; `region` the division code it stands in."""

    ordinal: int
    address: str
    region: str = ""


@dataclass(frozen=True, slots=True)
class Audio:
    """Speech made once per text: where it lies (`path` here, `url` for devices), its SHA-256 and its length."""

    path: str
    url: str
    sha256: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Message:
    """The rendered words of one variant (channel and language): everything a channel may put on the wire.

    `text` is the main body; `fields` are the named parts that structured channels need (WeChat data, EBM fields).
    `audible` is False for a lifted notice by night: silent channels only get such batches, devices must not play.
    """

    language: str
    text: str
    title: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    audio: Audio | None = None

    def field(self, name: str, default: str = "") -> str:
        """The named part, or `default`."""
        return next((value for key, value in self.fields if key == name), default)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one `send` gets: endpoints of one dispatch, channel and text.

    `alert` and `identifier` name the alert (ours and the sender's); `cause` tells a warning from its withdrawal;
    `grade` is `red` ... `unknown`; `event_code` the national five-character code or ""; `status` CAP's status;
    `attempt` counts from 1. Nothing may be sent after `expires_at`; `supersedes` is our id of
    the alert that this one replaces or ends.
    """

    alert: str
    identifier: str
    dispatch: str
    channel: str
    cause: Cause
    message: Message
    endpoints: Sequence[Endpoint]
    expires_at: Instant
    grade: str = "unknown"
    event: str = ""
    event_code: str = ""
    status: str = "Actual"
    sent_at: Instant = 0
    sender: str = ""
    attempt: int = 1
    supersedes: str = ""

    def key(self, endpoint: Endpoint) -> str:
        """`dispatch.channel.endpoint`: the idempotency key, the same on every retry, new for each dispatch."""
        return f"{self.dispatch}.{self.channel}.{endpoint.ordinal}"


Config = dict[str, Any]
