"""Alerts as lists and pages show them: an item, the whole of one, its chain, its log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.cap import as_json
from gateway.errors import Refused
from gateway.flow.world import World
from gateway.model.alert import AlertState, Grade
from gateway.model.time import Instant, instant, rfc3339
from gateway.ports.desk import Json, Principal
from gateway.ports.store import AlertRow, Store, Transaction
from gateway.rules.divisions import within

MOST = 500


class AlertViews:
    """Reads alerts from the store."""

    def __init__(self, store: Store, world: World) -> None:
        self._store, self._world = store, world

    async def row(self, by: Principal, id: str) -> AlertRow | None:
        """The alert, if there is one and it is this principal's to see."""
        row = await self._store.read(lambda tx: tx.alerts.by_id(id))
        return row if row is not None and visible(by, row) else None

    async def page(
        self, by: Principal, filters: Mapping[str, str], limit: int, cursor: str
    ) -> tuple[list[AlertRow], str | None]:
        """Alerts newest first, and the cursor of the next page."""
        conditions, wanted = self._conditions(filters), min(max(limit, 1), MOST)
        before = int(cursor) if cursor.isdigit() else None
        rows: list[AlertRow] = []
        while len(rows) <= wanted:
            found = await self._store.read(lambda tx, at=before: tx.alerts.page(conditions, at, wanted + 1))  # type: ignore[misc]
            rows += [row for row in found if visible(by, row)]
            if len(found) <= wanted:
                break
            before = found[-1].n
        more = len(rows) > wanted
        return rows[:wanted], str(rows[wanted - 1].n) if more else None

    async def detail(self, row: AlertRow) -> Json:
        """What an item does not say: CAP as JSON, findings, chain, plan, attachments, audit, flags."""

        def work(tx: Transaction) -> Json:
            return {
                "chain": [_link(each) for each in _chain(tx, row)],
                "attachments": tx.alerts.attachments(row.n),
                "audit": [entry | {"at": rfc3339(entry["at"])} for entry in tx.chronicle.audited(row.n)],
                "flags": sorted(
                    {flag for dispatch in tx.dispatches.of_alert(row.n) for flag in tx.dispatches.flags(dispatch.n)}
                ),
            }

        read = await self._store.read(work)
        return read | {
            "cap": as_json(self._world.alert(row)),
            "findings": list(row.findings),
            "plan": _plan(row),
            "kind": row.kind,
            "why": row.why,
            "sha256": row.sha256,
            "fingerprint": row.fingerprint,
            "dialect": row.dialect,
            "via": row.via,
        }

    async def log(self, row: AlertRow, limit: int, cursor: str) -> Json:
        """What happened, newest first."""
        before, wanted = int(cursor) if cursor.isdigit() else None, min(max(limit, 1), MOST)
        told = await self._store.read(lambda tx: tx.chronicle.newest(row.n, before, wanted + 1))
        items = [
            {
                "id": id,
                "at": rfc3339(at),
                "level": payload.get("level", "info"),
                "code": _code(name, payload),
                "args": payload,
            }
            for id, at, name, payload in told[:wanted]
        ]
        return {"items": items, "next": str(told[wanted - 1][0]) if len(told) > wanted else None}

    def _conditions(self, filters: Mapping[str, str]) -> dict[str, Any]:
        conditions: dict[str, Any] = {name: filters[name] for name in ("identifier", "sender") if filters.get(name)}
        if state := filters.get("state"):
            conditions["states"] = [AlertState.RELEASED] if state == "active" else [_state(state)]
        for name in ("sent", "since"):
            if filters.get(name):
                conditions[name] = _instant(filters[name], name)
        if code := filters.get("region"):
            chain = self._world.tree.chain(code)
            conditions["region"] = chain[0].code if chain else code
            conditions["holders"] = [region.code for region in chain[1:]]
        return conditions


def item(row: AlertRow, coverage: Json | None) -> Json:
    """An alert in a list."""
    return {
        "id": row.id,
        "identifier": row.identifier,
        "sender": row.sender,
        "sent": rfc3339(row.sent),
        "headline": row.headline,
        "event": row.event,
        "event_code": row.event_code,
        "grade": Grade(row.grade).label,
        "status": row.status,
        "msg_type": row.msg_type,
        "state": row.state.value,
        "source": row.source,
        "received_at": rfc3339(row.received_at),
        "released_at": _time(row.released_at),
        "expires_at": rfc3339(row.expires_at),
        "ended_at": _time(row.ended_at),
        "regions": list(row.scope)[:100],
        "warnings": sum(finding["level"] == "warning" for finding in row.findings),
        "coverage": coverage,
    }


def visible(by: Principal, row: AlertRow) -> bool:
    """One sees what touches one's regions, and a source what it posted itself."""
    if not by.regions or (by.source and by.source == row.source):
        return True
    return any(within(code, scope) or within(scope, code) for code in row.scope for scope in by.regions)


def _chain(tx: Transaction, row: AlertRow) -> list[AlertRow]:
    """The messages that ended it and that it ended, over all links, oldest first."""
    found, waiting = {row.n: row}, [row]
    while waiting:
        here = waiting.pop()
        near = tx.alerts.ended_by(here.n)
        if here.ended_by and (ender := tx.alerts.by_number(here.ended_by)) is not None:
            near.append(ender)
        fresh = [each for each in near if each.n not in found]
        found |= {each.n: each for each in fresh}
        waiting += fresh
    return sorted(found.values(), key=lambda each: (each.sent, each.n))


def _link(row: AlertRow) -> Json:
    return {
        "id": row.id,
        "msg_type": row.msg_type,
        "state": row.state.value,
        "sent": rfc3339(row.sent),
        "headline": row.headline,
    }


def _plan(row: AlertRow) -> Json | None:
    choices = row.plan.get("choices", [])
    if not choices:
        return None
    return {
        "rule": choices[0]["rule"],
        "first": list(dict.fromkeys(name for choice in choices for name in choice["first"])),
        "reserve": list(dict.fromkeys(name for choice in choices for name in choice["reserve"])),
        "quieted": [quieted for choice in choices for quieted in choice["quieted"]],
    }


def _code(name: str, payload: Mapping[str, Any]) -> str:
    return f"{name}_{payload.get('state') or payload.get('code', '')}"


def _time(at: Instant | None) -> str | None:
    return None if at is None else rfc3339(at)


def _state(word: str) -> AlertState:
    try:
        return AlertState(word)
    except ValueError as error:
        known = ", ".join(state.value for state in AlertState)
        zh, en = f"没有状态 {word}；可用：active、{known}。", f"No state {word!r}; known are active, {known}."
        raise Refused("bad_filter", 400, zh, en) from error


def _instant(text: str, name: str) -> Instant:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(
            "bad_filter", 400, f"{name} 不是 RFC 3339 时间：{text}", f"{name} is no RFC 3339 time: {text}"
        ) from error
    if at.tzinfo is None:
        raise Refused("bad_filter", 400, f"{name} 缺少时区：{text}", f"{name} lacks an offset: {text}")
    return instant(at)
