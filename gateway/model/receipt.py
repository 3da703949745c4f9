"""Receipts: what a channel says about one endpoint. Levels rise only; reasons come from one closed vocabulary.

The integer values stand in the journal for ever: append to the enums, never renumber.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from gateway.model.time import Instant


class Level(IntEnum):
    """How far a delivery is proven. `FAILED` stands beside the ladder; `delivered` and up beat it in either order."""

    FAILED = 0
    SENT = 1
    ACCEPTED = 2
    DELIVERED = 3
    READ = 4
    ACK = 5

    @property
    def label(self) -> str:
        """`failed`, `sent`, `accepted`, `delivered`, `read`, `ack`."""
        return self.name.lower()


class Reason(IntEnum):
    """Why an endpoint has not been reached: retry policy and metric label at once."""

    NONE = 0
    INVALID_ADDRESS = 1
    UNREACHABLE = 2
    BLOCKED = 3
    EXPIRED = 4
    TIMEOUT = 5
    THROTTLED = 6
    UNAVAILABLE = 7
    REJECTED = 8
    MISCONFIGURED = 9
    TOO_LONG = 10
    NOT_SUBSCRIBED = 11
    OFFLINE = 12
    PLAYBACK_FAILED = 13
    SIGNATURE = 14
    WITHDRAWN = 15
    UNKNOWN = 16
    ERROR = 17
    QUOTA = 18

    @property
    def label(self) -> str:
        """The word used in metrics, API and configuration."""
        return self.name.lower()


TEMPORARY = frozenset({Reason.TIMEOUT, Reason.THROTTLED, Reason.UNAVAILABLE, Reason.UNKNOWN, Reason.ERROR})
"""A failed receipt of `send` with one of these reasons is tried again; any other failure is final."""


class Receipt(NamedTuple):
    """One statement about one endpoint.

    Name the endpoint in the way you know it: `endpoint` (its ordinal in the batch's roster, in the answers of `send`),
    `far_id` (the far side's id, normalised by the channel) or `key` (ours, where the far side echoes it).
    `send` gives `endpoint`, and `far_id` if later receipts will come by it. `event_at`: when the far side says it happened.
    """

    level: Level
    endpoint: int = -1
    far_id: str = ""
    key: str = ""
    reason: Reason = Reason.NONE
    event_at: Instant | None = None
