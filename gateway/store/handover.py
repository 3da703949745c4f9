"""Handing a store over: every row of one store into another that is empty, whichever databases they are.

The command line calls it: `tongluo migrate --from`, `tongluo backup` (one SQLite file whatever the store, so that a backup is a
store) and `tongluo restore`. The source may be at work meanwhile: it is read as it stood at one moment.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic.migration import MigrationContext
from sqlalchemy import Connection, LargeBinary, Table, func, insert, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import ConfigError
from gateway.store.connection import connect, file_of, plain
from gateway.store.pages import Pages
from gateway.store.schema import backup, migrate, newest, refuse_damaged, shown, take_the_store
from gateway.store.tables import metadata
from gateway.store.transaction import SqlTransaction

Tell = Callable[[str, int, int], None]
"""Hears how far it is: (table, rows copied, rows of that table)."""

CHUNK = 2_000
"""Rows at a time of tables with narrow rows."""

BULKY_CHUNK = 50
"""Rows at a time where a row may hold megabytes."""

ALIVE = 15_000
"""Milliseconds: a process that has told of itself since then is at work."""


def hand_over(source: URL, target: URL, tell: Tell = lambda table, done, total: None) -> dict[str, int]:
    """Copy every table of `source` into `target`; returns the rows of each. Both must have the newest schema (`migrate`).

    One snapshot of the source, one transaction of the target: whatever breaks, the target stays empty. Raises ConfigError if the
    target is not empty, a schema is older, or a database refuses.
    """
    with _named(source, target), _spoken(source, readonly=True) as old, _spoken(target, readonly=False) as new:
        _refuse_older(old, source)
        take_the_store(new)
        _refuse_older(new, target)
        _refuse_full(new, target)
        counts = {table.name: _copy(table, old, new, tell) for table in metadata.sorted_tables}
        _continue_numbers(new)
        arrived = {table.name: _count(new, table) for table in metadata.sorted_tables}
        if arrived != counts:
            wrong = ", ".join(name for name in counts if counts[name] != arrived[name])
            raise ConfigError(shown(target), f"not every row arrived in {wrong}.", "Nothing was kept; try again.")
    return counts


def back_up(source: URL, target: Path, tell: Tell = lambda table, done, total: None) -> None:
    """Write the store at `source`, at work or not, into the new SQLite file `target`, which only its owner may read.

    The file has its name when it is whole, checked and on disk. Raises ConfigError.
    """
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        _write_file(source, part, tell)
        refuse_damaged(part)
        _flush(part)
        part.rename(target)
        _flush(target.parent)
    finally:
        for leftover in (part, part.with_name(f"{part.name}-wal"), part.with_name(f"{part.name}-shm")):
            leftover.unlink(missing_ok=True)


def restore(file: Path, target: URL, workplace: Path, tell: Tell = lambda table, done, total: None) -> dict[str, int]:
    """Hand the backup `file` over into the empty store `target`; returns the rows of each table. The file is not changed.

    `workplace`: a folder with room for a copy of it, which is brought to the newest schema. Raises ConfigError if the file is
    damaged or no store, or the target is not empty.
    """
    if not file.is_file():
        raise ConfigError(str(file), "there is no such file.", "Name a file that `tongluo backup` wrote.")
    refuse_damaged(file, thoroughly=True)
    _refuse_strange(file)
    migrate(target)
    with _named(target), _spoken(target, readonly=True) as connection:
        _refuse_full(connection, target)
    with TemporaryDirectory(prefix="restore-", dir=workplace) as folder:
        copy = URL.create("sqlite", database=str(Path(folder) / "tongluo.db"))
        backup(file, Path(folder) / "tongluo.db")
        migrate(copy)
        return hand_over(copy, target, tell)


def at_work(url: URL) -> list[str]:
    """The processes that have told of themselves to the store at `url` in the last 15 s, by its clock."""
    with _named(url), _spoken(url, readonly=True) as connection:
        tx = SqlTransaction(connection, Pages(), {})
        return [row.owner for row in tx.processes.since(tx.time()[0] - ALIVE)]


@contextmanager
def _named(*urls: URL) -> Iterator[None]:
    """Say in plain words what a database refuses. Raises ConfigError."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        where = " -> ".join(shown(url) for url in urls)
        remedy = "See that it is there, with room and rights; nothing was changed."
        raise ConfigError(where, f"the store cannot be copied: {plain(error)}.", remedy) from error


@contextmanager
def _spoken(url: URL, *, readonly: bool) -> Iterator[Connection]:
    """A connection in one transaction: a reader sees the store as it stood at one moment, what a writer did is kept at the end."""
    engine = connect(url, readonly=readonly)
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(
                    "SET LOCAL idle_in_transaction_session_timeout = 0"
                )  # the other end may be slow
            yield connection
    finally:
        engine.dispose()


def _copy(table: Table, old: Connection, new: Connection, tell: Tell) -> int:
    """Copy one table in the order of its keys, in chunks that fit into memory."""
    total, done = _count(old, table), 0
    bulky = any(isinstance(column.type, LargeBinary) for column in table.c)
    query = select(table).order_by(*table.primary_key)
    rows = old.execution_options(yield_per=BULKY_CHUNK if bulky else CHUNK).execute(query)
    for chunk in rows.mappings().partitions():
        new.execute(insert(table), [dict(row) for row in chunk])
        done += len(chunk)
        tell(table.name, done, total)
    return done


def _continue_numbers(connection: Connection) -> None:
    """Let PostgreSQL give numbers from the last one on. (SQLite looks for itself.)"""
    if connection.dialect.name != "postgresql":
        return
    for table in metadata.sorted_tables:
        for column in table.primary_key:
            last = connection.execute(select(func.max(column))).scalar() if column.autoincrement is True else None
            if last is not None:
                connection.execute(CONTINUE, {"table": table.name, "column": column.name, "last": last})


CONTINUE = text("SELECT setval(pg_get_serial_sequence(:table, :column), :last)")


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _refuse_older(connection: Connection, url: URL) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    if found != newest():
        what = f"the store has schema {found}, and this Tongluo works with {newest()}."
        raise ConfigError(shown(url), what, "Bring it forward first: `tongluo migrate` with its settings.")


def _refuse_full(connection: Connection, url: URL) -> None:
    full = [table.name for table in metadata.sorted_tables if connection.execute(select(table).limit(1)).first()]
    if full:
        what = f"the store is not empty: it has rows in {', '.join(full)}."
        raise ConfigError(shown(url), what, "Name a new data folder or database, and do not start the gateway before.")


def _refuse_strange(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    if found is None:
        raise ConfigError(str(file), "it holds no store.", "Name a file that `tongluo backup` wrote.")


def _write_file(source: URL, file: Path, tell: Tell) -> None:
    path = file_of(source)
    if path is not None:
        backup(path, file)
    else:
        target = URL.create("sqlite", database=str(file))
        migrate(target)
        hand_over(source, target, tell)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it


def _flush(path: Path) -> None:
    """Have a file or a folder's list of names on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    with suppress(OSError):  # not every file system does it for folders
        os.fsync(descriptor)
    os.close(descriptor)
