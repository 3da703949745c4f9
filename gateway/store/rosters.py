"""Rosters: numpy columns in one binary, and the addresses in parts beside them, so that a batch reads only its own."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, delete, insert, select

from gateway.model.roster import Roster, RosterLeaf
from gateway.model.time import Instant
from gateway.store.tables import endpoint, roster, roster_part

COLUMNS = (
    "person_leaf",
    "person_weight",
    "endpoint_person",
    "endpoint_channel",
    "endpoint_leaf",
    "catch_endpoint",
    "catch_leaf",
    "catch_people",
)


class SqlRosters:
    """See `ports.store.Rosters`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def clear_parts(self, alert: int) -> None:
        self._connection.execute(delete(roster_part).where(roster_part.c.alert == alert))

    def put_part(self, alert: int, first: int, addresses: Sequence[str], names: Sequence[str]) -> None:
        row = {
            "alert": alert,
            "first": first,
            "count": len(addresses),
            "addresses": "\n".join(addresses),
            "names": "\n".join(names),
        }
        self._connection.execute(insert(roster_part).values(**row))

    def freeze(self, alert: int, frozen: Roster, header: Mapping[str, Any], at: Instant) -> None:
        body = {
            **header,
            "channels": list(frozen.channels),
            "leaves": [
                [leaf.code, leaf.name, leaf.micro_people, leaf.pseudo, leaf.registered] for leaf in frozen.leaves
            ],
        }
        row = {"alert": alert, "frozen_at": at, "endpoints": frozen.endpoints, "header": body, "columns": _pack(frozen)}
        self._connection.execute(insert(roster).values(**row))

    def get(self, alert: int) -> tuple[Roster, dict[str, Any]] | None:
        found = self._connection.execute(
            select(roster.c.header, roster.c.columns).where(roster.c.alert == alert)
        ).first()
        if found is None:
            return None
        header = dict(found.header)
        leaves = tuple(RosterLeaf(*leaf) for leaf in header.pop("leaves"))
        channels = tuple(header.pop("channels"))
        return Roster(leaves, channels, **_unpack(found.columns)), header

    def addresses(self, alert: int, first: int, count: int) -> list[str]:
        return self._lines(roster_part.c.addresses, alert, first, count)

    def names(self, alert: int, first: int, count: int) -> list[str]:
        return self._lines(roster_part.c.names, alert, first, count)

    def endpoints_of(self, names: Sequence[str]) -> dict[str, str]:
        numbers = [int(name) for name in names if name.isdigit()]
        query = select(endpoint.c.n, endpoint.c.endpoint).where(endpoint.c.n.in_(numbers))
        return {str(row.n): row.endpoint for row in self._connection.execute(query)}

    def _lines(self, column: Any, alert: int, first: int, count: int) -> list[str]:
        parts = (
            select(roster_part.c.first, roster_part.c.count, column)
            .where(roster_part.c.alert == alert, roster_part.c.first < first + count)
            .where(roster_part.c.first + roster_part.c.count > first)
            .order_by(roster_part.c.first)
        )
        lines: list[str] = []
        for start, size, words in self._connection.execute(parts):
            part = words.split("\n") if words is not None else [""] * size
            lines += part[max(0, first - start) : first + count - start]
        return lines


def _pack(frozen: Roster) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{name: getattr(frozen, name) for name in COLUMNS})
    return buffer.getvalue()


def _unpack(columns: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(columns), allow_pickle=False) as packed:
        return {name: packed[name] for name in COLUMNS}
