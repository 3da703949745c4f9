"""Who did what (audit) and what the pages are told (events)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select

from gateway.model.time import Instant
from gateway.store.pages import Pages
from gateway.store.tables import audit, event, imported


class SqlChronicle:
    """See `ports.store.Chronicle`."""

    def __init__(self, connection: Connection, pages: Pages) -> None:
        self._connection, self._pages = connection, pages

    def audit(self, who: str, what: str, at: Instant, alert: int = 0, note: str = "") -> None:
        self._connection.execute(insert(audit).values(who=who, what=what, at=at, alert=alert, note=note))

    def tell(self, name: str, payload: Mapping[str, Any], at: Instant, alert: int = 0) -> None:
        self._pages.events.append({"name": name, "payload": dict(payload), "at": at, "alert": alert})

    def told(self, alert: int, after: int, limit: int) -> list[tuple[int, int, Instant, str, dict[str, Any]]]:
        query = select(event).where(event.c.id > after)
        if alert:
            query = query.where(event.c.alert == alert)
        found = self._connection.execute(query.order_by(event.c.id).limit(limit))
        return [(row.id, row.alert, row.at, row.name, row.payload) for row in found]

    def newest(self, alert: int, before: int | None, limit: int) -> list[tuple[int, Instant, str, dict[str, Any]]]:
        query = select(event).where(event.c.alert == alert)
        if before is not None:
            query = query.where(event.c.id < before)
        found = self._connection.execute(query.order_by(event.c.id.desc()).limit(limit))
        return [(row.id, row.at, row.name, row.payload) for row in found]

    def audited(self, alert: int) -> list[dict[str, Any]]:
        query = (
            select(audit.c.at, audit.c.who, audit.c.what, audit.c.note)
            .where(audit.c.alert == alert)
            .order_by(audit.c.n)
        )
        return [dict(row) for row in self._connection.execute(query).mappings()]

    def imports(self) -> list[Instant]:
        query = select(imported.c.at).where(imported.c.kind == "directory")
        return list(self._connection.execute(query).scalars())

    def last_done(self, what: str) -> Instant | None:
        return self._connection.execute(select(func.max(audit.c.at)).where(audit.c.what == what)).scalar()

    def last_event(self) -> int:
        return self._connection.execute(select(func.max(event.c.id))).scalar() or 0
