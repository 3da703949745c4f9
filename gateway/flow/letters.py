"""Letters: what a courier puts on the wire for a batch: its words (and their sound), its addresses, and when it was released."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.model.alert import Grade
from gateway.model.dispatch import Batch, Endpoint
from gateway.model.time import Instant
from gateway.ports.speech import Speech
from gateway.ports.store import BatchRow, Ordinals, Store, Transaction

KEPT = 64
"""Envelopes kept for the batches that share them."""


class Letters:
    """Reads letters from the store; what many batches share is read once."""

    def __init__(self, store: Store, speech: Speech | None) -> None:
        """`speech`: for a channel that speaks. A sound is made once, by the first letter; other channels never wait for it."""
        self._store, self._speech = store, speech
        self._envelopes: dict[tuple[int, int], tuple[Batch, Instant]] = {}
        self._leaves: dict[int, tuple[Ordinals, tuple[str, ...]]] = {}

    async def open(self, row: BatchRow) -> tuple[Batch, Instant]:
        """The batch of `row` with every endpoint still to be sent, and the instant of the alert's release."""
        place = (row.dispatch, row.variant)

        def read(tx: Transaction) -> tuple[tuple[Batch, Instant], Sequence[Endpoint]]:
            return self._envelopes.get(place) or self._envelope(tx, row), self._endpoints(tx, row)

        opened, endpoints = await self._store.read(read)
        if place not in self._envelopes:
            if len(self._envelopes) >= KEPT:
                self._envelopes.clear()
            self._envelopes[place] = (await self._spoken(opened[0]), opened[1])
        envelope, released_at = self._envelopes[place]
        return replace(envelope, endpoints=endpoints, expires_at=row.expires_at, attempt=row.attempts + 1), released_at

    async def _spoken(self, envelope: Batch) -> Batch:
        if self._speech is None:
            return envelope
        audio = await self._speech.say(envelope.message.text, envelope.message.language)
        return replace(envelope, message=replace(envelope.message, audio=audio))

    def _envelope(self, tx: Transaction, row: BatchRow) -> tuple[Batch, Instant]:
        dispatch = tx.dispatches.get(row.dispatch)
        alert = tx.alerts.by_number(dispatch.alert)
        if alert is None:
            raise LookupError(f"dispatch {dispatch.id} without its alert")
        batch = Batch(
            alert=alert.id,
            identifier=alert.identifier,
            dispatch=dispatch.id,
            channel=row.channel,
            cause=dispatch.cause,
            message=tx.dispatches.message(row.dispatch, row.channel, row.variant),
            endpoints=(),
            expires_at=row.expires_at,
            grade=Grade(alert.grade).label,
            event=alert.event,
            event_code=alert.event_code,
            status=alert.status,
            sent_at=alert.sent,
            sender=alert.sender,
            supersedes=str(dispatch.targets.get("supersedes", "")),
        )
        return batch, max(dispatch.due_at, alert.released_at or 0)

    def _endpoints(self, tx: Transaction, row: BatchRow) -> Sequence[Endpoint]:
        roster = tx.dispatches.get(row.dispatch).roster
        if roster not in self._leaves:
            self._leaves = {roster: _codes(tx, roster)}
        leaf_of, codes = self._leaves[roster]
        addresses = tx.rosters.addresses(roster, row.first, row.count)
        return [
            Endpoint(ordinal, addresses[ordinal - row.first], codes[leaf_of[ordinal]] if leaf_of[ordinal] >= 0 else "")
            for ordinal in row.ordinals.tolist()
        ]


def _codes(tx: Transaction, roster: int) -> tuple[Ordinals, tuple[str, ...]]:
    found = tx.rosters.get(roster)
    if found is None:
        raise LookupError(f"no roster for alert {roster}")
    return found[0].endpoint_leaf, tuple(leaf.code for leaf in found[0].leaves)
