"""What the story needs of a durable store: transactions that read as sentences, and one promise.

The promise: when `Store.write` returns, what its work did is on disk; when it raises, nothing of it is. Works of many callers
share one commit (group commit), each in a savepoint of its own. `Transaction` is handed to the work and used nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Protocol, TypeVar

from gateway.model.time import Instant
from gateway.ports.alerts import Alerts
from gateway.ports.ledger import Chronicle, Journal, Snapshots
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
from gateway.ports.shared import Leases, Paces, Processes, Strays
from gateway.ports.work import Dispatches, Outbox, Rosters

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
