"""The schema's age: what it is, what it should be, and how an old store is brought forward after a backup copy."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import SystemClock
from gateway.errors import ConfigError
from gateway.store.connection import connect, file_of, parsed, plain
from gateway.store.months import make_months

MIGRATIONS = Path(__file__).parent / "migrations"

LOCKS = 0x746F6E68
"""Advisory lock on PostgreSQL for what changes the store as a whole: migrations and hand-overs."""

PATIENCE = "60s"
"""How long a process waits for another that holds it."""


def migrate(url: str | URL) -> tuple[str | None, str]:
    """Bring the store at `url` to the newest schema; returns (revision before, revision after).

    An embedded store that holds data is copied to `NAME.before-REVISION` first; on PostgreSQL the months of the journal are made.
    Raises ConfigError if the store cannot be reached, is damaged, or was written by a newer Tongluo.
    """
    url = parsed(url) if isinstance(url, str) else url
    path = file_of(url)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        refuse_damaged(path)
    engine = connect(url, readonly=False)
    try:
        return _upgrade(engine)
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        remedy = "Make room on its disk, or put a backup in its place; nothing was changed."
        if path is None:
            remedy = (
                "See that PostgreSQL runs at store.url, and that the user may make tables there; nothing was changed."
            )
        raise ConfigError(shown(url), f"the store cannot be brought forward: {plain(error)}.", remedy) from error
    finally:
        engine.dispose()


def shown(url: URL) -> str:
    """A store's URL as a person would write it, without the password."""
    return url.set(drivername=url.get_backend_name()).render_as_string()


def revision(engine: Engine) -> str | None:
    """The schema revision of a store, None if it is empty."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def backup(source: Path, target: Path) -> None:
    """Copy an embedded store while it is in use (SQLite's online backup)."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def newest() -> str:
    """The schema revision of this Tongluo."""
    return _scripts().get_current_head() or ""


def take_the_store(connection: Connection) -> None:
    """Until this transaction ends, no other process migrates the store or hands one over into it; and none begins to work on it,
    since that begins with `migrate`. (An embedded store has its write lock for this.)"""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCKS}, -1)")


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_alembic())


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _upgrade(engine: Engine) -> tuple[str | None, str]:
    before, after = revision(engine), newest()
    if before is not None and before not in {script.revision for script in _scripts().walk_revisions()}:
        raise ConfigError(
            shown(engine.url),
            f"the store has schema {before}, newer than this Tongluo.",
            "Install the newer version.",
        )
    path = file_of(engine.url)
    if before == after and path is not None:
        return before, after
    if before is not None and path is not None:
        backup(path, path.with_name(f"{path.name}.before-{after}"))
    with engine.begin() as connection:
        take_the_store(connection)
        if before != after:
            config = _alembic()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        make_months(connection, SystemClock().now())
    return before, after


def refuse_damaged(path: Path, *, thoroughly: bool = False) -> None:
    """Read an embedded store and check its pages; `thoroughly`: its indexes too. Raises ConfigError; a missing file is none."""
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        with closing(sqlite3.connect(path)) as connection:
            check = "integrity_check" if thoroughly else "quick_check"
            verdict = connection.execute(f"PRAGMA {check}(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise ConfigError(str(path), f"the store cannot be read: {error}.", "Put a backup in its place.") from error
    if verdict != "ok":
        raise ConfigError(str(path), f"the store is damaged: {verdict}.", "Put a backup in its place.")
