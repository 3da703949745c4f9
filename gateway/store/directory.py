"""Reference data in the store: regions, named areas and the directory, each row under the file that brought it.

A file replaces the rows it brought before; rows that went are ended, not deleted. Nothing is half imported: the caller's
transaction holds the whole file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Table, and_, select, update

from gateway.model.region import DirectoryRow, NamedArea, Region, RegionLevel
from gateway.model.time import Instant
from gateway.store.copying import copy_endpoints
from gateway.store.statements import upsert
from gateway.store.tables import endpoint, imported, named_area, region

CHUNK = 2000


class SqlDirectory:
    """Regions, named areas, endpoints, and what was imported when."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def imported(self, kind: str) -> dict[str, str]:
        """file -> SHA-256 of the files of `kind` (`regions`, `areas`, `directory`) that are in the store."""
        query = select(imported.c.file, imported.c.sha256).where(imported.c.kind == kind)
        return {row.file: row.sha256 for row in self._connection.execute(query)}

    def import_times(self) -> dict[tuple[str, str], Instant]:
        """(kind, file) -> when it was imported."""
        return {(row.kind, row.file): row.at for row in self._connection.execute(select(imported))}

    def replace_regions(self, file: str, rows: Sequence[Region], sha256: str, now: Instant) -> None:
        """Make `file` the bringer of exactly these regions."""
        bodies = ({"code": row.code, "body": asdict(row) | {"level": int(row.level)}} for row in rows)
        self._replace(region, "code", "regions", file, bodies, sha256, now)

    def replace_areas(self, file: str, rows: Sequence[NamedArea], sha256: str, now: Instant) -> None:
        """Make `file` the bringer of exactly these named areas."""
        self._replace(
            named_area, "id", "areas", file, ({"id": row.id, "body": asdict(row)} for row in rows), sha256, now
        )

    def replace_endpoints(self, file: str, rows: Sequence[DirectoryRow], sha256: str, now: Instant) -> None:
        """Make `file` the bringer of exactly these endpoints."""
        self._replace(endpoint, "endpoint", "directory", file, map(_endpoint_values, rows), sha256, now)

    def regions(self) -> list[Region]:
        """All regions in force."""
        found = self._connection.execute(select(region.c.body).where(region.c.ended_at.is_(None))).scalars()
        return [_region(body) for body in found]

    def areas(self) -> list[NamedArea]:
        """All named areas in force."""
        found = self._connection.execute(select(named_area.c.body).where(named_area.c.ended_at.is_(None))).scalars()
        return [NamedArea(**(body | {"members": tuple(body["members"])})) for body in found]

    def endpoints(self) -> Iterator[tuple[int, DirectoryRow]]:
        """(number, row) of every endpoint in force, in order of their numbers."""
        query = select(endpoint).where(endpoint.c.ended_at.is_(None)).order_by(endpoint.c.n)
        for row in self._connection.execute(query):
            audiences = tuple(row.audiences.split(";")) if row.audiences else ()
            yield (
                row.n,
                DirectoryRow(
                    row.endpoint,
                    row.channel,
                    row.address,
                    row.region,
                    row.recipient,
                    row.covers,
                    audiences,
                    row.language,
                    row.name,
                    row.post,
                ),
            )

    def _replace(
        self, table: Table, key: str, kind: str, file: str, rows: Iterable[dict[str, Any]], sha256: str, now: Instant
    ) -> None:
        self._connection.execute(
            update(table).where(and_(table.c.file == file, table.c.ended_at.is_(None))).values(ended_at=now)
        )
        fresh = ({**row, "file": file, "ended_at": None} for row in rows)
        by_copy = table is endpoint and self._connection.dialect.name == "postgresql"
        count = copy_endpoints(self._connection, fresh) if by_copy else self._upsert_chunks(table, key, fresh)
        self._upsert(
            imported, ("kind", "file"), [{"kind": kind, "file": file, "sha256": sha256, "rows": count, "at": now}]
        )

    def _upsert_chunks(self, table: Table, key: str, rows: Iterable[dict[str, Any]]) -> int:
        count = 0
        for chunk in _chunks(rows):
            self._upsert(table, key, chunk)
            count += len(chunk)
        return count

    def _upsert(self, table: Table, key: str | tuple[str, ...], rows: list[dict[str, Any]]) -> None:
        keys = (key,) if isinstance(key, str) else key
        self._connection.execute(upsert(self._connection, table, keys, tuple(rows[0])), rows)


def _endpoint_values(row: DirectoryRow) -> dict[str, Any]:
    """Written out, since there may be a million of them."""
    return {
        "endpoint": row.endpoint,
        "channel": row.channel,
        "address": row.address,
        "region": row.region,
        "recipient": row.recipient,
        "covers": row.covers,
        "audiences": ";".join(row.audiences),
        "language": row.language,
        "name": row.name,
        "post": row.post,
    }


def _region(body: dict[str, Any]) -> Region:
    plural = {name: tuple(body[name]) for name in ("languages", "aliases")}
    extra = tuple((heading, value) for heading, value in body["extra"])
    return Region(**(body | plural | {"level": RegionLevel(body["level"]), "extra": extra}))


def _chunks(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
