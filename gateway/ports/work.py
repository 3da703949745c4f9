"""What the story asks of a store about work: dispatches, rosters, and the outbox. Part of `gateway.ports.store`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from gateway.model.dispatch import Cause, Message, Priority, WorkState
from gateway.model.roster import Roster
from gateway.model.time import Instant
from gateway.ports.rows import BatchRow, Depth, DispatchRow, NewBatch, Ordinals


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
