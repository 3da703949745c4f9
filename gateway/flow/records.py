"""Journal blocks: how attempts and receipts become fixed-width records. Delivery writes with these; coverage reads them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.model.journal import ACCEPTED, ATTEMPT, NEVER, RECEIPT, STATEMENT, Attempts, Statements, far_hash
from gateway.model.receipt import Level, Reason, Receipt
from gateway.model.time import Instant
from gateway.ports.store import BatchRow, NewBatch, Ordinals


def attempt_block(row: BatchRow, channel: int, number: int, ordinals: Ordinals, now: Instant) -> Attempts:
    """Attempt records for `ordinals` (ascending or not): one record for each run of consecutive ones."""
    breaks = np.flatnonzero(np.diff(ordinals) != 1) + 1
    firsts = ordinals[np.concatenate(([0], breaks)).astype(np.intp)] if len(ordinals) else ordinals
    ends = np.concatenate((breaks, [len(ordinals)])) if len(ordinals) else breaks
    block = np.zeros(len(firsts), ATTEMPT)
    block["at"], block["batch"], block["dispatch"] = now, row.n, row.dispatch
    block["first"], block["count"] = firsts, np.diff(np.concatenate(([0], ends))) if len(ordinals) else 0
    block["channel"], block["number"] = channel, number
    return block


def planned_block(dispatch: int, batches: Sequence[NewBatch]) -> Attempts:
    """Records of attempt 0: these endpoints stand in the outbox from now on."""
    runs = [run for batch in batches for run in _runs(batch)]
    block = np.zeros(len(runs), ATTEMPT)
    block["dispatch"] = dispatch
    block["first"], block["count"] = [first for first, _ in runs], [count for _, count in runs]
    return block


def planned_in(attempts: Attempts) -> Attempts:
    """Those records of a row that say what was planned."""
    planned: Attempts = attempts[attempts["number"] == 0]
    return planned


def _runs(batch: NewBatch) -> list[tuple[int, int]]:
    if batch.only is None:
        return [(batch.first, batch.count)]
    parts = np.split(batch.only, np.flatnonzero(np.diff(batch.only) != 1) + 1)
    return [(int(part[0]), len(part)) for part in parts if len(part)]


def accepted_block(row: BatchRow, channel: str, number: int, receipts: Sequence[Receipt], now: Instant) -> Statements:
    """What `send` itself answered, one record per endpoint; binds far ids to ordinals."""
    block = _blank(len(receipts), number, ACCEPTED, now)
    block["dispatch"] = row.dispatch
    block["ordinal"] = [receipt.endpoint for receipt in receipts]
    _fill(block, channel, receipts)
    return block


def failed_block(row: BatchRow, number: int, ordinals: Ordinals, reason: Reason, now: Instant) -> Statements:
    """That we gave up on these endpoints."""
    block = _blank(len(ordinals), number, ACCEPTED, now)
    block["dispatch"], block["ordinal"] = row.dispatch, ordinals
    block["level"], block["reason"], block["event_at"] = Level.FAILED, reason, NEVER
    return block


def receipt_block(
    channel: str, number: int, receipts: Sequence[Receipt], named: Sequence[tuple[int, int]], now: Instant
) -> Statements:
    """What came later. `named` gives (dispatch, ordinal) where a key said so, else (0, -1): the folder joins by far id."""
    block = _blank(len(receipts), number, RECEIPT, now)
    block["dispatch"] = [dispatch for dispatch, _ in named]
    block["ordinal"] = [ordinal for _, ordinal in named]
    _fill(block, channel, receipts)
    return block


def _blank(size: int, channel: int, kind: int, now: Instant) -> Statements:
    block = np.zeros(size, STATEMENT)
    block["channel"], block["kind"], block["received_at"] = channel, kind, now
    return block


def _fill(block: Statements, channel: str, receipts: Sequence[Receipt]) -> None:
    block["far"] = np.array(
        [far_hash(channel, receipt.far_id) if receipt.far_id else 0 for receipt in receipts], np.uint64
    )
    block["event_at"] = [NEVER if receipt.event_at is None else receipt.event_at for receipt in receipts]
    block["level"] = [receipt.level for receipt in receipts]
    block["reason"] = [receipt.reason for receipt in receipts]
