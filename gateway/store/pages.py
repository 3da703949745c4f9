"""Pages: what the works of one commit append to the journal and tell as events, gathered and written at its end. Others read both
on from their last row, so they must appear in the order of their numbers: the engine holds a lock while they are written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection, insert

from gateway.model.journal import Attempts, Statements
from gateway.model.time import Instant
from gateway.store.tables import event, journal


@dataclass(slots=True)
class Pages:
    """Journal blocks that become one row, and events that become a row each."""

    attempts: list[Attempts] = field(default_factory=list)
    statements: list[Statements] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.attempts or self.statements or self.events)

    def append(self, attempts: Attempts | None, statements: Statements | None) -> None:
        """Add blocks; empty ones are left out."""
        if attempts is not None and len(attempts):
            self.attempts.append(attempts)
        if statements is not None and len(statements):
            self.statements.append(statements)

    def mark(self) -> tuple[int, int, int]:
        """A place to cut back to."""
        return len(self.attempts), len(self.statements), len(self.events)

    def cut(self, mark: tuple[int, int, int]) -> None:
        """Forget what was added after `mark`: its work was rolled back."""
        for column, length in zip((self.attempts, self.statements, self.events), mark, strict=True):
            del column[length:]  # type: ignore[attr-defined]

    def write(self, connection: Connection, now: Instant) -> None:
        """Put everything on the connection."""
        if self.attempts or self.statements:
            connection.execute(insert(journal).values(at=now, **self._blocks()))
        if self.events:
            connection.execute(insert(event), self.events)

    def _blocks(self) -> dict[str, bytes | None]:
        return {
            "attempts": np.concatenate(self.attempts).tobytes() if self.attempts else None,
            "statements": np.concatenate(self.statements).tobytes() if self.statements else None,
        }
