"""The journal: append-only rows of packed records, one row per commit."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection, func, insert, select

from gateway.model.journal import ATTEMPT, STATEMENT, Attempts, Statements
from gateway.model.time import Instant
from gateway.ports.store import JournalRow
from gateway.store.pages import Pages
from gateway.store.statements import insert_numbered
from gateway.store.tables import channel_number, journal


class SqlJournal:
    """See `ports.store.Journal`. What is appended goes into the commit's one row."""

    def __init__(self, connection: Connection, pages: Pages, channel_numbers: dict[str, int]) -> None:
        self._connection = connection
        self._pages = pages
        self._channel_numbers = channel_numbers

    def append(self, attempts: Attempts | None = None, statements: Statements | None = None) -> None:
        self._pages.append(attempts, statements)

    def after(self, seq: int, limit: int) -> list[JournalRow]:
        query = select(journal).where(journal.c.seq > seq).order_by(journal.c.seq).limit(limit)
        return [
            JournalRow(
                row.seq,
                row.at,
                np.frombuffer(row.attempts or b"", ATTEMPT),
                np.frombuffer(row.statements or b"", STATEMENT),
            )
            for row in self._connection.execute(query)
        ]

    def since(self, at: Instant) -> int:
        return self._connection.execute(select(func.max(journal.c.seq)).where(journal.c.at < at)).scalar() or 0

    def channel_names(self) -> dict[int, str]:
        return {row.n: row.name for row in self._connection.execute(select(channel_number))}

    def channel_number(self, name: str) -> int:
        if name not in self._channel_numbers:
            known = self._connection.execute(select(channel_number.c.n).where(channel_number.c.name == name)).scalar()
            if known is None:
                known = insert_numbered(self._connection, insert(channel_number).values(name=name))
            self._channel_numbers[name] = known
        return self._channel_numbers[name]
