"""What the story needs of a durable store: transactions that read as sentences, and one promise.

The promise: when `Store.write` returns, what its work did is on disk; when it raises, nothing of it is. Works of many callers
share one commit (group commit), each in a savepoint of its own. `Transaction` is handed to the work and used nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Protocol, TypeVar

from gateway.model.alert import AlertState
from gateway.model.dispatch import Cause, Message, Priority, WorkState
from gateway.model.journal import Attempts, Statements
from gateway.model.roster import Roster
from gateway.model.time import Instant
from gateway.ports.rows import (
    AlertRow,
    BatchRow,
    Depth,
    DispatchRow,
    JournalRow,
    NewBatch,
    Ordinals,
    ProcessRow,
    ReferenceRow,
    StrayRow,
)

__all__ = [
    "AlertRow",
    "Alerts",
    "BatchRow",
    "Chronicle",
    "Depth",
    "DispatchRow",
    "Dispatches",
    "Journal",
    "JournalRow",
    "Leases",
    "NewBatch",
    "Ordinals",
    "Outbox",
    "Paces",
    "ProcessRow",
    "Processes",
    "ReferenceRow",
    "Rosters",
    "Snapshots",
    "Store",
    "StrayRow",
    "Strays",
    "Transaction",
    "Turn",
]

T = TypeVar("T")


class Turn(IntEnum):
    """What only one transaction of all processes may do at a time. One turn follows the other in this order.

    LINEAGE: alerts come into force and end, so that a Cancel and the warning it ends never miss each other. REFERENCE: regions,
    areas and directory are imported.
    """

    LINEAGE = 1
    REFERENCE = 2


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
        """Alerts newest first, below number `before`; canaries are left out. Filters: states, identifier, sender, sent, since,
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
    def forget(self, via: str, before: Instant) -> int:
        """Strike out alerts that came in by `via` before then, with everything that was made of them but the journal; how many."""
        ...

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
    def claim(self, owner: str, now: Instant, lease: int, besides: Collection[int] = ()) -> DispatchRow | None:
        """The most urgent dispatch that has batches to plan, is due, in nobody else's hands, and not among `besides`; leased to
        `owner` for `lease`."""
        ...

    def get(self, n: int, *, hold: bool = False) -> DispatchRow:
        """One dispatch. `hold`: nobody changes it before this transaction ends."""
        ...

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

    def any_recall(self, now: Instant, besides: Collection[int]) -> bool:
        """Whether `claim_recall` would give one that is not among `besides`."""
        ...

    def claim_recall(self, owner: str, now: Instant, lease: int) -> DispatchRow | None:
        """The gravest dispatch that is marked so and in nobody's hands; leased to `owner` for `lease`."""
        ...

    def recalled(self, n: int) -> None: ...
    def renew(self, owner: str, numbers: Sequence[int], until: Instant) -> None:
        """Keep the leases that `owner` holds on these dispatches."""
        ...

    def release(self, owner: str | None = None) -> None:
        """Give up the leases of `owner` (None = everybody's, at the start of a store that has one process)."""
        ...

    def holds(self, n: int, owner: str) -> bool:
        """Whether a dispatch is leased to `owner`; nobody changes it before this transaction ends."""
        ...

    def set_stragglers(self, n: int, stragglers: Mapping[str, Sequence[Sequence[int]]]) -> None:
        """Keep with a dispatch the endpoints of whom it is not known yet whether they were warned (`flow.stragglers`)."""
        ...

    def planned(self, n: int, planned_to: int, done: bool) -> None:
        """Note how many batches of a dispatch exist, and whether these are all."""
        ...

    def put_message(self, n: int, channel: str, variant: int, message: Message, flags: Sequence[str]) -> None: ...
    def message(self, n: int, channel: str, variant: int) -> Message: ...
    def messages(self, n: int) -> list[tuple[str, int, Message, list[str]]]:
        """(channel, variant, words, flags) of a dispatch."""
        ...

    def flags(self, n: int) -> list[str]: ...
    def postpone(self, n: int, until: Instant) -> None:
        """Make a dispatch due only then: something is wrong with it, and others shall not wait."""
        ...

    def next_due(self, owner: str, besides: Collection[int] = ()) -> Instant | None:
        """When `owner` may plan the next open dispatch that is not among `besides`: it is due, or another's lease ends."""
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
    """Batches on their way: the truth that the queue only carries. A batch that is being sent is leased to one process; what a
    process does to a batch whose lease it has lost changes nothing."""

    def add(self, dispatch: int, batches: Sequence[NewBatch], now: Instant) -> None: ...
    def due(self, channel: str, owner: str, now: Instant, limit: int) -> list[BatchRow]:
        """Up to `limit` batches that are due and in nobody else's hands, most urgent first (class, expiry, age)."""
        ...

    def get(self, n: int) -> BatchRow: ...
    def find(self, n: int) -> BatchRow | None:
        """The batch of that number, if there is one."""
        ...

    def begin(self, n: int, owner: str, attempts: int, now: Instant, lease: int) -> bool:
        """Attempt number `attempts` of a waiting batch begins, leased to `owner` until `now + lease`: until it is put back or
        closed, its outcome is unknown. False = it is over, in somebody else's hands, or somebody has tried it so often already."""
        ...

    def renew(self, owner: str, numbers: Sequence[int], until: Instant) -> None:
        """Keep the leases that `owner` holds on these batches."""
        ...

    def advance(self, n: int, owner: str, remaining: Ordinals) -> bool:
        """Note what is still to be sent after a slice. False = the lease is lost, and nothing was noted."""
        ...

    def close(
        self,
        n: int,
        owner: str,
        state: WorkState,
        reason: str = "",
        remaining: Ordinals | None = None,
        doubtful: bool = False,
    ) -> bool:
        """End the work on a batch. False = somebody else has it, and nothing was changed."""
        ...

    def put_back(
        self,
        n: int,
        owner: str,
        not_before: Instant,
        attempts: int,
        remaining: Ordinals,
        reason: str,
        doubtful: bool = False,
    ) -> bool:
        """Leave a batch for later. False = somebody else has it, and nothing was changed."""
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

    def release(self, owner: str | None = None) -> int:
        """Give up the leases of `owner` (None = everybody's, at the start of a store that has one process)."""
        ...

    def next_due(self, channel: str, now: Instant) -> Instant | None:
        """When, after `now`, the next waiting batch of `channel` may be tried."""
        ...

    def unpublished(self, now: Instant, limit: int) -> list[BatchRow]:
        """Up to `limit` due batches that no queue carries yet, most urgent first; marked as published with this transaction."""
        ...

    def unpublish(self, numbers: Sequence[int]) -> None:
        """These did not reach the queue, or it lost them: they are to be published again."""
        ...

    def unclaimed(self, channel: str, priority: Priority, published_before: Instant, now: Instant) -> list[int]:
        """Numbers of due batches that were published before then and that no process has begun."""
        ...

    def reclaim(self, now: Instant) -> int:
        """Free batches whose process let its lease run out: they are to be published again. Returns how many."""
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

    def touched(self, roster: int) -> list[BatchRow]:
        """The batches of warnings over a roster of which anything may have been handed over: sent, or in flight."""
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
    def tell(self, name: str, payload: Mapping[str, Any], at: Instant, alert: int = 0) -> None: ...
    def newest(self, alert: int, before: int | None, limit: int) -> list[tuple[int, Instant, str, dict[str, Any]]]:
        """(id, at, name, payload) of the last events of an alert, newest first: the log that people read."""
        ...

    def audited(self, alert: int) -> list[dict[str, Any]]:
        """`{at, who, what, note}` of an alert, oldest first."""
        ...

    def imports(self) -> list[Instant]:
        """When each directory file was imported."""
        ...

    def last_done(self, what: str) -> Instant | None:
        """When `what` was last noted in the audit."""
        ...

    def last_event(self) -> int:
        """The number of the newest event."""
        ...

    def told(self, alert: int, after: int, limit: int) -> list[tuple[int, int, Instant, str, dict[str, Any]]]:
        """(id, alert, at, name, payload) of the events of `alert` (0 = of all) after row `after`, oldest first."""
        ...


