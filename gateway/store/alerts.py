"""Alerts, the references they make, the files that came with them, and their ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from gateway.model.alert import AlertState
from gateway.model.time import Instant
from gateway.ports.store import AlertRow, ReferenceRow
from gateway.store.statements import insert_numbered
from gateway.store.tables import (
    alert,
    alert_region,
    attachment,
    batch,
    dispatch,
    event,
    message,
    reference,
    roster,
    roster_part,
    snapshot,
)

OLD = 100
"""Alerts struck out at a time."""

CANARY = "canary"


class SqlAlerts:
    """See `ports.store.Alerts`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(
        self, row: AlertRow, references: Sequence[tuple[str, str, Instant | None]], regions: Mapping[str, bool]
    ) -> int:
        values = asdict(row)
        del values["n"]
        values["scope"], values["findings"] = list(row.scope), list(row.findings)
        n = insert_numbered(self._connection, insert(alert).values(**values))
        if regions:
            named_regions = [{"alert": n, "code": code, "whole": whole} for code, whole in regions.items()]
            self._connection.execute(insert(alert_region), named_regions)
        if references:
            named = [
                {"alert": n, "place": place, "sender": sender, "identifier": identifier, "sent": sent}
                for place, (sender, identifier, sent) in enumerate(references)
            ]
            self._connection.execute(insert(reference), named)
        return n

    def by_identity(self, sender: str, identifier: str, sent: Instant) -> AlertRow | None:
        return self._one(alert.c.sender == sender, alert.c.identifier == identifier, alert.c.sent == sent)

    def by_id(self, id: str) -> AlertRow | None:
        return self._one(alert.c.id == id)

    def by_number(self, n: int) -> AlertRow | None:
        return self._one(alert.c.n == n)

    def named(self, identifiers: Iterable[str]) -> list[AlertRow]:
        names = sorted(set(identifiers))
        found: list[AlertRow] = []
        for start in range(0, len(names), 500):
            found += self._many(alert.c.identifier.in_(names[start : start + 500]))
        return found

    def released(self) -> list[AlertRow]:
        return self._many(alert.c.state == AlertState.RELEASED.value)

    def references(self, n: int) -> list[ReferenceRow]:
        return self._references(reference.c.alert == n)

    def referring(self, identifier: str) -> list[ReferenceRow]:
        return self._references(reference.c.identifier == identifier)

    def set_state(
        self,
        n: int,
        state: AlertState,
        *,
        why: str = "",
        released_at: Instant | None = None,
        ended_at: Instant | None = None,
        ended_by: int = 0,
    ) -> None:
        values: dict[str, Any] = {"state": state.value, "why": why}
        given = {"released_at": released_at, "ended_at": ended_at, "ended_by": ended_by or None}
        self._set(n, values | {name: value for name, value in given.items() if value is not None})

    def ended_by(self, n: int) -> list[AlertRow]:
        return self._many(alert.c.ended_by == n)

    def overdue(self, now: Instant) -> list[AlertRow]:
        return self._many(alert.c.state == AlertState.RELEASED.value, alert.c.expires_at <= now)

    def forget(self, via: str, before: Instant) -> int:
        old = list(
            self._connection.execute(
                select(alert.c.n).where(alert.c.via == via, alert.c.received_at < before).limit(OLD)
            ).scalars()
        )
        if old:
            sent = select(dispatch.c.n).where(dispatch.c.alert.in_(old))
            for made in (batch, message):
                self._connection.execute(delete(made).where(made.c.dispatch.in_(sent)))
            for made in (dispatch, roster, roster_part, snapshot, event, attachment, reference, alert_region):
                self._connection.execute(delete(made).where(made.c.alert.in_(old)))
            self._connection.execute(delete(alert).where(alert.c.n.in_(old)))
        return len(old)

    def set_plan(self, n: int, plan: Mapping[str, Any]) -> None:
        self._set(n, {"plan": dict(plan)})

    def set_kind(self, n: int, kind: str) -> None:
        self._set(n, {"kind": kind})

    def add_findings(self, n: int, findings: Sequence[Mapping[str, Any]]) -> None:
        row = self.by_number(n)
        if row is not None and findings:
            self._set(n, {"findings": [*row.findings, *findings]})

    def attach(self, n: int, name: str, content: bytes) -> None:
        digest = sha256(content).hexdigest()
        row = {"alert": n, "name": name, "sha256": digest, "size": len(content), "content": content}
        self._connection.execute(insert(attachment).values(**row))

    def attachments(self, n: int) -> list[dict[str, Any]]:
        query = select(attachment.c.name, attachment.c.sha256, attachment.c.size).where(attachment.c.alert == n)
        return [dict(row) for row in self._connection.execute(query.order_by(attachment.c.name)).mappings()]

    def page(self, filters: Mapping[str, Any], before: int | None, limit: int) -> list[AlertRow]:
        query = select(alert).where(*_conditions(filters))
        if before is not None:
            query = query.where(alert.c.n < before)
        return [
            _row(found) for found in self._connection.execute(query.order_by(alert.c.n.desc()).limit(limit)).mappings()
        ]

    def _set(self, n: int, values: Mapping[str, Any]) -> None:
        self._connection.execute(update(alert).where(alert.c.n == n).values(**values))

    def _one(self, *conditions: Any) -> AlertRow | None:
        found = self._connection.execute(select(alert).where(*conditions)).mappings().first()
        return _row(found) if found else None

    def _many(self, *conditions: Any) -> list[AlertRow]:
        return [
            _row(found)
            for found in self._connection.execute(select(alert).where(*conditions).order_by(alert.c.n)).mappings()
        ]

    def _references(self, condition: Any) -> list[ReferenceRow]:
        query = select(reference).where(condition).order_by(reference.c.alert, reference.c.place)
        return [
            ReferenceRow(row.alert, row.sender, row.identifier, row.sent) for row in self._connection.execute(query)
        ]


def _conditions(filters: Mapping[str, Any]) -> list[Any]:
    """Filters as SQL; see `ports.store.Alerts.page`."""
    conditions: list[Any] = [alert.c.via != CANARY]
    conditions += [alert.c[name] == filters[name] for name in ("identifier", "sender", "sent") if name in filters]
    if "states" in filters:
        conditions.append(alert.c.state.in_([state.value for state in filters["states"]]))
    if "since" in filters:
        conditions.append(alert.c.received_at >= filters["since"])
    if "region" in filters:
        here = alert_region.c.code == filters["region"]
        above = alert_region.c.whole & alert_region.c.code.in_(list(filters.get("holders", ())))
        conditions.append(alert.c.n.in_(select(alert_region.c.alert).where(here | above)))
    return conditions


def _row(found: RowMapping) -> AlertRow:
    return AlertRow(**{**found, "state": AlertState(found["state"])})
