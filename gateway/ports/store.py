"""What the story needs of a durable store: transactions that read as sentences, and one promise.

The promise: when `Store.write` returns, what its work did is on disk; when it raises, nothing of it is. Works of many callers
share one commit (group commit), each in a savepoint of its own. `Transaction` is handed to the work and used nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from gateway.model.alert import AlertState
from gateway.model.dispatch import Cause, Message, Priority, WorkState
from gateway.model.journal import Attempts, Statements
from gateway.model.roster import Roster
from gateway.model.time import Instant

T = TypeVar("T")
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
    `attempts` made so far; `doubtful` = some of those remaining may have been handed over all the same."""

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

    @property
    def whole(self) -> Ordinals:
        """All ordinals that the batch was made for."""
        return np.arange(self.first, self.first + self.count, dtype=np.int32) if self.only is None else self.only

    @property
    def ordinals(self) -> Ordinals:
        """The ordinals still to be sent."""
        return self.whole if self.remaining is None else self.remaining

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


class Alerts(Protocol):
    """Alerts, their references and their ends."""

    def insert(
        self, row: AlertRow, references: Sequence[tuple[str, str, Instant | None]], regions: Mapping[str, bool]
    ) -> int:
        """Keep a new alert; returns its number. `regions`: codes it targets whole (True), and those that hold them (False)."""
        ...

    def by_identity(self, sender: str, identifier: str, sent: Instant) -> AlertRow | None: ...
    def by_id(self, id: str) -> AlertRow | None: ...
    def by_number(self, n: int) -> AlertRow | None: ...
    def named(self, identifiers: Iterable[str]) -> list[AlertRow]:
        """Alerts with one of these identifiers, whoever sent them."""
        ...

    def references(self, alert: int) -> list[ReferenceRow]: ...
    def referring(self, identifier: str) -> list[ReferenceRow]:
        """References that stored alerts make to this identifier."""
        ...

    def set_state(
        self,
        n: int,
        state: AlertState,
        *,
        why: str = "",
        released_at: Instant | None = None,
        ended_at: Instant | None = None,
        ended_by: int = 0,
    ) -> None: ...
    def ended_by(self, n: int) -> list[AlertRow]:
        """The alerts that alert `n` superseded or cancelled."""
        ...

    def overdue(self, now: Instant) -> list[AlertRow]:
        """Released alerts whose time is over."""
        ...

    def page(self, filters: Mapping[str, Any], before: int | None, limit: int) -> list[AlertRow]:
        """Alerts newest first, below number `before`. Filters: states, identifier, sender, sent, since,
        region (a code) with holders (the codes of the regions that hold it)."""
        ...

    def attachments(self, n: int) -> list[dict[str, Any]]:
        """`{name, sha256, size}` of the files that came with an alert."""
        ...

    def set_plan(self, n: int, plan: Mapping[str, Any]) -> None: ...
    def set_kind(self, n: int, kind: str) -> None: ...
    def add_findings(self, n: int, findings: Sequence[Mapping[str, Any]]) -> None:
        """Note what became known about an alert after it was accepted, such as a missing translation."""
        ...

    def attach(self, n: int, name: str, content: bytes) -> None: ...
    def released(self) -> list[AlertRow]:
        """Alerts in state released."""
        ...


