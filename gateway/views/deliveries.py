"""Deliveries: what became of each endpoint of an alert, address masked. Cursor = the last ordinal shown."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gateway.flow.coverage import Account
from gateway.model.dispatch import WorkState
from gateway.model.journal import NEVER
from gateway.model.receipt import Level, Reason
from gateway.model.time import rfc3339
from gateway.ports.desk import Json
from gateway.ports.store import AlertRow, BatchRow, Store, Transaction
from gateway.rules.divisions import within
from gateway.rules.folding import Book
from gateway.rules.merging import first_hand_over

UNKNOWN = ("timeout", "unknown", "error")


class DeliveryViews:
    """Reads endpoints from a book and their work from the outbox."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, row: AlertRow, account: Account, filters: Mapping[str, str], limit: int, cursor: str) -> Json:
        """See `ports.desk.Reads.deliveries`."""
        book = account.book
        batches = await self._store.read(lambda tx: _batches(tx, row.n))
        states, attempts = _work(book, batches)
        chosen = np.flatnonzero(_matching(book, states, filters))
        after = int(cursor) if cursor.lstrip("-").isdigit() else -1
        shown = chosen[chosen > after][: limit + 1]
        more, shown = len(shown) > limit, shown[:limit]
        addresses = await self._addresses(row.n, shown)
        items = [_item(book, int(ordinal), addresses[int(ordinal)], states, attempts) for ordinal in shown]
        return {"items": items, "next": str(shown[-1]) if more else None}

    async def _addresses(self, alert: int, ordinals: NDArray[np.int64]) -> dict[int, tuple[str, str]]:
        if not len(ordinals):
            return {}
        wanted = ordinals.tolist()
        spans = np.split(ordinals, np.flatnonzero(np.diff(ordinals) > 500) + 1)
        found: dict[int, tuple[str, str]] = {}
        for span in spans:
            first, count = int(span[0]), int(span[-1] - span[0] + 1)
            found |= await self._store.read(lambda tx, f=first, c=count: _span(tx, alert, f, c))  # type: ignore[misc]
        return {ordinal: found[ordinal] for ordinal in wanted}


def _span(tx: Transaction, alert: int, first: int, count: int) -> dict[int, tuple[str, str]]:
    addresses, names = tx.rosters.addresses(alert, first, count), tx.rosters.names(alert, first, count)
    known = tx.rosters.endpoints_of(names)
    return {
        first + i: (known.get(name, name), address)
        for i, (name, address) in enumerate(zip(names, addresses, strict=True))
    }


def _batches(tx: Transaction, alert: int) -> list[BatchRow]:
    """The batches that speak of the alert's own roster."""
    own = [dispatch for dispatch in tx.dispatches.of_alert(alert) if dispatch.roster == alert]
    return [batch for dispatch in own for batch in tx.outbox.of_dispatch(dispatch.n)]


def masked_address(address: str) -> str:
    """`138****1234`: enough to recognise, too little to call. Addresses of devices and platforms keep their ends as well."""
    if len(address) <= 4:
        return "****"
    keep = 3 if len(address) >= 8 else 1
    return f"{address[:keep]}****{address[-4:] if len(address) >= 8 else ''}"


def _work(book: Book, batches: list[BatchRow]) -> tuple[list[str], NDArray[np.int64]]:
    """The state of each endpoint's work, and how many attempts its batch has made."""
    states = np.full(book.roster.endpoints, "", object)
    attempts = np.zeros(book.roster.endpoints, np.int64)
    for batch in batches:
        whole = slice(batch.first, batch.first + batch.count)
        attempts[whole] = np.maximum(attempts[whole], batch.attempts)
        begun = batch.state is not WorkState.PENDING or batch.attempts > 0
        states[whole] = WorkState.DONE.value if begun else WorkState.PENDING.value
        lost = batch.state is WorkState.PENDING and batch.reason in UNKNOWN
        states[batch.ordinals] = WorkState.UNKNOWN.value if lost else batch.state.value
    handed = first_hand_over(book.times) < NEVER
    states[handed] = WorkState.DONE.value
    return states.tolist(), attempts


def _matching(book: Book, states: list[str], filters: Mapping[str, str]) -> NDArray[np.bool_]:
    roster = book.roster
    matching = np.ones(roster.endpoints, bool)
    if channel := filters.get("channel"):
        numbers = [number for number, name in enumerate(roster.channels) if name == channel]
        matching &= np.isin(roster.endpoint_channel, numbers)
    if region := filters.get("region"):
        inside = np.array([within(leaf.code, region) for leaf in roster.leaves] + [False], bool)
        matching &= inside[roster.endpoint_leaf]
    if state := filters.get("state"):
        levels = {level.label: level for level in Level}
        if state in levels:
            matching &= book.times[levels[state]] < NEVER
        else:
            matching &= np.array([each == state for each in states], bool)
    return matching


def _level(times: list[int]) -> Level | None:
    """What an endpoint came to: `delivered` and up beat `failed`, which beats what was handed over before it."""
    best = max((level for level in Level if times[level] < NEVER), default=None)
    lost = best is not None and best < Level.DELIVERED and times[best] <= times[Level.FAILED] < NEVER
    return Level.FAILED if lost else best


def _item(book: Book, ordinal: int, names: tuple[str, str], states: list[str], attempts: NDArray[np.int64]) -> Json:
    roster, times = book.roster, book.times[:, ordinal].tolist()
    leaf = int(roster.endpoint_leaf[ordinal])
    failed = int(book.failure[ordinal])
    level = _level(times)
    return {
        "endpoint": names[0] or str(ordinal),
        "unit": masked_address(names[1]),
        "channel": roster.channels[roster.endpoint_channel[ordinal]],
        "region": roster.leaves[leaf].code if leaf >= 0 else "",
        "state": states[ordinal] or "reserve",
        "level": level.label if level is not None else None,
        "reason": Reason(failed & 255).label if failed >= 0 and (level or 0) < Level.DELIVERED else None,
        "attempts": int(attempts[ordinal]),
        "times": {each.label: rfc3339(times[each]) if times[each] < NEVER else None for each in Level},
    }
