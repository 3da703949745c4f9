"""What the story asks of a store about what happened: journal, snapshots, audit and events. Part of `gateway.ports.store`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from gateway.model.journal import Attempts, Statements
from gateway.model.time import Instant
from gateway.ports.rows import JournalRow


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
