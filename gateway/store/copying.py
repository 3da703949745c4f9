"""The directory's way into PostgreSQL: a file may bring a million endpoints, and COPY takes them many times faster than inserts.

`gateway.store.directory` calls it; SQLite inserts as fast as it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, select
from sqlalchemy.exc import DBAPIError

from gateway.store.statements import upsert
from gateway.store.tables import endpoint

BROUGHT = Table(
    "brought",
    MetaData(),
    Column("place", BigInteger, nullable=False),
    *(Column(column.name, column.type) for column in endpoint.c if column.name != "n"),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)
"""What a file brings, in its order, for the length of one transaction."""

COLUMNS = [column.name for column in BROUGHT.c if column.name != "place"]


def copy_endpoints(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> int:
    """Insert rows of `endpoint` (all columns but `n`), each in the place of the one with its id; returns how many.

    New ones get their numbers in the order of `rows`. An id that comes twice is an error, as in the file it comes from.
    """
    BROUGHT.create(connection)
    count = _copied(connection, rows)
    brought = select(*(BROUGHT.c[name] for name in COLUMNS)).order_by(BROUGHT.c.place)
    connection.execute(upsert(connection, endpoint, ("endpoint",), COLUMNS).from_select(COLUMNS, brought))
    BROUGHT.drop(connection)
    return count


def _copied(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    statement = f"COPY brought (place, {', '.join(COLUMNS)}) FROM STDIN"
    driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    try:
        with driver.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for count, row in enumerate(rows, 1):
                copy.write_row((count, *(row[name] for name in COLUMNS)))
    except psycopg.Error as error:  # as SQLAlchemy would have it, who does not know of COPY
        raise DBAPIError.instance(statement, None, error, psycopg.Error, dialect=connection.dialect) from error
    return count
