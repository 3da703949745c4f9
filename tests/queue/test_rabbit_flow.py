"""The queue over RabbitMQ when all is well, or only messages are not: order, sharing, nothing twice, nothing secret."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rabbit_kit import Vhost, post, ready, stranger, until, works

from gateway.model.dispatch import Priority, WorkState
from gateway.ports.store import Transaction
from gateway.queue import rabbit as consuming
from gateway.queue.relay import Relay


async def test_every_batch_comes_once_and_two_workers_share(store_url: str, rabbit: Vhost) -> None:
    async with works(store_url, rabbit.url) as it:
        second = Relay(rabbit.url, it.store, it.clock, it.log)
        it.start(second.run())
        for _ in range(2):
            it.hands(it.worker(), 4, pause=0.002)
        await it.add(*range(400))
        await it.all_sent(400)
        assert sorted(it.sent) == list(range(1, 401))
        assert min(list(it.senders.values()).count(f"worker-{each}") for each in (1, 2)) > 20
        assert it.relay.state.up
        assert not it.relay.state.blocked

        async def empty() -> bool:
            return await ready(rabbit.url, "sms.orange") == 0

        await until(empty, "the broker to have nothing left")


async def test_a_channel_may_have_a_chinese_name(tmp_path: Path, rabbit: Vhost) -> None:
    async with works(tmp_path, rabbit.url) as it:
        await it.add(0, channel="短信")
        queue = it.worker()
        async with asyncio.timeout(30):
            assert (await queue.take("短信")).channel == "短信"


async def test_the_graver_class_first_then_the_earlier_expiry(tmp_path: Path, rabbit: Vhost) -> None:
    async with works(tmp_path, rabbit.url) as it:
        for priority in reversed(Priority):
            await it.add(*range(3), priority=priority)
        await it.add(7, priority=Priority.YELLOW, expires_at=it.clock.now() + 1000)
        await it.carried()
        queue = it.worker(prefetch=50)
        pile = queue._pile("sms")
        await until(lambda: len(pile) == 19, "all to be here")
        taken = [await queue.take("sms") for _ in range(19)]
        assert [row.priority for row in taken] == sorted(row.priority for row in taken)
        assert [row.first for row in taken if row.priority is Priority.YELLOW] == [7, 0, 1, 2]


async def test_a_red_one_overtakes_what_is_here_already(tmp_path: Path, rabbit: Vhost) -> None:
    async with works(tmp_path, rabbit.url) as it:
        await it.add(*range(6), priority=Priority.BLUE)
        queue = it.worker(prefetch=3)
        first = await queue.take("sms")
        await it.add(99, priority=Priority.RED)
        await until(lambda: queue._pile("sms")._ranks[0][0] == Priority.RED, "the red one to be here")
        assert (await queue.take("sms")).first == 99
        await it.send(queue, first, "worker-1")
        assert (await queue.take("sms")).first != first.first


async def test_a_hand_that_is_cancelled_takes_nothing_with_it(tmp_path: Path, rabbit: Vhost) -> None:
    async with works(tmp_path, rabbit.url) as it:
        queue = it.worker()
        idle = asyncio.create_task(queue.take("sms"))
        await until(lambda: queue.state.up, "the worker to consume")
        idle.cancel()
        await it.add(1)
        assert (await asyncio.wait_for(queue.take("sms"), 30)).first == 1


async def test_what_a_dead_worker_had_in_hand_comes_to_another(tmp_path: Path, rabbit: Vhost) -> None:
    async with works(tmp_path, rabbit.url) as it:
        doomed = it.worker()
        await it.add(1, 2)
        begun, taken = await doomed.take("sms"), await doomed.take("sms")
        now = it.clock.now()
        await it.store.write(lambda tx: tx.outbox.begin(begun.n, "doomed", 1, now, 10_000))
        await it.stop(it.running[doomed])
        it.hands(it.worker())
        await it.all_sent(1)
        assert it.sent == [taken.n], "the other one is still leased to the dead"
        await it.tick(11)
        await it.all_sent(2)


async def test_what_is_over_in_other_hands_or_not_due_is_dropped(tmp_path: Path, rabbit: Vhost) -> None:
    async with works(tmp_path, rabbit.url) as it:
        await it.add(0, 1, 2, 3)
        await it.carried()
        now = it.clock.now()

        def meanwhile(tx: Transaction) -> None:
            tx.outbox.begin(1, "other", 1, now, 10_000)
            tx.outbox.close(2, "", WorkState.WITHDRAWN)
            tx.outbox.put_back(3, "", now + 5000, 1, tx.outbox.get(3).ordinals, "timeout")

        await it.store.write(meanwhile)
        queue = it.worker()
        assert (await asyncio.wait_for(queue.take("sms"), 30)).n == 4
        idle = asyncio.create_task(queue.take("sms"))
        pile = queue._pile("sms")
        await until(lambda: len(pile) == 1, "the others to be dropped")
        assert not idle.done()
        await it.tick(6)
        it.relay.wake()
        assert (await asyncio.wait_for(idle, 30)).n == 3, "put back means: published again when it is due"


async def test_no_message_is_held_for_hours(tmp_path: Path, rabbit: Vhost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes: the channel is down. The broker would end the connection over what it waits for."""
    monkeypatch.setattr(consuming, "HOLD", 0.5)
    monkeypatch.setattr(consuming, "PULSE", 0.1)
    async with works(tmp_path, rabbit.url) as it:
        await it.add(0, 1, 2)
        queue = it.worker()
        in_hand = await queue.take("sms")
        pile = queue._pile("sms")
        await until(lambda: len(pile) == 3, "all to be here")
        tags = {held.message.delivery_tag for held in pile._held.values()}
        await until(
            lambda: len(pile) == 2 and not tags & {held.message.delivery_tag for held in pile._held.values()},
            "what waits to come anew, and what is in a hand not to be held",
        )
        await it.send(queue, in_hand, "worker-1")
        it.hands(queue)
        await it.all_sent(3)
        assert sorted(it.sent) == [1, 2, 3]


