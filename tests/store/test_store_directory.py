"""Reference data in the store: a file replaces what it brought before, what went is ended, and numbers never change hands."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from store_kit import NOW, opened

from gateway.errors import Refused
from gateway.model.region import DirectoryRow, NamedArea, Region, RegionLevel
from gateway.store import SqlTransaction
from gateway.store.tables import endpoint as endpoint_table


def person(endpoint: str, region: str = "210423100201", **changes: object) -> DirectoryRow:
    values: dict[str, object] = {"channel": "sms", "address": "10000000001", "recipient": endpoint, "covers": 1}
    return DirectoryRow(endpoint=endpoint, region=region, **(values | changes))  # type: ignore[arg-type]


def in_force(tx: SqlTransaction) -> dict[str, tuple[int, str]]:
    """endpoint -> (its number, its region)."""
    return {row.endpoint: (number, row.region) for number, row in tx.directory.endpoints()}


def put(tx: SqlTransaction, file: str, *rows: DirectoryRow, at: int = NOW) -> dict[str, tuple[int, str]]:
    tx.directory.replace_endpoints(file, rows, f"sha-{at}", at)
    return in_force(tx)


async def test_rows_that_went_are_ended_not_deleted_and_come_back_under_their_number(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        first = put(tx, "a.csv", person("p-1"), person("p-2"))
        second = put(tx, "a.csv", person("p-2"), person("p-3"), at=NOW + 1)
        assert second.keys() == {"p-2", "p-3"}
        assert second["p-2"] == first["p-2"]
        ended = tx.connection.execute(select(endpoint_table).where(endpoint_table.c.endpoint == "p-1")).one()
        assert (ended.ended_at, ended.address) == (NOW + 1, "10000000001")
        third = put(tx, "a.csv", person("p-1"), person("p-2"), at=NOW + 2)
        assert third == first

    async with opened(store_url) as store:
        await store.write(work)


async def test_a_row_that_moved_to_another_file_stays_when_the_first_file_is_read_again(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        put(tx, "a.csv", person("p-1"), person("p-2"))
        put(tx, "b.csv", person("p-2", "210423100202"), at=NOW + 1)
        assert put(tx, "a.csv", person("p-1"), at=NOW + 2)["p-2"][1] == "210423100202"
        assert put(tx, "b.csv", at=NOW + 3).keys() == {"p-1"}

    async with opened(store_url) as store:
        await store.write(work)


async def test_every_field_of_an_endpoint_comes_back(store_url: str) -> None:
    row = person("p-1", audiences=("drill", "school"), language="en", name="王", post="村长", covers=7)

    def work(tx: SqlTransaction) -> DirectoryRow:
        tx.directory.replace_endpoints("a.csv", [row], "s", NOW)
        return next(found for _, found in tx.directory.endpoints())

    async with opened(store_url) as store:
        assert await store.write(work) == row


async def test_more_rows_than_one_statement_takes(store_url: str) -> None:
    rows = [person(f"p-{number}") for number in range(4500)]
    async with opened(store_url) as store:
        assert len(await store.write(lambda tx: put(tx, "a.csv", *rows))) == 4500
        assert await store.write(lambda tx: put(tx, "a.csv")) == {}


async def test_nothing_is_half_imported(store_url: str) -> None:
    def broken(tx: SqlTransaction) -> None:
        put(tx, "a.csv", person("p-9"), at=NOW + 1)
        raise Refused("bad_row", 422, "坏行", "bad row")

    async with opened(store_url) as store:
        before = await store.write(lambda tx: put(tx, "a.csv", person("p-1")))
        with pytest.raises(Refused):
            await store.write(broken)
        assert await store.read(in_force) == before
        assert await store.read(lambda tx: tx.directory.imported("directory")) == {"a.csv": f"sha-{NOW}"}


async def test_regions_and_areas_come_back_and_know_their_files(store_url: str) -> None:
    region = Region(
        "210423", "清原满族自治县", RegionLevel.COUNTY, "210400", 300_000, 42.1, 124.9, 9200, ("zh-CN", "en")
    )
    area = NamedArea("HUNHE", "浑河上游", "流域", ("210423100201", "210423100202"))

    def work(tx: SqlTransaction) -> None:
        tx.directory.replace_regions("r.csv", [region], "s1", NOW)
        tx.directory.replace_areas("n.csv", [area], "s2", NOW)

    async with opened(store_url) as store:
        await store.write(work)
        assert await store.read(lambda tx: (tx.directory.regions(), tx.directory.areas())) == ([region], [area])
        assert await store.read(lambda tx: tx.directory.imported("regions")) == {"r.csv": "s1"}
        times = await store.read(lambda tx: tx.directory.import_times())
        assert times == {("regions", "r.csv"): NOW, ("areas", "n.csv"): NOW}
        await store.write(lambda tx: tx.directory.replace_regions("r.csv", [], "s3", NOW))
        assert await store.read(lambda tx: tx.directory.regions()) == []
