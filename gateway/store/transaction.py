"""One unit of work on the store, by subject: what `ports.store.Transaction` promises, over one connection."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection

from gateway.model.journal import Attempts, Statements
from gateway.store.alerts import SqlAlerts
from gateway.store.chronicle import SqlChronicle
from gateway.store.credentials import SqlCredentials
from gateway.store.directory import SqlDirectory
from gateway.store.dispatches import SqlDispatches
from gateway.store.journal import SqlJournal
from gateway.store.outbox import SqlOutbox
from gateway.store.rosters import SqlRosters
from gateway.store.snapshots import SqlSnapshots


class Pages:
    """Journal blocks that the works of one commit have appended: they become one row."""

    def __init__(self) -> None:
        self._attempts: list[Attempts] = []
        self._statements: list[Statements] = []

    @property
    def empty(self) -> bool:
        """Whether nothing was appended."""
        return not self._attempts and not self._statements

    def append(self, attempts: Attempts | None, statements: Statements | None) -> None:
        """Add blocks; empty ones are left out."""
        if attempts is not None and len(attempts):
            self._attempts.append(attempts)
        if statements is not None and len(statements):
            self._statements.append(statements)

    def mark(self) -> tuple[int, int]:
        """A place to cut back to."""
        return len(self._attempts), len(self._statements)

    def cut(self, mark: tuple[int, int]) -> None:
        """Forget what was appended after `mark`: its work was rolled back."""
        del self._attempts[mark[0] :]
        del self._statements[mark[1] :]

    def blocks(self) -> dict[str, bytes | None]:
        """The two binary columns of the row."""
        return {
            "attempts": np.concatenate(self._attempts).tobytes() if self._attempts else None,
            "statements": np.concatenate(self._statements).tobytes() if self._statements else None,
        }


class SqlTransaction:
    """See `ports.store.Transaction`; `credentials` and `directory` serve the outside world's own rooms."""

    def __init__(self, connection: Connection, pages: Pages, channel_numbers: dict[str, int]) -> None:
        self.connection = connection
        self.alerts = SqlAlerts(connection)
        self.dispatches = SqlDispatches(connection)
        self.rosters = SqlRosters(connection)
        self.outbox = SqlOutbox(connection)
        self.journal = SqlJournal(connection, pages, channel_numbers)
        self.snapshots = SqlSnapshots(connection)
        self.chronicle = SqlChronicle(connection)
        self.credentials = SqlCredentials(connection)
        self.directory = SqlDirectory(connection)
