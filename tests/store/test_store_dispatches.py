"""Dispatches: who plans them and in which order, who calls them back, and what stands with them."""

from __future__ import annotations

from collections.abc import Collection

from store_kit import LATER, NOW, keep, open_dispatch, opened

from gateway.model.dispatch import Cause, Priority
from gateway.store import SqlTransaction

LEASE = 1000


def claimed(tx: SqlTransaction, owner: str, now: int = NOW, besides: Collection[int] = ()) -> int | None:
    row = tx.dispatches.claim(owner, now, LEASE, besides)
    return row.n if row else None


def to_recall(tx: SqlTransaction, owner: str, now: int = NOW) -> int | None:
    row = tx.dispatches.claim_recall(owner, now, LEASE)
    return row.n if row else None


async def test_they_are_planned_gravest_first_by_one_owner_at_a_time(store_url: str) -> None:
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
        assert tx.dispatches.next_due("one") == NOW + 5
        assert tx.dispatches.get(red).planned_to == 3

    async with opened(store_url) as store:
        await store.write(work)


async def test_who_lays_one_aside_gets_the_next(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        alert = keep(tx)
        red, blue = (open_dispatch(tx, alert, priority=each) for each in (Priority.RED, Priority.BLUE))
        assert claimed(tx, "one", besides=[red]) == blue
        assert claimed(tx, "one", besides=[red, blue]) is None
        assert claimed(tx, "one") == red
        assert tx.dispatches.next_due("one", [red]) == NOW
        assert tx.dispatches.next_due("one", [red, blue]) is None

    async with opened(store_url) as store:
        await store.write(work)


async def test_another_may_plan_when_the_lease_ends(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        n = open_dispatch(tx, keep(tx), due_at=NOW - 7)
        assert tx.dispatches.next_due("two") == NOW - 7
        assert claimed(tx, "one") == n
        assert tx.dispatches.next_due("one") == NOW - 7
        assert tx.dispatches.next_due("two") == NOW + LEASE
        tx.dispatches.renew("two", [n], LATER)
        assert tx.dispatches.next_due("two") == NOW + LEASE, "one keeps only one's own"
        tx.dispatches.renew("one", [n], NOW + 2 * LEASE)
        assert claimed(tx, "two", NOW + 2 * LEASE - 1) is None
        assert claimed(tx, "two", NOW + 2 * LEASE) == n
        assert (tx.dispatches.holds(n, "one"), tx.dispatches.holds(n, "two")) == (False, True)
        tx.dispatches.release("one")
        assert tx.dispatches.holds(n, "two"), "one gives up only one's own"
        tx.dispatches.release("two")
        assert not tx.dispatches.holds(n, "two")
        assert claimed(tx, "one") == n

    async with opened(store_url) as store:
        await store.write(work)


async def test_a_withdrawn_one_is_planned_no_further(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        alert = keep(tx)
        first, second = open_dispatch(tx, alert), open_dispatch(tx, alert)
        assert tx.dispatches.withdraw(alert, NOW) == [first, second]
        assert tx.dispatches.withdraw(alert, NOW + 1) == []
        assert claimed(tx, "one", LATER) is None
        assert [row.withdrawn_at for row in tx.dispatches.of_alert(alert)] == [NOW, NOW]

    async with opened(store_url) as store:
        await store.write(work)


async def test_what_warned_is_called_back_by_one_at_a_time(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        alert = keep(tx)
        blue, red = (open_dispatch(tx, alert, priority=each) for each in (Priority.BLUE, Priority.RED))
        lifted = open_dispatch(tx, alert, cause=Cause.LIFTED, priority=Priority.CANCEL)
        assert claimed(tx, "planner") == lifted
        tx.dispatches.recall(tx.dispatches.withdraw(alert, NOW))
        assert (to_recall(tx, "one"), to_recall(tx, "two")) == (red, blue), "the gravest first; an all-clear not at all"
        assert (to_recall(tx, "one"), to_recall(tx, "two"), to_recall(tx, "three")) == (None, None, None)
        assert not tx.dispatches.any_recall(NOW, [])
        tx.dispatches.recalled(red)
        tx.dispatches.renew("two", [blue], NOW + 2 * LEASE)
        assert not tx.dispatches.any_recall(NOW + LEASE, [])
        assert tx.dispatches.any_recall(NOW + 2 * LEASE, [])
        assert not tx.dispatches.any_recall(NOW + 2 * LEASE, [blue])
        assert to_recall(tx, "one", NOW + 2 * LEASE) == blue
        tx.dispatches.recalled(blue)
        assert not tx.dispatches.any_recall(LATER, [])

    async with opened(store_url) as store:
        await store.write(work)


async def test_what_is_called_back_is_free_for_it_though_somebody_was_planning_it(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        alert = keep(tx)
        n = open_dispatch(tx, alert)
        assert claimed(tx, "one") == n
        tx.dispatches.recall(tx.dispatches.withdraw(alert, NOW))
        assert not tx.dispatches.holds(n, "one")
        assert to_recall(tx, "two") == n

    async with opened(store_url) as store:
        await store.write(work)


async def test_stragglers_stand_beside_what_else_is_to_be_planned(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        n = open_dispatch(tx, keep(tx), targets={"choices": [1]})
        tx.dispatches.set_stragglers(n, {"7": [[0, 4], [1, -1]]})
        assert tx.dispatches.get(n).targets == {"choices": [1], "stragglers": {"7": [[0, 4], [1, -1]]}}
        tx.dispatches.set_stragglers(n, {})
        assert tx.dispatches.get(n).targets == {"choices": [1], "stragglers": {}}

    async with opened(store_url) as store:
        await store.write(work)
