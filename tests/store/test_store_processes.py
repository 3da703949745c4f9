"""What processes share of a store beside the work: offices, what they tell of themselves, a channel's pace, strays."""

from __future__ import annotations

from store_kit import NOW, opened

from gateway.ports.store import ProcessRow
from gateway.store import SqlTransaction
from gateway.store.strays import LONGEST

TERM = 10


def process(owner: str, at: int = NOW, **channels: dict[str, object]) -> ProcessRow:
    return ProcessRow(owner, ["deliver"], "http://127.0.0.1:1", at, channels)


async def test_an_office_has_one_holder_and_its_token_rises_with_every_change_of_hands(store_url: str) -> None:
    def take(tx: SqlTransaction, owner: str, now: int) -> int | None:
        return tx.leases.take("watch", owner, now, now + TERM)

    def work(tx: SqlTransaction) -> None:
        assert take(tx, "one", NOW) == 1
        assert take(tx, "two", NOW + TERM - 1) is None
        assert take(tx, "one", NOW + 5) == 1, "who keeps it keeps its token"
        assert take(tx, "two", NOW + TERM) is None
        assert take(tx, "one", NOW + 5 * TERM) == 1, "late, but nobody else came"
        assert take(tx, "two", NOW + 6 * TERM) == 2
        assert (tx.leases.holds("watch", "one", 1), tx.leases.holds("watch", "two", 2)) == (False, True)
        assert not tx.leases.holds("watch", "two", 1)
        assert take(tx, "one", NOW + 7 * TERM) == 3
        assert tx.leases.take("other", "two", NOW, NOW + TERM) == 1, "another office"
        assert not tx.leases.holds("nobody's", "one", 1)

    async with opened(store_url) as store:
        await store.write(work)


async def test_an_office_that_is_given_up_is_free_at_once(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        assert tx.leases.take("watch", "one", NOW, NOW + TERM) == 1
        tx.leases.give_up("watch", "two")
        assert tx.leases.take("watch", "two", NOW, NOW + TERM) is None
        tx.leases.give_up("watch", "one")
        assert tx.leases.take("watch", "two", NOW, NOW + TERM) == 2

    async with opened(store_url) as store:
        await store.write(work)


async def test_processes_tell_of_themselves_and_are_struck_out(store_url: str) -> None:
    told = process("b", NOW + 1, sms={"up": False, "fault": "断", "last_progress": NOW, "online": {"210423": [1, 2]}})

    def work(tx: SqlTransaction) -> None:
        for row in (process("c", NOW + 9), process("a"), process("b", NOW - 5), told):
            tx.processes.tell(row)

        def owners(at: int) -> list[str]:
            return [row.owner for row in tx.processes.since(at)]

        assert tx.processes.since(NOW + 1)[0] == told, "what it told last, whole"
        assert (owners(NOW), owners(NOW + 1), owners(NOW + 2)) == (["a", "b", "c"], ["b", "c"], ["c"])
        tx.processes.forget("c")
        tx.processes.forget("nobody")
        assert owners(0) == ["a", "b"]
        tx.processes.forget(before=NOW + 1)
        assert owners(0) == ["b"]

    async with opened(store_url) as store:
        await store.write(work)


async def test_a_pace_gives_each_the_next_free_stretch(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        now = NOW * 1000
        assert [tx.paces.reserve("sms", now, cost) for cost in (100, 50, 7)] == [now, now + 100, now + 150]
        assert tx.paces.reserve("sms", now + 156, 10) == now + 157, "it is still taken"
        assert tx.paces.reserve("sms", now + 500, 10) == now + 500, "nobody may save up the past"
        assert tx.paces.reserve("sms", now, 10) == now + 510
        assert tx.paces.reserve("wechat", now, 10) == now, "every channel has its own"

    async with opened(store_url) as store:
        await store.write(work)


async def test_a_stray_message_is_kept_until_it_is_replayed_or_dropped(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        first, second = (tx.strays.keep("sms.red", why, b"\xff\x00{", NOW) for why in ("no JSON", "no batch"))
        assert [row.n for row in tx.strays.page(9)] == [second, first]
        assert [row.n for row in tx.strays.page(1)] == [second]
        kept = tx.strays.get(first)
        assert kept is not None
        assert (kept.route, kept.reason, kept.body, kept.at, kept.replay) == (
            "sms.red",
            "no JSON",
            b"\xff\x00{",
            NOW,
            False,
        )
        assert tx.strays.to_replay(9) == []
        assert tx.strays.ask_replay(first)
        assert [row.n for row in tx.strays.to_replay(9)] == [first]
        tx.strays.drop(first)
        assert not tx.strays.ask_replay(first)
        assert tx.strays.get(first) is None
        assert [row.n for row in tx.strays.page(9)] == [second]
        long = tx.strays.get(tx.strays.keep("sms.red", "too long", b"x" * (LONGEST + 1), NOW))
        assert long is not None
        assert len(long.body) == LONGEST

    async with opened(store_url) as store:
        await store.write(work)