class Leases(Protocol):
    """Offices that one process of all holds at a time, with a fencing token that rises at every change of hands."""

    def take(self, office: str, owner: str, now: Instant, until: Instant) -> int | None:
        """Take the office if it is free, or keep it; its token, or None if somebody else holds it."""
        ...

    def holds(self, office: str, owner: str, token: int) -> bool:
        """Whether it is still in these hands; nobody can take it before this transaction ends."""
        ...

    def give_up(self, office: str, owner: str) -> None: ...


class Processes(Protocol):
    """The processes of this deployment, as they tell of themselves every few seconds."""

    def tell(self, row: ProcessRow) -> None: ...
    def since(self, at: Instant) -> list[ProcessRow]:
        """Those that have told since then."""
        ...

    def forget(self, owner: str = "", before: Instant = 0) -> None:
        """Strike out one that ends, or all that have been silent since `before`."""
        ...


class Paces(Protocol):
    """The pace of a channel, kept by all its workers together."""

    def reserve(self, channel: str, now_us: int, cost_us: int) -> int:
        """Take the channel's next free stretch of `cost_us` microseconds; returns when it begins (now or later)."""
        ...


class Strays(Protocol):
    """Queue messages that nobody could read, kept for people to look at."""

    def keep(self, route: str, reason: str, body: bytes, at: Instant) -> int: ...
    def page(self, limit: int) -> list[StrayRow]:
        """Newest first."""
        ...

    def counts(self) -> dict[str, int]:
        """How many, by the channel that their route names."""
        ...

    def get(self, n: int) -> StrayRow | None: ...
    def ask_replay(self, n: int) -> bool:
        """Let it be published again as it was. False = there is no such message."""
        ...

    def to_replay(self, limit: int) -> list[StrayRow]: ...
    def drop(self, n: int) -> None: ...


class Transaction(Protocol):
    """One unit of work on the store, by subject."""

    def time(self) -> tuple[Instant, Instant]:
        """The time by the store's clock, and this machine's uptime at that moment (both in milliseconds)."""
        ...

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
    @property
    def leases(self) -> Leases: ...
    @property
    def processes(self) -> Processes: ...
    @property
    def paces(self) -> Paces: ...
    @property
    def strays(self) -> Strays: ...


class Store(Protocol):
    """A durable store that many processes may share; each has one writer and many readers."""

    async def write(self, work: Callable[[Transaction], T], *, turn: Turn | None = None) -> T:
        """Run `work` and commit; returns after the commit is on disk. Raises what `work` raised, or `Unstorable`.

        `turn`: what of it no other process may be doing at the same time. A work that loses a race with another process is run
        again, so it must do nothing beside what it does to the store.
        """
        ...

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on a consistent view; what it writes is refused."""
        ...
