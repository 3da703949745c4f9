"""The outbox: in which order batches leave, who holds them, how they end, and whom they may have reached."""

from __future__ import annotations

import numpy as np
import pytest
from store_kit import LATER, NOW, keep, new_batch, open_dispatch, opened

from gateway.model.dispatch import Cause, Priority, WorkState
from gateway.ports.store import BatchRow
from gateway.store import SqlTransaction

NOTHING = np.empty(0, np.int32)


def due(tx: SqlTransaction, now: int = NOW) -> list[int]:
    return [row.n for row in tx.outbox.due("sms", now, 10)]


def begun(tx: SqlTransaction, count: int = 4, only: list[int] | None = None) -> tuple[int, int, BatchRow]:
    """An alert with one dispatch of one batch that is being sent: (alert, dispatch, batch)."""
    alert = keep(tx)
    dispatch = open_dispatch(tx, alert)
    tx.outbox.add(dispatch, [new_batch(0, count, only=None if only is None else np.array(only, np.int32))], NOW)
    batch = tx.outbox.due("sms", NOW, 1)[0]
    tx.outbox.started(batch.n, 1)
    return alert, dispatch, batch


def touched(tx: SqlTransaction, roster: int) -> list[int]:
    return sorted(ordinal for ordinals in tx.outbox.touched(roster) for ordinal in ordinals.tolist())


async def test_the_gravest_leaves_first_then_the_soonest_to_expire_then_the_oldest(store_url: str) -> None:
    def work(tx: SqlTransaction) -> list[int]:
        dispatch = open_dispatch(tx, keep(tx))
        wanted = [
            (Priority.BLUE, LATER, 6),
            (Priority.RED, LATER, 3),
            (Priority.ORANGE, LATER, 4),
            (Priority.RED, LATER - 1, 2),
            (Priority.CANCEL, LATER, 1),
            (Priority.ORANGE, LATER, 5),
        ]
        tx.outbox.add(dispatch, [new_batch(at, 1, priority=p, expires_at=e) for p, e, at in wanted], NOW)
        return [row.first for row in tx.outbox.due("sms", NOW, 10)]

    async with opened(store_url) as store:
        assert await store.write(work) == [1, 2, 3, 4, 5, 6]


