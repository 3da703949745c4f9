"""Handing a store over, backing one up, restoring one: everything arrives or nothing does, whichever databases they are."""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import numpy as np
import psycopg
import pytest
from filled import fill, rows_of, statements
from sqlalchemy.engine import make_url
from store_kit import NOW, as_a_stranger, attempts, empty_store, keep, new_store, opened, url_of

from gateway.errors import ConfigError
from gateway.model.journal import ATTEMPT
from gateway.ports.rows import ProcessRow
from gateway.store import SqlStore, SqlTransaction, migrate
from gateway.store import handover as handover_room
from gateway.store.connection import parsed
from gateway.store.handover import at_work, back_up, hand_over, restore
from gateway.store.tables import metadata


async def filled(url: str) -> str:
    """A store with rows in every table; returns its URL."""
    await asyncio.to_thread(migrate, url)
    async with opened(url) as store:
        await store.write(fill)
    return url


def handed(source: str, target: str) -> dict[str, int]:
    migrate(target)
    return hand_over(parsed(source), parsed(target))


async def test_there_and_back_every_table_is_the_same(tmp_path: Path, postgres: str) -> None:
    first, last = await filled(url_of(tmp_path)), f"sqlite:///{tmp_path / 'again.db'}"
    held = rows_of(first)
    assert all(held.values()), "a table without a row proves nothing"
    counts = await asyncio.to_thread(handed, first, postgres)
    assert counts == {name: len(rows) for name, rows in held.items()}
    assert rows_of(postgres) == held
    await asyncio.to_thread(handed, postgres, last)
    assert rows_of(last) == held
    with closing(sqlite3.connect(tmp_path / "again.db")) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_store_goes_on_with_the_next_numbers_where_it_was_handed_over(tmp_path: Path, postgres: str) -> None:
    await asyncio.to_thread(handed, await filled(url_of(tmp_path)), postgres)

    def work(tx: SqlTransaction) -> tuple[int, int, int]:
        tx.journal.append(attempts(3))
        tx.chronicle.tell("alert", {}, NOW, 1)
        return keep(tx, "A-2"), tx.strays.keep("r", "w", b"", NOW), tx.journal.channel_number("pager")

    async with opened(postgres) as store:
        assert await store.write(work) == (2, 2, 2)
        assert [row.seq for row in await store.read(lambda tx: tx.journal.after(0, 10))] == [1, 2]
        assert await store.read(lambda tx: tx.chronicle.last_event()) == 2


