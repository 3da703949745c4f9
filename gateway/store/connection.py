"""How the store is spoken to: one engine for each dialect, with the settings that our promises rest on.

SQLite: a write-ahead log, an fsync for every commit, transactions that begin where we say. PostgreSQL: commits that wait for the
disk, and limits on how long a lock or a frozen client may hold others up.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import QueuePool

from gateway.errors import ConfigError

READERS = 4
"""Connections that read at a time."""

LOCK_WAIT = 5_000
"""Milliseconds to wait for a lock on PostgreSQL; then the caller is told that nothing can be stored now."""

IDLE_IN_TRANSACTION = 10_000
"""Milliseconds after which PostgreSQL ends the transaction of a client that has fallen silent: a frozen process holds nobody up."""

LOST_RACE = frozenset({"40001", "40P01"})
"""SQLSTATE of serialization_failure and deadlock_detected: run again."""

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON", "cache_size=-16000")


def parsed(url: str, password: str = "") -> URL:
    """`sqlite:///PATH` or `postgresql://USER@HOST/DB` for SQLAlchemy. Raises ConfigError."""
    try:
        found = make_url(url)
    except ArgumentError as error:
        raise ConfigError("store.url", "is not a URL.", "Write sqlite:///PATH or postgresql://USER@HOST/DB.") from error
    if found.get_backend_name() == "postgresql":
        found = found.set(drivername="postgresql+psycopg")
        return found.set(password=password) if password else found
    return found


def connect(url: URL, *, readonly: bool) -> Engine:
    """An engine for `url`; a read-only one refuses to write."""
    return _postgres(url, readonly=readonly) if url.get_backend_name() == "postgresql" else _sqlite(url, readonly)


def is_embedded(url: URL) -> bool:
    """Whether the store is a file of this machine, that only one process may use."""
    return url.get_backend_name() == "sqlite"


def file_of(url: URL) -> Path | None:
    """The file of an embedded store."""
    return Path(url.database) if is_embedded(url) and url.database and url.database != ":memory:" else None


def lost_race(error: BaseException) -> bool:
    """Whether another process was in the way, and trying again helps."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in LOST_RACE


def _postgres(url: URL, *, readonly: bool) -> Engine:
    settings = {
        "lock_timeout": LOCK_WAIT,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION,
        "default_transaction_read_only": "on" if readonly else "off",
        "jit": "off",
    }
    engine = create_engine(
        url,
        pool_pre_ping=True,
        pool_size=READERS if readonly else 1,
        max_overflow=0,
        isolation_level="REPEATABLE READ" if readonly else "READ COMMITTED",
        connect_args={
            "connect_timeout": 5,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            "application_name": "tongluo",
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        },
    )

    def wait_for_the_disk(connection: Any, _record: object) -> None:
        """What we call stored is on disk, however hasty the server is by default (one that waits for more stays so)."""
        if connection.execute("SHOW synchronous_commit").fetchone()[0] == "off":
            connection.execute("SET synchronous_commit = on")
        connection.commit()

    event.listen(engine, "connect", wait_for_the_disk)
    return engine


def _sqlite(url: URL, readonly: bool) -> Engine:
    engine = create_engine(
        url,
        connect_args={"check_same_thread": False},
        poolclass=QueuePool,
        pool_size=READERS if readonly else 1,
        max_overflow=0,
    )

    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        if readonly:
            connection.execute("PRAGMA query_only=ON")

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    return engine


def plain(error: BaseException) -> str:
    """What an error of the database says, in one line."""
    cause = getattr(error, "orig", None) or error
    with suppress(StopIteration):
        return next(line for line in str(cause).splitlines() if line.strip())
    return type(cause).__name__