async def test_only_what_is_due_on_this_channel(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        dispatch = open_dispatch(tx, keep(tx))
        tx.outbox.add(dispatch, [new_batch(0), new_batch(4), new_batch(8, channel="wechat")], NOW)
        tx.outbox.put_back(1, NOW + 500, 1, np.arange(4, dtype=np.int32), "timeout")
        assert due(tx) == [2]
        assert tx.outbox.next_due("sms", NOW) == NOW + 500
        assert due(tx, NOW + 500) == [1, 2]
        assert tx.outbox.next_due("sms", NOW + 500) is None
        assert tx.outbox.next_due("wechat", NOW - 1) == NOW

    async with opened(store_url) as store:
        await store.write(work)


async def test_a_lease_keeps_others_away_until_it_ends_or_is_given_up(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        tx.outbox.add(open_dispatch(tx, keep(tx)), [new_batch(at, 1) for at in range(3)], NOW)
        assert [row.n for row in tx.outbox.claim("sms", "one", NOW, 1000, 2)] == [1, 2]
        assert [row.n for row in tx.outbox.claim("sms", "two", NOW, 1000, 9)] == [3]
        assert tx.outbox.claim("sms", "two", NOW + 999, 1000, 9) == []
        tx.outbox.unclaim([1])
        assert due(tx) == [1]
        assert tx.outbox.release("two") == 1
        assert due(tx) == [1, 3]
        assert due(tx, NOW + 1000) == [1, 2, 3]
        tx.outbox.release()
        assert due(tx) == [1, 2, 3]
        assert tx.outbox.get(1).state is WorkState.PENDING, "taken and not begun is not yet `sending`"

    async with opened(store_url) as store:
        await store.write(work)


async def test_a_batch_in_somebodys_hands_is_found_again_by_the_next_process(store_url: str) -> None:
    async with opened(store_url) as store:
        await store.write(begun)
    async with opened(store_url) as store:
        (found,) = await store.read(lambda tx: tx.outbox.due("sms", NOW, 10))
        assert (found.state, found.attempts) == (WorkState.SENDING, 1)


async def test_the_end_of_a_batch_is_final(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        _, dispatch, batch = begun(tx)
        tx.outbox.close(batch.n, WorkState.DONE)
        assert due(tx, LATER) == []
        assert tx.outbox.expire(LATER) == tx.outbox.withdraw([dispatch]) == 0
        assert tx.outbox.get(batch.n).state is WorkState.DONE
        assert not tx.outbox.revive(batch.n, NOW), "only the dead are revived"

    async with opened(store_url) as store:
        await store.write(work)


async def test_expiry_and_withdrawal_end_what_waits_and_spare_what_is_on_the_wire(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        _, dispatch, sending = begun(tx)
        other = open_dispatch(tx, keep(tx, "A-2"))
        tx.outbox.add(dispatch, [new_batch(4), new_batch(8, expires_at=NOW + 10)], NOW)
        tx.outbox.add(other, [new_batch(0)], NOW)
        assert not tx.outbox.any_overdue(NOW + 9)
        assert tx.outbox.any_overdue(NOW + 10)
        assert tx.outbox.expire(NOW + 10) == 1
        assert tx.outbox.withdraw([dispatch]) == 1
        states = [row.state for row in [*tx.outbox.of_dispatch(dispatch), *tx.outbox.of_dispatch(other)]]
        assert states == [WorkState.SENDING, WorkState.WITHDRAWN, WorkState.EXPIRED, WorkState.PENDING]
        assert tx.outbox.get(sending.n).state is WorkState.SENDING

    async with opened(store_url) as store:
        await store.write(work)


async def test_a_dead_batch_is_listed_and_works_again_when_revived(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        batch = begun(tx)[2]
        tx.outbox.close(batch.n, WorkState.DEAD, "rejected", np.array([1, 3], np.int32))
        assert [(row.n, row.reason, row.ordinals.tolist()) for row in tx.outbox.dead(9)] == [
            (batch.n, "rejected", [1, 3])
        ]
        assert tx.outbox.revive(batch.n, NOW)
        assert not tx.outbox.revive(batch.n, NOW)
        assert tx.outbox.dead(9) == []
        (again,) = tx.outbox.due("sms", NOW, 9)
        assert (again.ordinals.tolist(), again.attempts) == ([1, 3], 0)

    async with opened(store_url) as store:
        await store.write(work)


@pytest.mark.parametrize(
    ("deed", "reached"),
    [
        pytest.param("nothing", [0, 1, 2, 3], id="on-the-wire"),
        pytest.param("slice", [0, 1, 2, 3], id="between-two-slices"),
        pytest.param("certain", [0, 1], id="put-back-untouched"),
        pytest.param("doubt", [0, 1, 2, 3], id="put-back-in-doubt"),
        pytest.param("done", [0, 1, 2, 3], id="done"),
        pytest.param("dead", [0, 1], id="dead"),
        pytest.param("revived", [0, 1], id="revived"),
        pytest.param("withdrawn", [0, 1, 2, 3], id="withdrawn-in-doubt"),
    ],
)
async def test_whom_a_batch_may_have_reached(store_url: str, deed: str, reached: list[int]) -> None:
    left = np.array([2, 3], np.int32)

    def work(tx: SqlTransaction) -> None:
        alert, dispatch, batch = begun(tx)
        tx.outbox.add(dispatch, [new_batch(4)], NOW)  # never begun
        match deed:
            case "slice":
                tx.outbox.advance(batch.n, left)
            case "certain":
                tx.outbox.put_back(batch.n, NOW, 1, left, "unavailable")
            case "doubt":
                tx.outbox.put_back(batch.n, NOW, 1, left, "unavailable", doubtful=True)
            case "done":
                tx.outbox.close(batch.n, WorkState.DONE)
            case "dead" | "revived":
                tx.outbox.close(batch.n, WorkState.DEAD, "rejected", left)
            case "withdrawn":
                tx.outbox.put_back(batch.n, NOW, 1, left, "timeout", doubtful=True)
                tx.outbox.withdraw([dispatch])
        if deed == "revived":
            tx.outbox.revive(batch.n, NOW)
        assert touched(tx, alert) == reached

    async with opened(store_url) as store:
        await store.write(work)


async def test_a_batch_for_some_of_its_range_speaks_of_these_alone(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        alert, _, batch = begun(tx, only=[1, 3])
        assert [ordinals.tolist() for ordinals in tx.outbox.planned(alert)] == [[1, 3]]
        assert [(n, of, ordinals.tolist()) for n, of, ordinals in tx.outbox.newer(0, 9)] == [(1, alert, [1, 3])]
        assert batch.ordinals.tolist() == [1, 3]
        assert touched(tx, alert) == [1, 3]
        tx.outbox.put_back(batch.n, NOW, 1, np.array([3], np.int32), "unavailable")
        assert touched(tx, alert) == [1]
        assert [ordinals.tolist() for ordinals in tx.outbox.planned(alert)] == [[1, 3]], "planned stays planned"

    async with opened(store_url) as store:
        await store.write(work)


async def test_a_dispatch_over_another_alerts_roster_counts_for_nobodys_coverage(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        alert, _, _ = begun(tx)
        update = keep(tx, "A-2")
        lifted = open_dispatch(tx, update, roster=alert, cause=Cause.LIFTED)
        tx.outbox.add(lifted, [new_batch(0)], NOW)
        assert [(n, of) for n, of, _ in tx.outbox.newer(0, 9)] == [(1, alert), (2, 0)]
        assert tx.outbox.planned(update) == []
        assert tx.outbox.newest() == 2

    async with opened(store_url) as store:
        await store.write(work)


async def test_what_waits_is_told_by_channel(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        _, dispatch, batch = begun(tx)
        tx.outbox.add(dispatch, [new_batch(4, 10), new_batch(0, 7, channel="wechat")], NOW + 5)
        tx.outbox.close(batch.n, WorkState.DONE)
        assert {depth.channel: (depth.batches, depth.endpoints, depth.oldest) for depth in tx.outbox.depths()} == {
            "sms": (1, 10, NOW + 5),
            "wechat": (1, 7, NOW + 5),
        }

    async with opened(store_url) as store:
        await store.write(work)


async def test_dispatches_are_planned_gravest_first_by_one_owner_at_a_time(store_url: str) -> None:
    def claimed(tx: SqlTransaction, owner: str, now: int = NOW) -> int | None:
        row = tx.dispatches.claim(owner, now, 1000)
        return row.n if row else None

    def work(tx: SqlTransaction) -> None:
        alert = keep(tx)
        blue = open_dispatch(tx, alert, priority=Priority.BLUE)
        red = open_dispatch(tx, alert, priority=Priority.RED)
        later = open_dispatch(tx, alert, priority=Priority.CANCEL, due_at=NOW + 5)
        assert claimed(tx, "one") == red
        assert claimed(tx, "one") == red, "who plans it goes on with it"
        assert claimed(tx, "two") == blue
        assert claimed(tx, "three") is None
        assert claimed(tx, "three", NOW + 5) == later
        tx.dispatches.planned(red, 3, done=True)
        assert claimed(tx, "one") is None
        tx.dispatches.release()
        assert claimed(tx, "one") == blue
        tx.dispatches.postpone(blue, NOW + 50)
        assert claimed(tx, "one") is None
        assert tx.dispatches.next_due() == NOW + 5
        assert tx.dispatches.get(red).planned_to == 3

    async with opened(store_url) as store:
        await store.write(work)


async def test_a_withdrawn_dispatch_is_planned_no_further(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        alert = keep(tx)
        first, second = open_dispatch(tx, alert), open_dispatch(tx, alert)
        assert tx.dispatches.withdraw(alert, NOW) == [first, second]
        assert tx.dispatches.withdraw(alert, NOW + 1) == []
        assert tx.dispatches.claim("one", LATER, 1000) is None
        assert [row.withdrawn_at for row in tx.dispatches.of_alert(alert)] == [NOW, NOW]

    async with opened(store_url) as store:
        await store.write(work)