@pytest.mark.parametrize("table", ["alert", "journal", "stray"])
async def test_a_broken_hand_over_leaves_nothing(
    tmp_path: Path, empty_url: str, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    (tmp_path / "old").mkdir()
    source = await filled(url_of(tmp_path / "old"))
    await asyncio.to_thread(migrate, empty_url)

    def breaks(name: str, done: int, total: int) -> None:
        if name == table:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hand_over(parsed(source), parsed(empty_url), breaks)
    assert not any(rows_of(empty_url).values())
    assert handed(source, empty_url)["alert"] == 1


async def test_rows_that_get_lost_on_the_way_are_noticed(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await filled(url_of(tmp_path))
    real = handover_room._copy
    monkeypatch.setattr(handover_room, "_copy", lambda table, *rest: real(table, *rest) + (table.name == "audit"))
    with pytest.raises(ConfigError, match=r"not every row arrived in audit.*Nothing was kept"):
        await asyncio.to_thread(handed, source, postgres)
    assert not any(rows_of(postgres).values())


async def test_what_the_target_cannot_hold_is_refused_with_its_words(tmp_path: Path, postgres: str) -> None:
    async with opened(tmp_path) as store:
        await store.write(lambda tx: tx.chronicle.audit("nul\0", "x", NOW))
    with pytest.raises(ConfigError, match=r"sqlite:.* -> postgresql://gw@.*cannot be copied.*NUL.*nothing was changed"):
        await asyncio.to_thread(handed, url_of(tmp_path), postgres)
    assert not any(rows_of(postgres).values())


async def test_a_store_with_rows_takes_none(tmp_path: Path, empty_url: str) -> None:
    (tmp_path / "old").mkdir()
    source = await filled(url_of(tmp_path / "old"))
    await asyncio.to_thread(migrate, empty_url)
    async with opened(empty_url) as store:
        await store.write(lambda tx: tx.chronicle.audit("w", "x", NOW))
    with pytest.raises(ConfigError, match=r"is not empty: it has rows in audit\. Name a new data folder or database"):
        hand_over(parsed(source), parsed(empty_url))
    assert len(rows_of(empty_url)["audit"]) == 1


def test_an_older_store_is_not_handed_over_as_it_is(tmp_path: Path, postgres: str) -> None:
    url = new_store(tmp_path)
    migrate(postgres)
    as_a_stranger(postgres, "UPDATE alembic_version SET version_num = '0001'")
    for source, target in ((url, postgres), (postgres, url)):
        with pytest.raises(ConfigError, match=r"has schema 0001, and this Tongluo works with .*Bring it forward first"):
            hand_over(parsed(source), parsed(target))


@asynccontextmanager
async def busy(url: str) -> AsyncIterator[list[int]]:
    """Somebody appends to journal, audit and events in one commit after the other; what is written so far."""
    written: list[int] = []

    async def write(store: SqlStore) -> None:
        for number in itertools.count():

            def work(tx: SqlTransaction, number: int = number) -> None:
                tx.journal.append(attempts(number), statements(number))
                tx.chronicle.audit("w", f"n{number}", NOW)
                tx.chronicle.tell("n", {"n": number}, NOW)

            await store.write(work)
            written.append(number)

    async with opened(url) as store:
        writing = asyncio.create_task(write(store))
        while not written:
            await asyncio.sleep(0.01)
        yield written
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def test_a_backup_agrees_with_itself_while_writes_go_on(store_url: str, tmp_path: Path) -> None:
    counts = []
    async with busy(store_url) as written:
        for number in range(4):
            target = tmp_path / f"backup-{number}.db"
            before = len(written)
            await asyncio.to_thread(back_up, parsed(store_url), target)
            held = rows_of(f"sqlite:///{target}")
            recorded = np.concatenate([np.frombuffer(row["attempts"], ATTEMPT) for row in held["journal"]])
            assert recorded["batch"].tolist() == [row["payload"]["n"] for row in held["event"]]
            assert [row["what"] for row in held["audit"]] == [f"n{n}" for n in recorded["batch"]]
            assert len(recorded) >= before, "what was committed before is in it"
            counts.append(len(recorded))
    assert counts[0] < counts[-1], "nothing was written meanwhile"


async def test_a_backup_is_one_file_for_its_owner_alone(store_url: str, tmp_path: Path) -> None:
    await filled(store_url)
    folder = tmp_path / "backups"
    folder.mkdir()
    back_up(parsed(store_url), folder / "b.db")
    assert [path.name for path in folder.iterdir()] == ["b.db"]
    assert os.stat(folder / "b.db").st_mode & 0o777 == 0o600
    assert rows_of(f"sqlite:///{folder / 'b.db'}") == rows_of(store_url)


def test_a_backup_that_breaks_leaves_no_file(postgres: str, tmp_path: Path) -> None:
    asyncio.run(filled(postgres))

    def breaks(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(parsed(postgres), tmp_path / "b.db", breaks)
    assert list(tmp_path.iterdir()) == []


async def test_a_backup_fills_an_empty_store_and_stays_as_it_is(empty_url: str, store_url: str, tmp_path: Path) -> None:
    if empty_url == store_url:
        empty_url = f"sqlite:///{tmp_path / 'new' / 'tongluo.db'}"
    await filled(store_url)
    back_up(parsed(store_url), tmp_path / "b.db")
    kept = (tmp_path / "b.db").read_bytes()
    held = rows_of(store_url)
    restore(tmp_path / "b.db", parsed(empty_url), tmp_path)
    assert rows_of(empty_url) == held
    assert (tmp_path / "b.db").read_bytes() == kept
    assert not [name for name in os.listdir(tmp_path) if name.startswith("restore-")]
    with pytest.raises(ConfigError, match="is not empty"):
        restore(tmp_path / "b.db", parsed(empty_url), tmp_path)


def test_what_is_no_whole_backup_is_refused_before_anything_is_touched(tmp_path: Path, postgres: str) -> None:
    path = tmp_path / "b.db"
    with pytest.raises(ConfigError, match=r"there is no such file"):
        restore(path, parsed(postgres), tmp_path)
    path.write_bytes(b"this is no database, but long enough to look like a file" * 50)
    with pytest.raises(ConfigError, match=r"cannot be read"):
        restore(path, parsed(postgres), tmp_path)
    path.write_bytes(b"")
    with pytest.raises(ConfigError, match=r"holds no store"):
        restore(path, parsed(postgres), tmp_path)
    content = bytearray(empty_store())
    for page in range(4, len(content) // 4096, 3):
        content[page * 4096 : page * 4096 + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"the store (is damaged|cannot be read)"):
        restore(path, parsed(postgres), tmp_path)
    assert as_a_stranger(postgres, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


async def test_an_older_backup_is_brought_forward_on_the_way(tmp_path: Path, postgres: str) -> None:
    async with opened(tmp_path) as store:
        await store.write(lambda tx: keep(tx, "A-old"))
    with closing(sqlite3.connect(tmp_path / "tongluo.db")) as file, file:
        file.executescript(BACK_TO_0001)
    restore(tmp_path / "tongluo.db", parsed(postgres), tmp_path)
    assert [row["identifier"] for row in rows_of(postgres)["alert"]] == ["A-old"]
    with closing(sqlite3.connect(tmp_path / "tongluo.db")) as file:
        assert file.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)


BACK_TO_0001 = """
DROP TABLE lease; DROP TABLE process; DROP TABLE pace; DROP TABLE stray;
DROP INDEX alert_via; DROP INDEX batch_leased; DROP INDEX batch_published; ALTER TABLE batch DROP COLUMN published_at;
UPDATE alembic_version SET version_num = '0001';
"""


async def test_processes_that_told_of_themselves_lately_are_at_work(store_url: str) -> None:
    async with opened(store_url) as store:
        now, _ = await store.read(lambda tx: tx.time())
        for name, age in (("w-1", 0), ("w-2", 5_000), ("w-3", 16_000)):
            row = ProcessRow(name, ("watch",), "", now - age)
            await store.write(lambda tx, row=row: tx.processes.tell(row))  # type: ignore[misc]
    assert at_work(parsed(store_url)) == ["w-1", "w-2"]


def test_nobody_begins_to_work_on_a_store_that_is_being_filled(tmp_path: Path, postgres: str) -> None:
    source = new_store(tmp_path)
    with closing(sqlite3.connect(tmp_path / "tongluo.db")) as file, file:
        file.execute("INSERT INTO audit (at, who, what, alert, note) VALUES (1, 'w', 'x', 0, '')")
    migrate(postgres)
    asked = []

    def intrude(*_: object) -> None:
        with psycopg.connect(postgres) as other:
            query = "SELECT pg_try_advisory_xact_lock(%s, -1)"
            asked.append(other.execute(query, [0x746F6E68]).fetchone())

    hand_over(parsed(source), parsed(postgres), intrude)
    assert asked == [(False,)]


MIGRATE = "import sys; from gateway.store import migrate; print(migrate(sys.argv[1]))"


async def test_two_processes_migrate_an_empty_database_at_once(postgres: str) -> None:
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", MIGRATE, postgres, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    said = await asyncio.gather(*(process.communicate() for process in started))
    assert [process.returncode for process in started] == [0, 0, 0], said
    held = rows_of(postgres)
    assert set(held) == set(metadata.tables)


def test_the_password_is_not_told(tmp_path: Path, postgres: str) -> None:
    url = make_url(postgres).set(password="geheim", port=1)
    with pytest.raises(ConfigError) as refused:
        hand_over(parsed(new_store(tmp_path)), parsed(url.render_as_string(hide_password=False)))
    assert "geheim" not in str(refused.value)
    assert "postgresql://" in str(refused.value)