class Dispatches(Protocol):
    """Dispatches, their frozen rosters and their rendered words."""

    def open(
        self,
        alert: int,
        roster: int,
        cause: Cause,
        priority: Priority,
        due_at: Instant,
        expires_at: Instant,
        targets: Mapping[str, Any],
    ) -> int: ...
    def claim(self, owner: str, now: Instant, lease: int) -> DispatchRow | None:
        """The most urgent dispatch that has batches to plan, is due, and in nobody else's hands; leased to `owner` for `lease`."""
        ...

    def get(self, n: int) -> DispatchRow: ...
    def number(self, id: str) -> int | None:
        """The number of a dispatch by its public id."""
        ...

    def of_alert(self, alert: int) -> list[DispatchRow]: ...
    def withdraw(self, alert: int, at: Instant) -> list[int]:
        """Mark every dispatch of the alert withdrawn: no further slice of it starts. Returns their numbers."""
        ...

    def recall(self, numbers: Sequence[int]) -> None:
        """Mark those of these dispatches that warned: what they have handed over is to be called back."""
        ...

    def to_recall(self) -> list[DispatchRow]:
        """Dispatches that are marked so, the gravest first."""
        ...

    def recalled(self, n: int) -> None: ...
    def planned(self, n: int, planned_to: int, done: bool) -> None: ...
    def put_message(self, n: int, channel: str, variant: int, message: Message, flags: Sequence[str]) -> None: ...
    def message(self, n: int, channel: str, variant: int) -> Message: ...
    def messages(self, n: int) -> list[tuple[str, int, Message, list[str]]]:
        """(channel, variant, words, flags) of a dispatch."""
        ...

    def flags(self, n: int) -> list[str]: ...
    def postpone(self, n: int, until: Instant) -> None:
        """Make a dispatch due only then: something is wrong with it, and others shall not wait."""
        ...

    def next_due(self) -> Instant | None:
        """When the next open dispatch is due."""
        ...


class Rosters(Protocol):
    """Frozen targets. A roster is written once; only its addresses may be emptied later."""

    def clear_parts(self, alert: int) -> None:
        """Forget parts of a roster that was never frozen."""
        ...

    def put_part(self, alert: int, first: int, addresses: Sequence[str], names: Sequence[str]) -> None: ...
    def freeze(self, alert: int, roster: Roster, header: Mapping[str, Any], at: Instant) -> None: ...
    def get(self, alert: int) -> tuple[Roster, dict[str, Any]] | None: ...
    def addresses(self, alert: int, first: int, count: int) -> list[str]: ...
    def names(self, alert: int, first: int, count: int) -> list[str]:
        """The store's numbers of these endpoints, as texts."""
        ...

    def endpoints_of(self, names: Sequence[str]) -> dict[str, str]:
        """The directory's ids of endpoints, by the names that `names` gives."""
        ...


class Outbox(Protocol):
    """Batches on their way. A batch is taken under a lease, then closed, or put back with a time not to be tried before."""

    def add(self, dispatch: int, batches: Sequence[NewBatch], now: Instant) -> None: ...
    def due(self, channel: str, now: Instant, limit: int) -> list[BatchRow]:
        """Up to `limit` batches that are due and under no lease, most urgent first (class, expiry, age)."""
        ...

    def claim(self, channel: str, owner: str, now: Instant, lease: int, limit: int) -> list[BatchRow]:
        """Up to `limit` batches that are due, most urgent first (class, expiry, age), leased until `now + lease`."""
        ...

    def get(self, n: int) -> BatchRow: ...
    def started(self, n: int, attempts: int) -> None:
        """Note that attempt number `attempts` of a batch has begun: until it is put back or closed, its outcome is unknown."""
        ...

    def advance(self, n: int, remaining: Ordinals) -> None:
        """Note what is still to be sent after a slice."""
        ...

    def expire(self, now: Instant) -> int:
        """Close waiting batches whose time is over; returns how many."""
        ...

    def any_overdue(self, now: Instant) -> bool:
        """Whether `expire` would close something."""
        ...

    def withdraw(self, dispatches: Sequence[int]) -> int:
        """Close the waiting batches of these dispatches as withdrawn; returns how many."""
        ...

    def close(
        self, n: int, state: WorkState, reason: str = "", remaining: Ordinals | None = None, doubtful: bool = False
    ) -> None: ...
    def put_back(
        self, n: int, not_before: Instant, attempts: int, remaining: Ordinals, reason: str, doubtful: bool = False
    ) -> None: ...
    def unclaim(self, numbers: Sequence[int]) -> None:
        """Give batches back that were taken and not begun."""
        ...

    def release(self, owner: str | None = None) -> int:
        """Give up the leases of `owner` (None = everybody's, at the start of a store that has one process)."""
        ...

    def next_due(self, channel: str, now: Instant) -> Instant | None:
        """When, after `now`, the next waiting batch of `channel` may be tried."""
        ...

    def depths(self) -> list[Depth]: ...
    def dead(self, limit: int) -> list[BatchRow]: ...
    def dead_counts(self) -> dict[str, int]:
        """Dead batches by channel."""
        ...

    def revive(self, n: int, now: Instant) -> bool:
        """Put a dead batch back to work."""
        ...

    def of_dispatch(self, dispatch: int) -> list[BatchRow]: ...
    def planned(self, alert: int) -> list[Ordinals]:
        """The ordinals of the alert's own roster that stand in batches of its own dispatches."""
        ...

    def newer(self, n: int, limit: int) -> list[tuple[int, int, Ordinals]]:
        """(batch, alert, ordinals) of batches after number `n` that count for the coverage of their alert (0 = for none)."""
        ...

    def newest(self) -> int:
        """The number of the newest batch."""
        ...

    def touched(self, roster: int) -> list[Ordinals]:
        """The ordinals of a roster that may have been handed over: sent, or in flight."""
        ...


