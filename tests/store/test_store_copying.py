"""A million endpoints come into PostgreSQL by COPY: what stands there afterwards is what SQLite would hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from filled import VILLAGE, rows_of
from sqlalchemy.exc import DataError
from store_kit import NOW, new_store, opened

from gateway.model.region import DirectoryRow
from gateway.store import SqlTransaction, migrate


def rows(*numbers: int, **changes: object) -> list[DirectoryRow]:
    awkward = {"name": '王\t"\\N"\n\\.', "post": "", "audiences": ("drill", "school")}
    return [
        DirectoryRow(f"e-{n}", "sms", f"1000000{n:04}", VILLAGE, covers=n, **(awkward | changes))  # type: ignore[arg-type]
        for n in numbers
    ]


def bring(tx: SqlTransaction) -> None:
    tx.directory.replace_endpoints("a.csv", rows(3, 1, 2), "1", NOW)
    tx.directory.replace_endpoints("b.csv", rows(9), "2", NOW + 1)
    tx.directory.replace_endpoints("a.csv", rows(2, 7, name="李"), "3", NOW + 2)
    tx.directory.replace_endpoints("c.csv", [], "4", NOW + 3)


async def test_the_same_files_leave_the_same_directory_on_both(tmp_path: Path, postgres: str) -> None:
    migrate(postgres)
    held = []
    for url in (new_store(tmp_path), postgres):
        async with opened(url) as store:
            await store.write(bring)
        held.append({name: rows_of(url)[name] for name in ("endpoint", "imported")})
        for row in held[-1]["endpoint"]:
            del row["n"]  # PostgreSQL spends numbers on rows that were there
    assert held[0] == held[1]
    assert [row["endpoint"] for row in held[1]["endpoint"]] == ["e-3", "e-1", "e-2", "e-9", "e-7"]


@pytest.mark.parametrize("wrong", [{"name": "nul\0"}, {"region": "2" * 17}])
async def test_a_row_that_cannot_be_kept_is_its_own_works_fault(postgres: str, wrong: dict[str, str]) -> None:
    migrate(postgres)
    bad = DirectoryRow(**({"endpoint": "x", "channel": "sms", "address": "1", "region": VILLAGE} | wrong))  # type: ignore[arg-type]
    async with opened(postgres) as store:
        with pytest.raises(DataError):
            await store.write(lambda tx: tx.directory.replace_endpoints("a.csv", [*rows(1), bad], "1", NOW))
        assert store.healthy
        await store.write(lambda tx: tx.directory.replace_endpoints("a.csv", rows(1), "1", NOW))
        assert await store.read(lambda tx: [row.endpoint for _, row in tx.directory.endpoints()]) == ["e-1"]
