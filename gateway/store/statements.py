"""Statement shapes that several rooms of the store need: insert a row and learn its number; insert it in another's place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert


def insert_numbered(connection: Connection, statement: Insert) -> int:
    """Execute an insert of one row; returns the primary key the database gave it."""
    key = connection.execute(statement).inserted_primary_key
    if key is None:
        raise LookupError("the database gave no key")
    return int(key[0])


def upsert(connection: Connection, table: Table, keys: Sequence[str], columns: Sequence[str]) -> Any:
    """An insert into `table` that replaces `columns` of the row with the same `keys` (none = left to the caller)."""
    statement: Any = (sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert)(table)
    fresh = {name: statement.excluded[name] for name in columns if name not in keys}
    return statement.on_conflict_do_update(index_elements=list(keys), set_=fresh) if fresh else statement
