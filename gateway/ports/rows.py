"""The rows that cross the store's port: what transactions take and give. Read together with `gateway.ports.store`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.model.alert import AlertState
from gateway.model.dispatch import Cause, Priority, WorkState
from gateway.model.journal import Attempts, Statements
from gateway.model.time import Instant

Ordinals = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert as the store keeps it. `n` is our number (0 = not stored yet), `id` its public name; `scope` the codes of the
    regions it names; `plan` what was decided for it; `raw` the bytes received; `ended_by` the number of the alert that ended it."""

    id: str
    sender: str
    identifier: str
    sent: Instant
    status: str
    msg_type: str
    dialect: str
    source: str
    grade: int
    event: str
    event_code: str
    headline: str
    state: AlertState
    fingerprint: str
    sha256: str
    raw: bytes
    received_at: Instant
    expires_at: Instant
    accepted_by: str
    via: str
    why: str = ""
    kind: str = ""
    findings: Sequence[Mapping[str, Any]] = ()
    scope: Sequence[str] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)
    released_at: Instant | None = None
    ended_at: Instant | None = None
    ended_by: int = 0
    n: int = 0


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """A reference some stored alert makes. `by` is that alert's number."""

    by: int
    sender: str
    identifier: str
    sent: Instant | None


@dataclass(frozen=True, slots=True)
class DispatchRow:
    """A decision to send. `roster` = number of the alert whose roster its ordinals belong to; `targets` = what is to be planned
    (channels, and which part of the roster); `planned_to` = how many batches of it exist already."""

    n: int
    id: str
    alert: int
    roster: int
    cause: Cause
    round: int
    priority: Priority
    due_at: Instant
    expires_at: Instant
    targets: Mapping[str, Any]
    planned_to: int
    state: str
    withdrawn_at: Instant | None


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch about to be written to the outbox: `count` endpoints of the roster from ordinal `first`, less those not in `only`."""

    channel: str
    variant: int
    priority: Priority
    first: int
    count: int
    expires_at: Instant
    only: Ordinals | None = None


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch in the outbox. `only` = the ordinals it was made for, `remaining` = those still to be sent, None = the whole range;
    `attempts` made so far; `doubtful` = some of those remaining may have been handed over all the same; `lease_until` = how long
    the process that sends it has it for itself."""

    n: int
    dispatch: int
    channel: str
    variant: int
    priority: Priority
    first: int
    count: int
    expires_at: Instant
    state: WorkState
    not_before: Instant
    attempts: int
    remaining: Ordinals | None
    reason: str = ""
    only: Ordinals | None = None
    doubtful: bool = False
    lease_until: Instant = 0

    @property
    def whole(self) -> Ordinals:
        """All ordinals that the batch was made for."""
        return np.arange(self.first, self.first + self.count, dtype=np.int32) if self.only is None else self.only

    @property
    def ordinals(self) -> Ordinals:
        """The ordinals still to be sent."""
        return self.whole if self.remaining is None else self.remaining

    def in_flight(self, now: Instant) -> bool:
        """Whether a living process is sending it: what it handed over is not known yet."""
        return self.state is WorkState.SENDING and self.lease_until > now

    def doubt(self, now: Instant) -> Ordinals:
        """The ordinals of whom it is not known yet whether they are handed over: those of a send under way."""
        return self.ordinals if self.in_flight(now) else np.empty(0, np.int32)

    @property
    def handed(self) -> Ordinals:
        """The ordinals that may have been handed over: all but those still held, and all of them while that is in doubt."""
        if self.state is WorkState.SENDING or self.doubtful:
            return self.whole
        return np.setdiff1d(self.whole, self.ordinals).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits in the outbox of one channel: batches and endpoints, and since when the oldest of them waits."""

    channel: str
    batches: int
    endpoints: int
    oldest: Instant | None


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One row of the journal, decoded."""

    seq: int
    at: Instant
    attempts: Attempts
    statements: Statements


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """A process of this deployment as it last told of itself. `channels`: by name `{up, fault, last_progress, online}` of those
    that it serves."""

    owner: str
    roles: Sequence[str]
    url: str
    at: Instant
    channels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StrayRow:
    """A queue message that nobody could read: its bytes, and why."""

    n: int
    at: Instant
    route: str
    reason: str
    body: bytes
    replay: bool = False
