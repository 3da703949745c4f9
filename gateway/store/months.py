"""The journal by month on PostgreSQL: each month is a table of its own, so that a month may be kept, moved or dropped as a whole.

`gateway.store.schema` makes the months at every `migrate`, the watch leader once an hour. Months of UTC; rows of any other time go
to the default partition `journal_other`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, MetaData, delete, insert, select, text
from sqlalchemy.exc import OperationalError

from gateway.model.time import Instant, instant, moment
from gateway.store.tables import journal

AHEAD = 2
"""Months that exist beside the one that runs: a leader may be away for weeks before a row has to go elsewhere."""

LOCK_WAIT = "200ms"
"""How long a new month waits for those who read the default partition: whoever comes after us waits behind us."""


def make_months(connection: Connection, now: Instant) -> list[str]:
    """Make the month of `now` and the `AHEAD` that follow, where they are missing; returns the names of the tables made.

    Rows of such a month that lie in the default partition are moved into it. While somebody reads for long (a backup), nothing is
    made and nothing is wrong: call again later. On SQLite there are no months.
    """
    if connection.dialect.name != "postgresql":
        return []
    if not _missing(connection, now):
        return []
    savepoint = connection.begin_nested()
    try:
        _reserve(connection)
        made = _missing(connection, now)  # another process may have been faster
        for name, first in made.items():
            _make(connection, name, instant(first), instant(_next(first)))
    except OperationalError as error:
        savepoint.rollback()
        if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        return []
    savepoint.commit()
    return list(made)


LOCK_NOT_AVAILABLE = "55P03"

STANDING = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'journal'::regclass")


def _months(now: Instant) -> list[datetime]:
    """The first moments of the months to have."""
    months = [moment(now).replace(day=1, hour=0, minute=0, second=0, microsecond=0)]
    for _ in range(AHEAD):
        months.append(_next(months[-1]))
    return months


def _next(first: datetime) -> datetime:
    return datetime(first.year + first.month // 12, first.month % 12 + 1, 1, tzinfo=UTC)


def _missing(connection: Connection, now: Instant) -> dict[str, datetime]:
    """Table -> first moment of the months that are to be made."""
    standing = set(connection.execute(STANDING).scalars())
    wanted = {f"journal_{first:%Y_%m}": first for first in _months(now)}
    return {name: first for name, first in wanted.items() if name not in standing}


def _reserve(connection: Connection) -> None:
    """From here on nobody else reads or writes the default partition: what belongs into a new month must not come in behind us."""
    usual = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
    connection.exec_driver_sql("LOCK TABLE journal_other IN ACCESS EXCLUSIVE MODE")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{usual}'")


def _make(connection: Connection, name: str, begin: Instant, end: Instant) -> None:
    """Fill a table with the rows of its month, then attach it: a partition made at once would be refused for them."""
    connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE journal INCLUDING ALL)")
    month, other = (journal.to_metadata(MetaData(), name=each) for each in (name, "journal_other"))
    within = (other.c.at >= begin) & (other.c.at < end)
    connection.execute(insert(month).from_select(month.c.keys(), select(other).where(within)))
    connection.execute(delete(other).where(within))
    connection.exec_driver_sql(f"ALTER TABLE journal ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})")
