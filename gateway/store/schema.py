"""The schema's age: what it is, what it should be, and how an old store is brought forward after a backup copy."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import ConfigError
from gateway.store.engine import connect, plain

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(url: str) -> tuple[str | None, str]:
    """Bring the store at `url` to the newest schema; returns (revision before, revision after).

    An embedded store that holds data is copied to `NAME.before-REVISION` first. Raises ConfigError if the file is damaged or
    was written by a newer Tongluo.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        _refuse_damaged(Path(parsed.database))
    engine = connect(parsed, readonly=False)
    try:
        return _upgrade(engine)
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        remedy = "Make room on its disk, or put a backup in its place; nothing was changed."
        raise ConfigError(
            str(parsed.database), f"the store cannot be brought forward: {plain(error)}.", remedy
        ) from error
    finally:
        engine.dispose()


def revision(engine: Engine) -> str | None:
    """The schema revision of a store, None if it is empty."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def backup(source: Path, target: Path) -> None:
    """Copy an embedded store while it is in use (SQLite's online backup)."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def _upgrade(engine: Engine) -> tuple[str | None, str]:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head() or ""
    before = revision(engine)
    if before == newest:
        return before, newest
    if before is not None and before not in {script.revision for script in scripts.walk_revisions()}:
        raise ConfigError(
            str(engine.url.database),
            f"the store has schema {before}, newer than this Tongluo.",
            "Install the newer version.",
        )
    if before is not None and engine.dialect.name == "sqlite" and engine.url.database:
        path = Path(engine.url.database)
        backup(path, path.with_name(f"{path.name}.before-{newest}"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before, newest


def _refuse_damaged(path: Path) -> None:
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        with closing(sqlite3.connect(path)) as connection:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise ConfigError(str(path), f"the store cannot be read: {error}.", "Put a backup in its place.") from error
    if verdict != "ok":
        raise ConfigError(str(path), f"the store is damaged: {verdict}.", "Put a backup in its place.")
