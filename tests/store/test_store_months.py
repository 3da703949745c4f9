"""The journal by month on PostgreSQL: rows land in their month, and whoever reads them does not notice."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import insert
from store_kit import as_a_stranger, attempts, opened

from gateway.model.time import Instant, instant
from gateway.store import SqlTransaction, migrate
from gateway.store.months import make_months
from gateway.store.tables import journal
from gateway.testing.clock import ManualClock

PLACES = "SELECT seq, tableoid::regclass::text FROM journal ORDER BY seq"


def at(year: int, month: int, day: int = 15, hour: int = 0) -> Instant:
    return instant(datetime(year, month, day, hour, tzinfo=UTC))


def months(url: str) -> set[str]:
    """The partitions that stand."""
    query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'journal'::regclass"
    return {name for (name,) in as_a_stranger(url, query)}


async def test_every_row_lands_in_its_month_and_is_read_in_the_order_of_its_number(postgres: str) -> None:
    migrate(postgres)
    clock = ManualClock(at(2030, 11))
    async with opened(postgres, clock) as store:
        made = await store.write(lambda tx: make_months(tx.connection, at(2030, 11)))
        assert made == ["journal_2030_11", "journal_2030_12", "journal_2031_01"]
        for number, when in enumerate(
            [at(2031, 1), at(2030, 12, 31, 23), at(2029, 5), at(2030, 11, 1), at(2031, 1, 1), at(2031, 2, 1)]
        ):
            clock.forward((when - clock.now()) / 1000)
            await store.write(lambda tx, n=number: tx.journal.append(attempts(n)))  # type: ignore[misc]
        landed = [
            "journal_2031_01",
            "journal_2030_12",
            "journal_other",
            "journal_2030_11",
            "journal_2031_01",
            "journal_other",
        ]
        assert as_a_stranger(postgres, PLACES) == list(enumerate(landed, 1))
        rows = await store.read(lambda tx: tx.journal.after(0, 10))
        assert [(row.seq, row.attempts["batch"].tolist()) for row in rows] == [(n + 1, [n]) for n in range(6)]
        assert [row.seq for row in await store.read(lambda tx: tx.journal.after(2, 3))] == [3, 4, 5]


def test_this_month_and_the_next_two_are_there_after_every_migration(postgres: str) -> None:
    migrate(postgres)
    standing = months(postgres)
    now = datetime.now(UTC)
    assert {"journal_other", f"journal_{now:%Y_%m}"} <= standing
    assert len(standing) >= 4
    as_a_stranger(postgres, f"DROP TABLE journal_{now:%Y_%m}")
    migrate(postgres)
    assert months(postgres) == standing


async def test_a_month_takes_over_its_rows_from_the_default_partition(postgres: str) -> None:
    migrate(postgres)
    clock = ManualClock(at(2040, 7))
    async with opened(postgres, clock) as store:
        for when in (at(2040, 7), at(2040, 8), at(2041, 1)):
            clock.forward((when - clock.now()) / 1000)
            await store.write(lambda tx: tx.journal.append(attempts(1)))
        before = await store.read(lambda tx: [row.at for row in tx.journal.after(0, 10)])
        assert {place for _, place in as_a_stranger(postgres, PLACES)} == {"journal_other"}
        await store.write(lambda tx: make_months(tx.connection, at(2040, 7)))
        assert as_a_stranger(postgres, PLACES) == [(1, "journal_2040_07"), (2, "journal_2040_08"), (3, "journal_other")]
        assert await store.read(lambda tx: [row.at for row in tx.journal.after(0, 10)]) == before
        await store.write(lambda tx: tx.journal.append(attempts(1)))
        assert [seq for seq, _ in as_a_stranger(postgres, PLACES)] == [1, 2, 3, 4]


async def test_whoever_reads_for_long_is_not_waited_for(postgres: str) -> None:
    migrate(postgres)
    async with opened(postgres) as store:
        with psycopg.connect(postgres) as reader:
            reader.execute("SELECT count(*) FROM journal")
            assert await store.write(lambda tx: make_months(tx.connection, at(2030, 11))) == []
            await store.write(lambda tx: tx.journal.append(attempts(1)))
        assert len(await store.write(lambda tx: make_months(tx.connection, at(2030, 11)))) == 3
        assert await store.write(lambda tx: make_months(tx.connection, at(2030, 11))) == []


async def test_two_stores_make_the_same_month_at_once(postgres: str) -> None:
    migrate(postgres)
    async with opened(postgres) as one, opened(postgres) as other:

        def work(tx: SqlTransaction) -> list[str]:
            return make_months(tx.connection, at(2030, 11))

        made = await asyncio.gather(*(store.write(work) for store in (one, other, one, other)))
    assert {f"journal_{name}" for name in ("2030_11", "2030_12", "2031_01")} <= months(postgres)
    assert any(made)


@pytest.mark.parametrize("year", [2024, 2027])
async def test_the_borders_of_a_month_are_utc(postgres: str, year: int) -> None:
    migrate(postgres)
    last = instant(datetime(year, 2, 28 + (year % 4 == 0), 23, 59, 59, 999_000, tzinfo=UTC))
    async with opened(postgres) as store:
        await store.write(lambda tx: make_months(tx.connection, at(year, 2)))
        for when in (last, last + 1):
            await store.write(lambda tx, when=when: tx.connection.execute(insert(journal).values(at=when)))  # type: ignore[misc]
    assert [place for _, place in as_a_stranger(postgres, PLACES)] == [f"journal_{year}_02", f"journal_{year}_03"]


async def test_sqlite_has_no_months(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with opened(tmp_path_factory.mktemp("store")) as store:
        assert await store.write(lambda tx: make_months(tx.connection, at(2030, 11))) == []
