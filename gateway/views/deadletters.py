"""Dead letters: batches that were given up, and queue messages that nobody could read."""

from __future__ import annotations

from typing import Any

from gateway.model.time import rfc3339
from gateway.ports.desk import Json
from gateway.ports.store import BatchRow, Store, StrayRow, Transaction

MOST = 200


class DeadLetterViews:
    """Reads them from the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self) -> list[Json]:
        """See `ports.desk.Reads.dead_letters`."""
        return await self._store.read(_page)


def _page(tx: Transaction) -> list[dict[str, Any]]:
    return [*map(_stray, tx.strays.page(MOST)), *(_batch(tx, row) for row in tx.outbox.dead(MOST))]


def _stray(row: StrayRow) -> dict[str, Any]:
    return {
        "id": f"m{row.n}",
        "kind": "message",
        "channel": row.route,
        "endpoints": None,
        "attempts": None,
        "reason": row.reason,
        "at": rfc3339(row.at),
        "alert": None,
        "headline": "",
        "replaying": row.replay,
    }


def _batch(tx: Transaction, row: BatchRow) -> dict[str, Any]:
    alert = tx.alerts.by_number(tx.dispatches.get(row.dispatch).alert)
    return {
        "id": str(row.n),
        "kind": "batch",
        "channel": row.channel,
        "endpoints": len(row.ordinals),
        "attempts": row.attempts,
        "reason": row.reason,
        "at": None,
        "alert": alert.id if alert else None,
        "headline": alert.headline if alert else "",
        "replaying": False,
    }