AHEAD = {"v": 1, "batch": 7777, "dispatch": 1, "channel": "sms", "class": "orange", "expires_at": 1}
POISON: list[tuple[str, bytes | dict[str, object], str]] = [
    ("sms.red", b"\xff\x00 no json", "not JSON"),
    ("sms.red", {"v": 2, "batch": 1}, "version 2 is not one of [1]"),
    ("sms.blue", {"v": 1, "batch": 1}, "dispatch"),
    ("sms.orange", AHEAD, "there is no batch 7777"),
    ("sms.orange", AHEAD | {"batch": 1, "dispatch": 2}, "batch 1 is another one"),
]


async def test_what_nobody_can_read_is_kept_for_people_and_hinders_nobody(tmp_path: Path, rabbit: Vhost) -> None:
    async with works(tmp_path, rabbit.url) as it:
        it.hands(it.worker())
        await it.add(*range(50))
        await it.all_sent(50)
        for route, body, _ in POISON:
            await post(rabbit.url, route, body)
        await it.add(*range(50, 100))
        await it.all_sent(100)
        await it.ticked_until(lambda: it.strays == len(POISON))
        strays = await it.store.read(lambda tx: tx.strays.page(10))
        for route, _, why in POISON:
            assert any(stray.route == route and why in stray.reason for stray in strays), why
        events = await it.store.read(lambda tx: tx.chronicle.told(0, 0, 100))
        assert [event[3] for event in events].count("deadletter") == len(POISON)
        assert sorted(it.sent) == list(range(1, 101))


async def test_a_dead_letter_is_replayed_as_it_was(tmp_path: Path, rabbit: Vhost) -> None:
    async with works(tmp_path, rabbit.url) as it:
        it.hands(it.worker())
        await it.add(0)
        await it.all_sent(1)
        await post(rabbit.url, "sms.orange", AHEAD | {"batch": 2}, straight=True)
        await post(rabbit.url, "sms.red", b"garbage")
        await it.ticked_until(lambda: it.strays == 2)
        await it.add(1)
        await it.all_sent(2)
        strays = await it.store.read(lambda tx: tx.strays.page(10))
        await it.store.write(lambda tx: [tx.strays.ask_replay(stray.n) for stray in strays])
        await it.ticked_until(lambda: it.strays == 3)
        kept = await it.store.read(lambda tx: tx.strays.page(10))
        assert [stray.body for stray in kept] == [b"garbage"], "the other one makes sense now"
        assert sorted(it.sent) == [1, 2], "and its batch is over"


async def test_a_replay_that_no_queue_takes_is_kept(tmp_path: Path, rabbit: Vhost) -> None:
    async with works(tmp_path, rabbit.url) as it:
        n = await it.store.write(lambda tx: tx.strays.keep("gone.red", "old", b"{}", it.clock.now()))
        await it.store.write(lambda tx: tx.strays.ask_replay(n))
        await it.tick()

        async def kept() -> bool:
            return [each.reason for each in await it.store.read(lambda tx: tx.strays.page(9))] == [
                "no queue takes it; old"
            ]

        await until(kept, "the replay to be refused")


async def test_a_message_that_kills_whoever_takes_it_is_published_again(tmp_path: Path, rabbit: Vhost) -> None:
    """Its delivery limit makes it a dead letter; the store still wants the batch sent, and counts the attempts itself."""
    async with works(tmp_path, rabbit.url) as it:
        await it.add(0)
        await it.carried()
        async with stranger(rabbit.url) as amqp:
            queue = await amqp.get_queue("tongluo.sms.orange")
            for _ in range(40):
                message = await queue.get(fail=False)
                if message is None:
                    break
                await message.reject(requeue=True)
            assert message is None, "the limit holds"
        it.hands(it.worker())
        await it.ticked_until(lambda: it.sent == [1])
        assert it.strays == 0
