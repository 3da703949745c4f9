"""The one statement shape that every room of the store needs: insert a row and learn its number."""

from __future__ import annotations

from sqlalchemy import Connection, Insert


def insert_numbered(connection: Connection, statement: Insert) -> int:
    """Execute an insert of one row; returns the primary key the database gave it."""
    key = connection.execute(statement).inserted_primary_key
    if key is None:
        raise LookupError("the database gave no key")
    return int(key[0])
