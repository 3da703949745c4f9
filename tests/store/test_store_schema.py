"""The schema: migrations build exactly the tables of the code, an old store is copied before it is brought forward, and what
cannot be read is refused with a sentence.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect
from store_kit import as_a_stranger, keep, opened, url_of

from gateway.errors import ConfigError
from gateway.store import backup, migrate, schema
from gateway.store.tables import metadata


def engine_at(url: str) -> Engine:
    """A stranger's engine."""
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:"))


def partitions(engine: Engine) -> set[str]:
    """The tables that are parts of another, which only PostgreSQL has."""
    if engine.dialect.name != "postgresql":
        return set()
    with engine.connect() as connection:
        return set(connection.exec_driver_sql("select relname from pg_class where relispartition").scalars())


def columns(url: str) -> dict[str, dict[str, tuple[str, bool]]]:
    """Table -> column -> (type, may be null)."""
    engine = engine_at(url)
    found = inspect(engine)
    tables = {
        table: {column["name"]: (str(column["type"]), column["nullable"]) for column in found.get_columns(table)}
        for table in found.get_table_names()
        if table not in ("alembic_version", *partitions(engine))
    }
    engine.dispose()
    return tables


NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "{newest}"


def upgrade() -> None:
    op.create_table("siren", sa.Column("n", sa.Integer(), primary_key=True))
    op.add_column("alert", sa.Column("loud", sa.Boolean(), nullable=True))
    {last}
"""


def with_next_revision(folder: Path, monkeypatch: pytest.MonkeyPatch, last: str = "") -> None:
    """From now on this Tongluo is one revision ahead of itself."""
    ahead = folder / "migrations"
    shutil.copytree(schema.MIGRATIONS, ahead, ignore=shutil.ignore_patterns("__pycache__"))
    newest = ScriptDirectory(str(schema.MIGRATIONS)).get_current_head()
    (ahead / "versions" / "9000_next.py").write_text(NEXT.format(newest=newest, last=last))
    monkeypatch.setattr(schema, "MIGRATIONS", ahead)


def test_the_migrations_build_the_tables_of_the_code(empty_url: str) -> None:
    migrate(empty_url)
    migrated, engine = columns(empty_url), engine_at(empty_url)
    parts = partitions(engine)
    options = {"compare_type": True, "include_name": lambda name, _kind, _parents: name not in parts}
    with engine.begin() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        metadata.drop_all(connection)
        metadata.create_all(connection)
    engine.dispose()
    assert differences == []
    assert columns(empty_url) == migrated


def test_a_second_migration_changes_nothing_and_copies_nothing(empty_url: str, tmp_path: Path) -> None:
    before, after = migrate(empty_url)
    assert before is None
    assert migrate(empty_url) == (after, after)
    assert [path.name for path in tmp_path.iterdir() if "before" in path.name] == []


async def test_an_older_store_is_copied_before_it_is_brought_forward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as store:
        await store.write(lambda tx: keep(tx, "A-1"))
    newest = ScriptDirectory(str(schema.MIGRATIONS)).get_current_head()
    with_next_revision(tmp_path, monkeypatch)
    assert await asyncio.to_thread(migrate, url_of(tmp_path)) == (newest, "9000")
    assert "siren" in columns(url_of(tmp_path))
    with closing(sqlite3.connect(tmp_path / "tongluo.db.before-9000")) as connection:
        assert connection.execute("select identifier from alert").fetchall() == [("A-1",)]
        assert connection.execute("select version_num from alembic_version").fetchall() == [(newest,)]


async def test_an_upgrade_that_fails_changes_nothing_and_says_so(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(migrate, empty_url)
    before = columns(empty_url)
    with_next_revision(tmp_path, monkeypatch, last="op.execute('insert into nowhere values (1)')")
    with pytest.raises(ConfigError, match=r"cannot be brought forward: [^.]*nowhere.*nothing was changed"):
        await asyncio.to_thread(migrate, empty_url)
    assert columns(empty_url) == before


@pytest.mark.parametrize("broken_at", range(0, 30, 5))
def test_a_migration_that_is_cut_off_leaves_nothing_half_done(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken_at: int
) -> None:
    real, made = Operations.create_table, []

    def create_table(operations: Operations, *args: object, **options: object) -> object:
        made.append(args)
        if len(made) > broken_at:
            raise KeyboardInterrupt
        return real(operations, *args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Operations, "create_table", create_table)
        if broken_at < len(metadata.tables):
            with pytest.raises(KeyboardInterrupt):
                migrate(empty_url)
            assert columns(empty_url) == {}
    migrate(empty_url)
    assert set(columns(empty_url)) == set(metadata.tables)


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    migrate(url_of(tmp_path))
    with closing(sqlite3.connect(tmp_path / "tongluo.db")) as connection, connection:
        connection.execute("update alembic_version set version_num = '9999'")
    before = (tmp_path / "tongluo.db").read_bytes()
    with pytest.raises(ConfigError, match=r"schema 9999, newer than this Tongluo.*Install the newer version"):
        migrate(url_of(tmp_path))
    assert (tmp_path / "tongluo.db").read_bytes() == before


def test_a_newer_store_on_a_server_is_refused(postgres: str) -> None:
    migrate(postgres)
    as_a_stranger(postgres, "update alembic_version set version_num = '9999'")
    before = columns(postgres)
    with pytest.raises(ConfigError, match=r"schema 9999, newer than this Tongluo.*Install the newer version"):
        migrate(postgres)
    assert columns(postgres) == before


@pytest.mark.parametrize(
    "content", [b"this is no database, but long enough to look like a file" * 50, b"SQLite format 3\0"]
)
def test_a_file_that_is_no_store_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tongluo.db").write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot be read.*Put a backup in its place"):
        migrate(url_of(tmp_path))


async def test_a_store_with_flipped_bytes_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for number in range(200):
            await store.write(lambda tx, n=number: keep(tx, f"A-{n}", raw=b"x" * 2000))  # type: ignore[misc]
    path = tmp_path / "tongluo.db"
    content = bytearray(path.read_bytes())
    for page in range(8, len(content) // 4096, 3):
        content[page * 4096 : page * 4096 + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"tongluo\.db: the store (is damaged|cannot be read)"):
        migrate(url_of(tmp_path))


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "tongluo.db").touch()
    assert migrate(url_of(tmp_path))[0] is None
    assert "alert" in columns(url_of(tmp_path))


async def test_a_backup_is_whole_while_the_store_is_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for number in range(20):
            await store.write(lambda tx, n=number: keep(tx, f"A-{n}"))  # type: ignore[misc]
        backup(tmp_path / "tongluo.db", tmp_path / "copy.db")
        await store.write(lambda tx: keep(tx, "A-later"))
    with closing(sqlite3.connect(tmp_path / "copy.db")) as connection:
        assert connection.execute("select count(*) from alert").fetchone() == (20,)
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
