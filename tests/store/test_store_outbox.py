"""The outbox: in which order batches leave, who holds them, how they end, and whom they may have reached."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from store_kit import LATER, NOW, keep, new_batch, open_dispatch, opened

from gateway.model.dispatch import Cause, Priority, WorkState
from gateway.ports.store import BatchRow
from gateway.store import SqlStore, SqlTransaction

EVERYBODY = np.arange(4, dtype=np.int32)
LEFT = np.array([2, 3], np.int32)
LEASE = 1000


def due(tx: SqlTransaction, now: int = NOW, owner: str = "one") -> list[int]:
    return [row.n for row in tx.outbox.due("sms", owner, now, 10)]


def begun(tx: SqlTransaction, count: int = 4, only: list[int] | None = None) -> tuple[int, int, BatchRow]:
    """An alert with one dispatch of one batch that "one" is sending: (alert, dispatch, batch as it was before)."""
    alert = keep(tx)
    dispatch = open_dispatch(tx, alert)
    tx.outbox.add(dispatch, [new_batch(0, count, only=None if only is None else np.array(only, np.int32))], NOW)
    batch = tx.outbox.due("sms", "one", NOW, 1)[0]
    assert tx.outbox.begin(batch.n, "one", 1, NOW, LEASE)
    return alert, dispatch, batch


def touched(tx: SqlTransaction, roster: int) -> list[int]:
    return sorted(ordinal for row in tx.outbox.touched(roster) for ordinal in row.handed.tolist())


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
        return [row.first for row in tx.outbox.due("sms", "one", NOW, 10)]

    async with opened(store_url) as store:
        assert await store.write(work) == [1, 2, 3, 4, 5, 6]


async def test_only_what_is_due_on_this_channel(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        dispatch = open_dispatch(tx, keep(tx))
        tx.outbox.add(dispatch, [new_batch(0), new_batch(4), new_batch(8, channel="wechat")], NOW)
        assert tx.outbox.put_back(1, "one", NOW + 500, 1, EVERYBODY, "timeout")
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
        assert tx.outbox.begin(1, "one", 1, NOW, LEASE)
        assert tx.outbox.begin(2, "two", 1, NOW, LEASE)
        assert (due(tx, owner="one"), due(tx, owner="two")) == ([1, 3], [2, 3])
        assert due(tx, NOW + LEASE - 1, "three") == [3]
        assert due(tx, NOW + LEASE, "three") == [1, 2, 3]
        assert tx.outbox.release("two") == 1
        assert due(tx, owner="three") == [2, 3]
        assert tx.outbox.release("two") == 0
        assert tx.outbox.release() == 1, "everybody's, at the start of the only process"
        assert due(tx, owner="three") == [1, 2, 3]
        states = [tx.outbox.get(n).state for n in (1, 2, 3)]
        assert states == [WorkState.SENDING, WorkState.SENDING, WorkState.PENDING], "their outcome is unknown"

    async with opened(store_url) as store:
        await store.write(work)


async def test_a_batch_is_begun_by_one_at_a_time(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        n = begun(tx)[2].n
        assert not tx.outbox.begin(n, "two", 1, NOW, LEASE)
        assert tx.outbox.begin(n, "one", 1, NOW, LEASE), "its next slice"
        assert not tx.outbox.begin(n, "two", 2, NOW + LEASE - 1, LEASE)
        assert tx.outbox.begin(n, "two", 2, NOW + LEASE, LEASE), "whoever is silent for so long has lost it"
        assert not tx.outbox.begin(n, "one", 1, NOW + LEASE, LEASE)
        row = tx.outbox.get(n)
        assert (row.attempts, row.state, row.lease_until) == (2, WorkState.SENDING, NOW + 2 * LEASE)

    async with opened(store_url) as store:
        await store.write(work)


async def test_what_is_over_is_not_begun(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        batch = begun(tx)[2]
        assert tx.outbox.close(batch.n, "one", WorkState.DONE)
        assert not tx.outbox.begin(batch.n, "one", 2, NOW, LEASE)
        assert tx.outbox.get(batch.n).state is WorkState.DONE

    async with opened(store_url) as store:
        await store.write(work)


async def test_who_has_lost_a_batch_changes_nothing_of_it(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        n = begun(tx)[2].n
        assert tx.outbox.begin(n, "two", 2, NOW + LEASE, LEASE)
        before = tx.outbox.get(n)
        tx.outbox.renew("one", [n], LATER)
        assert not tx.outbox.advance(n, "one", LEFT)
        assert not tx.outbox.put_back(n, "one", LATER, 9, LEFT, "timeout", doubtful=True)
        assert not tx.outbox.close(n, "one", WorkState.DONE)
        assert tx.outbox.release("one") == 0
        assert tx.outbox.get(n) == before
        assert tx.outbox.advance(n, "two", LEFT)
        assert tx.outbox.close(n, "two", WorkState.DONE)
        assert not tx.outbox.put_back(n, "two", NOW, 1, LEFT, "timeout"), "an end is an end"
        assert not tx.outbox.close(n, "one", WorkState.EXPIRED)
        assert tx.outbox.get(n).state is WorkState.DONE

    async with opened(store_url) as store:
        await store.write(work)


async def test_who_comes_late_with_a_batch_that_another_has_tried_since_does_not_begin_it(store_url: str) -> None:
    """It took the message before the other did, and waited for its turn at the channel's pace."""

    def work(tx: SqlTransaction) -> None:
        n = begun(tx)[2].n
        assert tx.outbox.put_back(n, "one", NOW, 1, LEFT, "timeout", doubtful=True)
        assert not tx.outbox.begin(n, "two", 1, NOW, LEASE), "it would send to those who have it"
        assert tx.outbox.begin(n, "two", 2, NOW, LEASE)

    async with opened(store_url) as store:
        await store.write(work)