class Journal(Protocol):
    """The ledger. Append-only."""

    def append(self, attempts: Attempts | None = None, statements: Statements | None = None) -> None: ...
    def after(self, seq: int, limit: int) -> list[JournalRow]: ...
    def since(self, at: Instant) -> int:
        """The number of the last row written before `at`."""
        ...

    def channel_number(self, name: str) -> int:
        """The number that stands for a channel's name in records; given on first use, never changed."""
        ...

    def channel_names(self) -> dict[int, str]:
        """The channels' names by their numbers."""
        ...


class Snapshots(Protocol):
    """Folds of the journal, kept so that a restart need not begin at the first row. May be thrown away at any time.

    Under an alert's number stands its book, under 0 the index of far ids.
    """

    def put(self, alert: int, seq: int, at: Instant, fold: bytes) -> None: ...
    def get(self, alert: int) -> tuple[int, bytes] | None:
        """(row of the journal it stands at, fold)."""
        ...

    def drop(self, alert: int) -> None: ...


class Chronicle(Protocol):
    """Who did what (audit), and what pages are told (events)."""

    def audit(self, who: str, what: str, at: Instant, alert: int = 0, note: str = "") -> None: ...
    def tell(self, name: str, payload: Mapping[str, Any], at: Instant, alert: int = 0) -> int: ...
    def newest(self, alert: int, before: int | None, limit: int) -> list[tuple[int, Instant, str, dict[str, Any]]]:
        """(id, at, name, payload) of the last events of an alert, newest first: the log that people read."""
        ...

    def audited(self, alert: int) -> list[dict[str, Any]]:
        """`{at, who, what, note}` of an alert, oldest first."""
        ...

    def imports(self) -> list[Instant]:
        """When each directory file was imported."""
        ...

    def last_event(self) -> int:
        """The number of the newest event."""
        ...

    def told(self, alert: int, after: int, limit: int) -> list[tuple[int, int, Instant, str, dict[str, Any]]]:
        """(id, alert, at, name, payload) of the events of `alert` (0 = of all) after row `after`, oldest first."""
        ...


class Transaction(Protocol):
    """One unit of work on the store, by subject."""

    @property
    def alerts(self) -> Alerts: ...
    @property
    def dispatches(self) -> Dispatches: ...
    @property
    def rosters(self) -> Rosters: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def snapshots(self) -> Snapshots: ...
    @property
    def chronicle(self) -> Chronicle: ...


class Store(Protocol):
    """A durable store with one writer and many readers."""

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` and commit; returns after the commit is on disk. Raises what `work` raised, or `Unstorable`."""
        ...

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on a consistent view; what it writes is refused."""
        ...
