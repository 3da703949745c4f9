"""The store's one promise: what a returned `write` did is on disk, and nothing of one that raised."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from store_kit import alert_row, as_a_stranger, attempts, keep, opened

from gateway.errors import Refused, Unstorable
from gateway.store import SqlStore, SqlTransaction
from gateway.store.tables import channel_number

END_OF_SESSION = "select pg_terminate_backend(pg_backend_pid())"
"""A server that goes away in the middle of a transaction."""


def commits_of(store: SqlStore) -> list[int]:
    """A list that grows with every commit of the writer."""
    seen: list[int] = []
    event.listen(store._writer, "commit", lambda _connection: seen.append(1))
    return seen


class Gate:
    """Holds the writer up, so that what is written meanwhile waits and becomes one group."""

    def __init__(self, store: SqlStore) -> None:
        self._store, self._shut, self.entered = store, threading.Event(), threading.Event()

    async def __aenter__(self) -> None:
        def hold(_tx: SqlTransaction) -> None:
            self.entered.set()
            self._shut.wait(10)

        self._held = asyncio.create_task(self._store.write(hold))
        await asyncio.to_thread(self.entered.wait, 10)

    async def __aexit__(self, *_exc: object) -> None:
        self._shut.set()
        await asyncio.gather(self._held, return_exceptions=True)


async def gathered(store: SqlStore, *works: Callable[[SqlTransaction], Any]) -> list[Any]:
    """Write these works as one group."""
    async with Gate(store):
        tasks = [asyncio.create_task(store.write(work)) for work in works]
        await asyncio.sleep(0)
    return list(await asyncio.gather(*tasks, return_exceptions=True))


def identifiers(url: str) -> set[str]:
    """The alerts that a stranger sees."""
    return {row[0] for row in as_a_stranger(url, "select identifier from alert")}


async def test_many_writers_share_a_commit(store_url: str) -> None:
    async with opened(store_url) as store:
        commits = commits_of(store)
        numbers = await gathered(store, *(lambda tx, i=i: keep(tx, f"A-{i}") for i in range(100)))
        assert len(set(numbers)) == 100
        assert len(commits) == 2, "the gate's own commit, and one for all hundred"
        assert len(identifiers(store_url)) == 100


async def test_returns_only_after_the_commit_is_visible_to_a_stranger(store_url: str) -> None:
    async with opened(store_url) as store:
        for number in range(5):
            await store.write(lambda tx, n=number: keep(tx, f"A-{n}"))  # type: ignore[misc]
            assert f"A-{number}" in identifiers(store_url)


async def test_a_failing_work_takes_only_itself_back_with_its_journal_records(store_url: str) -> None:
    def failing(tx: SqlTransaction) -> None:
        keep(tx, "bad")
        tx.journal.append(attempts=attempts(99))
        raise Refused("nonsense", 422, "不", "no")

    def good(tx: SqlTransaction, batch: int) -> None:
        keep(tx, f"good-{batch}")
        tx.journal.append(attempts=attempts(batch))

    async with opened(store_url) as store:
        outcome = await gathered(store, lambda tx: good(tx, 1), failing, lambda tx: good(tx, 2))
        assert [type(each) for each in outcome] == [type(None), Refused, type(None)]
        assert identifiers(store_url) == {"good-1", "good-2"}
        rows = await store.read(lambda tx: tx.journal.after(0, 10))
        assert [row.attempts["batch"].tolist() for row in rows] == [[1, 2]], (
            "one row, without the failed work's records"
        )


async def test_a_work_that_breaks_a_constraint_harms_nobody_else(store_url: str) -> None:
    async with opened(store_url) as store:
        await store.write(lambda tx: keep(tx, "A-1"))
        broken = lambda tx: tx.alerts.insert(alert_row("A-1", id="other"), [], {})  # noqa: E731
        wrong = lambda tx: tx.connection.execute(text("select :a"), {"a": object()})  # noqa: E731
        outcome = await gathered(store, broken, lambda tx: keep(tx, "A-2"), wrong, lambda tx: keep(tx, "A-3"))
        assert isinstance(outcome[0], IntegrityError)
        assert isinstance(outcome[2], Exception)
        assert not isinstance(outcome[2], Unstorable), "its own fault: trying again would not help"
        assert identifiers(store_url) == {"A-1", "A-2", "A-3"}
        assert store.healthy


async def test_a_fault_of_the_database_fails_the_whole_group_and_passes(store_url: str) -> None:
    fault = "select * from no_such_table" if store_url.startswith("sqlite") else END_OF_SESSION

    def broken(tx: SqlTransaction) -> None:
        tx.connection.exec_driver_sql(fault)

    async with opened(store_url) as store:
        outcome = await gathered(store, lambda tx: keep(tx, "A-1"), broken, lambda tx: keep(tx, "A-2"))
        assert all(isinstance(each, Unstorable) for each in outcome)
        assert identifiers(store_url) == set()
        assert not store.healthy
        await store.write(lambda tx: keep(tx, "A-3"))
        assert identifiers(store_url) == {"A-3"}
        assert store.healthy


async def test_a_bug_outside_the_works_does_not_end_the_writer(store_url: str) -> None:
    class Broken:
        def now(self) -> int:
            raise ZeroDivisionError

        async def until(self, at: int) -> None: ...

    async with opened(store_url, Broken()) as store:
        with pytest.raises(Unstorable):
            await store.write(lambda tx: tx.journal.append(attempts=attempts(1)))
        await store.write(lambda tx: keep(tx, "A-1"))
        assert identifiers(store_url) == {"A-1"}


async def test_a_commit_that_fails_leaves_nothing(store_url: str) -> None:
    async with opened(store_url) as store:

        def refuse(_connection: object) -> None:
            raise OperationalError("COMMIT", {}, sqlite3.OperationalError("disk I/O error"))

        event.listen(store._writer, "commit", refuse)
        outcome = await gathered(store, lambda tx: keep(tx, "A-1"), lambda tx: keep(tx, "A-2"))
        event.remove(store._writer, "commit", refuse)
        assert [str(each) for each in outcome] == ["disk I/O error"] * 2
        assert identifiers(store_url) == set()
        await store.write(lambda tx: keep(tx, "A-3"))
        assert identifiers(store_url) == {"A-3"}


async def test_a_channel_number_given_in_a_work_that_failed_is_not_remembered(store_url: str) -> None:
    def failing(tx: SqlTransaction) -> None:
        tx.journal.channel_number("sms")
        raise Refused("nonsense", 422, "不", "no")

    async with opened(store_url) as store:
        with pytest.raises(Refused):
            await store.write(failing)
        speakers = await store.write(lambda tx: tx.journal.channel_number("speakers"))
        sms = await store.write(lambda tx: tx.journal.channel_number("sms"))
        assert sms != speakers
        kept = await store.read(lambda tx: tx.journal.channel_names())
        assert kept == {speakers: "speakers", sms: "sms"}


async def test_a_caller_that_is_cancelled_does_not_undo_its_work(store_url: str) -> None:
    async with opened(store_url) as store:
        async with Gate(store):
            task = asyncio.create_task(store.write(lambda tx: keep(tx, "A-1")))
            await asyncio.sleep(0)
            task.cancel()
        await store.write(lambda tx: None)
        assert identifiers(store_url) == {"A-1"}


async def test_what_is_queued_at_the_close_is_written_and_later_work_is_refused(store_url: str) -> None:
    async with opened(store_url) as store:
        async with Gate(store):
            tasks = [asyncio.create_task(store.write(lambda tx, i=i: keep(tx, f"A-{i}"))) for i in range(5)]  # type: ignore[misc]
            await asyncio.sleep(0)
            closing_store = asyncio.create_task(store.aclose())
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, closing_store)
        assert len(identifiers(store_url)) == 5
        with pytest.raises(Unstorable):
            await store.write(lambda tx: keep(tx, "A-9"))


async def test_a_reader_cannot_write(store_url: str) -> None:
    async with opened(store_url) as store:
        with pytest.raises(Unstorable, match=r"read-?only"):
            await store.read(lambda tx: keep(tx, "A-1"))
        assert identifiers(store_url) == set()


async def test_a_reader_sees_one_moment(store_url: str) -> None:
    first, second = threading.Event(), threading.Event()

    def look_twice(tx: SqlTransaction) -> tuple[int, int]:
        before = len(tx.alerts.released())
        first.set()
        second.wait(10)
        return before, len(tx.alerts.released())

    async with opened(store_url) as store:
        await store.write(lambda tx: keep(tx, "A-1"))
        looking = asyncio.create_task(store.read(look_twice))
        await asyncio.to_thread(first.wait, 10)
        await store.write(lambda tx: keep(tx, "A-2"))
        second.set()
        assert await looking == (1, 1)
        assert len(await store.read(lambda tx: tx.alerts.released())) == 2


async def test_a_commit_is_told(store_url: str) -> None:
    told = asyncio.Event()
    async with opened(store_url) as store:
        store.committed = told.set
        await store.write(lambda tx: keep(tx, "A-1"))
        await asyncio.wait_for(told.wait(), 5)


async def test_the_disk_is_asked_for_durability(tmp_path: Path) -> None:
    """Write-ahead log and an fsync per commit, on the connection that writes (not only where we asked for it)."""

    def pragmas(tx: SqlTransaction) -> dict[str, object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return {name: tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}

    async with opened(tmp_path) as store:
        wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
        assert await store.write(pragmas) == wanted
        assert await store.read(pragmas) == wanted


async def test_channel_numbers_outlive_the_process(store_url: str) -> None:
    async with opened(store_url) as store:
        first = [await store.write(lambda tx, n=name: tx.journal.channel_number(n)) for name in ("sms", "wechat")]  # type: ignore[misc]
    async with opened(store_url) as store:
        again = [await store.write(lambda tx, n=name: tx.journal.channel_number(n)) for name in ("wechat", "sms")]  # type: ignore[misc]
        assert again == first[::-1]
        assert len(await store.read(lambda tx: tx.connection.execute(select(channel_number)).all())) == 2
