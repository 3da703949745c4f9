"""Records and outcomes: what one send came to, and how it stands in the journal."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.channel import (
    Batch,
    Cause,
    Endpoint,
    Level,
    Message,
    Misconfigured,
    Reason,
    Receipt,
    Rejected,
    Throttled,
    Unavailable,
)
from gateway.flow.outcomes import answered, far_side_gone, raised
from gateway.flow.records import accepted_block, attempt_block, failed_block, receipt_block
from gateway.model.dispatch import Priority, WorkState
from gateway.model.journal import ACCEPTED, NEVER, RECEIPT, far_hash
from gateway.ports.store import BatchRow

NOW = 1_784_701_800_000
ROW = BatchRow(9, 4, "sms", 0, Priority.RED, 0, 10, NOW, WorkState.SENDING, NOW, 1, None)


def part(*ordinals: int) -> Batch:
    endpoints = [Endpoint(ordinal, f"1000000{ordinal:04}") for ordinal in ordinals]
    return Batch("a", "A-1", "d", "sms", Cause.RELEASE, Message("zh-CN", "暴雨"), endpoints, NOW)


@pytest.mark.parametrize(
    ("ordinals", "runs"),
    [
        ([0, 1, 2], [(0, 3)]),
        ([5], [(5, 1)]),
        ([], []),
        ([1, 3, 4, 8], [(1, 1), (3, 2), (8, 1)]),
        ([4, 2, 3], [(4, 1), (2, 2)]),
    ],
)
def test_attempts_are_kept_as_runs(ordinals: list[int], runs: list[tuple[int, int]]) -> None:
    block = attempt_block(ROW, 3, 2, np.array(ordinals, np.int32), NOW)
    assert [(int(record["first"]), int(record["count"])) for record in block] == runs
    assert {tuple(record)[0:3] for record in block} <= {(NOW, 9, 4)}
    assert set(block["number"].tolist()) <= {2}


def test_what_a_send_answered_binds_the_far_id() -> None:
    block = accepted_block(
        ROW, "sms", 3, [Receipt(Level.ACCEPTED, 7, "F1", event_at=NOW - 5), Receipt(Level.FAILED, 8)], NOW
    )
    assert block["kind"].tolist() == [ACCEPTED] * 2
    assert block["far"].tolist() == [far_hash("sms", "F1"), 0]
    assert block["event_at"].tolist() == [NOW - 5, NEVER]
    assert (block["ordinal"].tolist(), block["dispatch"].tolist()) == ([7, 8], [4, 4])


def test_an_id_means_nothing_on_another_channel() -> None:
    assert far_hash("sms", "F1") != far_hash("sms-2", "F1")
    assert far_hash("sms", "F1") == far_hash("sms", "F1") != 0


def test_later_receipts_name_a_person_or_only_an_id() -> None:
    block = receipt_block(
        "sms", 3, [Receipt(Level.DELIVERED, far_id="F1"), Receipt(Level.READ, key="k")], [(0, -1), (4, 2)], NOW
    )
    assert block["kind"].tolist() == [RECEIPT] * 2
    assert [(row["dispatch"].item(), row["ordinal"].item()) for row in block] == [(0, -1), (4, 2)]


def test_giving_up_is_a_failure_without_a_time_of_its_own() -> None:
    block = failed_block(ROW, 3, np.array([1, 2], np.int32), Reason.REJECTED, NOW)
    assert block["level"].tolist() == [Level.FAILED] * 2
    assert block["event_at"].tolist() == [NEVER] * 2
    assert block["reason"].tolist() == [Reason.REJECTED] * 2


def test_who_was_left_out_is_unknown_and_tried_again() -> None:
    outcome = answered(part(1, 2, 3), [Receipt(Level.ACCEPTED, 2)], Level.DELIVERED)
    assert (outcome.again.tolist(), outcome.unknown, outcome.reason) == ([1, 3], 2, Reason.UNKNOWN)


def test_a_passing_failure_is_tried_again_and_no_duplicate() -> None:
    failed = Receipt(Level.FAILED, 1, reason=Reason.THROTTLED)
    outcome = answered(part(1, 2), [failed, Receipt(Level.FAILED, 2, reason=Reason.INVALID_ADDRESS)], Level.DELIVERED)
    assert (outcome.again.tolist(), outcome.unknown, outcome.reason) == ([1], 0, Reason.THROTTLED)
    assert [receipt.endpoint for receipt in outcome.receipts] == [2]


def test_statements_about_strangers_are_not_kept_and_boasting_is_cut() -> None:
    outcome = answered(part(1), [Receipt(Level.ACK, 1), Receipt(Level.ACK, 77)], Level.ACCEPTED)
    assert [(receipt.endpoint, receipt.level) for receipt in outcome.receipts] == [(1, Level.ACCEPTED)]
    assert len(outcome.again) == 0


@pytest.mark.parametrize(
    ("error", "reason", "unknown", "final", "gone"),
    [
        (Unavailable(), Reason.UNAVAILABLE, 0, False, True),
        (Throttled(1.0), Reason.THROTTLED, 0, False, True),
        (Rejected(), Reason.REJECTED, 0, True, False),
        (Misconfigured(), Reason.MISCONFIGURED, 0, True, True),
        (Rejected("", Reason.QUOTA), Reason.QUOTA, 0, True, False),
        (TimeoutError(), Reason.TIMEOUT, 2, False, True),
        (ZeroDivisionError(), Reason.ERROR, 2, False, False),
    ],
)
def test_what_an_error_of_a_send_means(error: Exception, reason: Reason, unknown: int, final: bool, gone: bool) -> None:
    outcome = raised(part(1, 2), error)
    assert (outcome.reason, outcome.unknown, outcome.final) == (reason, unknown, final)
    assert outcome.again.tolist() == [1, 2]
    assert far_side_gone(outcome) is gone