async def test_a_lease_is_kept_by_its_owner_alone(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        tx.outbox.add(open_dispatch(tx, keep(tx)), [new_batch(at, 1) for at in range(3)], NOW)
        for n, owner in ((1, "one"), (2, "one"), (3, "two")):
            assert tx.outbox.begin(n, owner, 1, NOW, LEASE)
        tx.outbox.renew("one", [1, 3], NOW + 5 * LEASE)
        assert [tx.outbox.get(n).lease_until - NOW for n in (1, 2, 3)] == [5 * LEASE, LEASE, LEASE]
        assert due(tx, NOW + LEASE, "three") == [2, 3]
        assert [tx.outbox.get(n).in_flight(NOW + LEASE) for n in (1, 2, 3)] == [True, False, False]

    async with opened(store_url) as store:
        await store.write(work)


async def test_what_a_silent_process_had_in_hand_is_published_again(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        tx.outbox.add(open_dispatch(tx, keep(tx)), [new_batch(at, 1) for at in range(3)], NOW)
        assert len(tx.outbox.unpublished(NOW, 9)) == 3
        for n in (1, 2, 3):
            assert tx.outbox.begin(n, "one", 1, NOW, LEASE)
        tx.outbox.renew("one", [2], NOW + 2 * LEASE)
        assert tx.outbox.close(3, "one", WorkState.DONE)
        assert tx.outbox.reclaim(NOW + LEASE - 1) == 0
        assert tx.outbox.reclaim(NOW + LEASE) == 1
        assert [row.n for row in tx.outbox.unpublished(NOW + LEASE, 9)] == [1]
        assert tx.outbox.get(1).state is WorkState.SENDING, "what it handed over is not known"
        assert not tx.outbox.advance(1, "one", LEFT)
        tx.outbox.renew("one", [1], LATER)
        assert tx.outbox.begin(1, "two", 2, NOW + LEASE, LEASE)

    async with opened(store_url) as store:
        await store.write(work)


async def test_what_is_put_back_or_given_up_is_published_again_when_it_is_due(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        tx.outbox.add(open_dispatch(tx, keep(tx)), [new_batch(at, 1) for at in range(2)], NOW)
        tx.outbox.unpublished(NOW, 9)
        for n in (1, 2):
            assert tx.outbox.begin(n, "one", 1, NOW, LEASE)
        assert tx.outbox.put_back(1, "one", NOW + 50, 1, LEFT, "timeout")
        assert tx.outbox.release("one") == 1
        assert [row.n for row in tx.outbox.unpublished(NOW, 9)] == [2]
        assert [row.n for row in tx.outbox.unpublished(NOW + 50, 9)] == [1]
        tx.outbox.unpublish([2])
        assert [row.n for row in tx.outbox.unpublished(NOW + 50, 9)] == [2]

    async with opened(store_url) as store:
        await store.write(work)


async def test_what_is_due_is_published_gravest_first_and_once(store_url: str) -> None:
    def prepare(tx: SqlTransaction) -> None:
        dispatch = open_dispatch(tx, keep(tx))
        classes = [Priority.BLUE, Priority.RED, Priority.ORANGE, Priority.RED, Priority.RED]
        tx.outbox.add(dispatch, [new_batch(at, 1, priority=each) for at, each in enumerate(classes)], NOW)
        tx.outbox.add(dispatch, [new_batch(9, 1, priority=Priority.CANCEL)], NOW + 1)
        assert tx.outbox.begin(4, "one", 1, NOW, LEASE)
        assert tx.outbox.begin(5, "one", 1, NOW, LEASE)
        assert tx.outbox.close(5, "one", WorkState.DONE)

    async with opened(store_url) as store:
        await store.write(prepare)
        carried = [await store.write(lambda tx: [row.n for row in tx.outbox.unpublished(NOW, 2)]) for _ in range(3)]
        assert carried == [[2, 3], [1], []]
        assert await store.write(lambda tx: [row.n for row in tx.outbox.unpublished(NOW + LEASE, 9)]) == [6, 4]


async def test_two_stores_publish_each_batch_once(store_url: str) -> None:
    """On one database, as two processes would; what one of them is just marking is no reason for the other to wait."""
    many = 120

    async def publish(store: SqlStore) -> list[int]:
        found: list[int] = []
        while fresh := await store.write(lambda tx: [row.n for row in tx.outbox.unpublished(NOW, 7)]):
            found += fresh
        return found

    def prepare(tx: SqlTransaction) -> None:
        tx.outbox.add(open_dispatch(tx, keep(tx)), [new_batch(at, 1) for at in range(many)], NOW)

    async with opened(store_url) as one, opened(store_url) as other:
        await one.write(prepare)
        shares = await asyncio.gather(publish(one), publish(other))
        left = await one.write(lambda tx: [row.n for row in tx.outbox.unpublished(NOW, many)])
    assert sorted([*shares[0], *shares[1], *left]) == list(range(1, many + 1))


async def test_what_was_published_and_nobody_begins_is_found(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        tx.outbox.add(open_dispatch(tx, keep(tx)), [new_batch(at, 1) for at in range(4)], NOW)
        tx.outbox.add(1, [new_batch(9, 1, priority=Priority.RED), new_batch(9, 1, channel="wechat")], NOW)
        assert tx.outbox.unclaimed("sms", Priority.ORANGE, NOW, NOW) == [], "nothing is published yet"
        tx.outbox.unpublished(NOW, 9)
        assert tx.outbox.begin(2, "one", 1, NOW, LEASE)
        assert tx.outbox.begin(3, "one", 1, NOW, LEASE)
        assert tx.outbox.close(3, "one", WorkState.DONE)
        assert tx.outbox.unclaimed("sms", Priority.ORANGE, NOW - 1, NOW) == []
        assert sorted(tx.outbox.unclaimed("sms", Priority.ORANGE, NOW, NOW)) == [1, 4]

    async with opened(store_url) as store:
        await store.write(work)


async def test_a_batch_in_somebodys_hands_is_found_again_by_the_next_process(store_url: str) -> None:
    async with opened(store_url) as store:
        await store.write(begun)
    async with opened(store_url) as store:
        assert await store.read(lambda tx: tx.outbox.due("sms", "two", NOW, 10)) == []
        (found,) = await store.read(lambda tx: tx.outbox.due("sms", "two", NOW + LEASE, 10))
        assert (found.state, found.attempts) == (WorkState.SENDING, 1)


async def test_the_end_of_a_batch_is_final(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        _, dispatch, batch = begun(tx)
        assert tx.outbox.close(batch.n, "one", WorkState.DONE)
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
        assert tx.outbox.close(batch.n, "one", WorkState.DEAD, "rejected", np.array([1, 3], np.int32))
        assert [(row.n, row.reason, row.ordinals.tolist()) for row in tx.outbox.dead(9)] == [
            (batch.n, "rejected", [1, 3])
        ]
        assert tx.outbox.revive(batch.n, NOW)
        assert not tx.outbox.revive(batch.n, NOW)
        assert tx.outbox.dead(9) == []
        (again,) = tx.outbox.due("sms", "two", NOW, 9)
        assert (again.ordinals.tolist(), again.attempts) == ([1, 3], 0)
        assert [row.n for row in tx.outbox.unpublished(NOW, 9)] == [batch.n]
        assert tx.outbox.begin(batch.n, "two", 1, NOW, LEASE)

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
    def work(tx: SqlTransaction) -> None:
        alert, dispatch, batch = begun(tx)
        tx.outbox.add(dispatch, [new_batch(4)], NOW)  # never begun
        match deed:
            case "slice":
                tx.outbox.advance(batch.n, "one", LEFT)
            case "certain":
                tx.outbox.put_back(batch.n, "one", NOW, 1, LEFT, "unavailable")
            case "doubt":
                tx.outbox.put_back(batch.n, "one", NOW, 1, LEFT, "unavailable", doubtful=True)
            case "done":
                tx.outbox.close(batch.n, "one", WorkState.DONE)
            case "dead" | "revived":
                tx.outbox.close(batch.n, "one", WorkState.DEAD, "rejected", LEFT)
            case "withdrawn":
                tx.outbox.put_back(batch.n, "one", NOW, 1, LEFT, "timeout", doubtful=True)
                tx.outbox.withdraw([dispatch])
        if deed == "revived":
            tx.outbox.revive(batch.n, NOW)
        assert touched(tx, alert) == reached

    async with opened(store_url) as store:
        await store.write(work)


async def test_whom_a_send_under_way_reaches_is_in_doubt_until_it_ends_or_its_process_is_silent(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        n = begun(tx)[2].n

        def doubt(now: int) -> list[int]:
            return [int(ordinal) for ordinal in tx.outbox.get(n).doubt(now)]

        assert doubt(NOW) == [0, 1, 2, 3]
        assert tx.outbox.advance(n, "one", LEFT)
        assert (doubt(NOW), doubt(NOW + LEASE)) == ([2, 3], [])
        assert tx.outbox.put_back(n, "one", NOW, 1, LEFT, "unavailable")
        assert doubt(NOW) == []

    async with opened(store_url) as store:
        await store.write(work)


async def test_who_was_only_told_that_it_is_over_was_not_warned(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        alert = keep(tx)
        lifted = open_dispatch(tx, keep(tx, "A-2"), roster=alert, cause=Cause.LIFTED)
        tx.outbox.add(lifted, [new_batch(0)], NOW)
        assert tx.outbox.begin(1, "one", 1, NOW, LEASE)
        assert touched(tx, alert) == []

    async with opened(store_url) as store:
        await store.write(work)


async def test_a_batch_for_some_of_its_range_speaks_of_these_alone(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        alert, _, batch = begun(tx, only=[1, 3])
        assert [ordinals.tolist() for ordinals in tx.outbox.planned(alert)] == [[1, 3]]
        assert batch.ordinals.tolist() == [1, 3]
        assert touched(tx, alert) == [1, 3]
        tx.outbox.put_back(batch.n, "one", NOW, 1, np.array([3], np.int32), "unavailable")
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
        assert tx.outbox.planned(update) == []
        assert [ordinals.tolist() for ordinals in tx.outbox.planned(alert)] == [[0, 1, 2, 3]]

    async with opened(store_url) as store:
        await store.write(work)


async def test_what_waits_is_told_by_channel(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        _, dispatch, batch = begun(tx)
        tx.outbox.add(dispatch, [new_batch(4, 10), new_batch(0, 7, channel="wechat")], NOW + 5)
        tx.outbox.close(batch.n, "one", WorkState.DONE)
        assert {depth.channel: (depth.batches, depth.endpoints, depth.oldest) for depth in tx.outbox.depths()} == {
            "sms": (1, 10, NOW + 5),
            "wechat": (1, 7, NOW + 5),
        }

    async with opened(store_url) as store:
        await store.write(work)
