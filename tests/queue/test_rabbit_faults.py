"""The queue over RabbitMQ when the broker fails: killed, absent, frozen, starved, robbed of its queues. The store is the
truth; nothing is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aio_pika
import pytest
from installed import free_ports
from rabbit_kit import Vhost, Works, ready, server_side, until, works
from sqlalchemy import func, insert, select
from wire import Wire, wire_to

from gateway.model.dispatch import Priority
from gateway.queue import broker, relay
from gateway.store import tables


async def published(it: Works) -> int:
    """How many batches the store calls published and unfinished."""
    query = select(func.count()).where(tables.batch.c.published_at > 0, tables.batch.c.state == "pending")
    return int(await it.store.read(lambda tx: tx.connection.execute(query).scalar_one()))


@pytest.mark.faults
async def test_killed_with_publishes_in_flight_and_absent_for_a_while(tmp_path: Path, mortal_rabbit: Vhost) -> None:
    """F7, F8: the broker is killed, new work comes while it is away, a further process starts without it; all is sent."""
    server = mortal_rabbit.server
    async with works(tmp_path, mortal_rabbit.url) as it:
        it.hands(it.worker(), 4)
        await it.add(*range(800))
        await until(lambda: len(it.sent) > 100, "the work to be under way")
        await server_side(server.kill9)
        before = len(it.sent)
        await it.add(*range(800, 1000), priority=Priority.BLUE)
        late = it.worker()
        it.hands(late, 4)
        await until(lambda: not it.relay.state.up and not late.state.up, "the loss to be noticed")
        assert it.relay.state.detail
        await it.add(9999, priority=Priority.RED)
        await server_side(server.start)
        began = time.monotonic()
        it.start(it.keep_ticking())
        await until(lambda: 1001 in it.sent, "the red one")
        red_after = time.monotonic() - began
        await it.all_sent(1001)
        await until(lambda: it.relay.state.up and late.state.up, "the state to say so")
        twice = len(it.sent) - len(set(it.sent))
        print(
            f"sent before the kill: {before}; red after {red_after:.1f} s; all after {time.monotonic() - began:.1f} s"
        )
        print(f"sent twice: {twice}")
        assert set(it.sent) == set(range(1, 1002))
        assert twice == 0, "the lease in the store lets nobody send what is over"
        ahead = [n for n in it.sent[: it.sent.index(1001)] if 800 < n <= 1000]
        assert len(ahead) <= 8, "red before blue: at most what idle hands took while it was on its way"


@pytest.mark.faults
@pytest.mark.long
async def test_a_queue_that_was_killed_at_birth_holds_nobody_up_and_is_made_anew(
    tmp_path: Path, mortal_rabbit: Vhost
) -> None:
    """F8: what RabbitMQ leaves of a quorum queue declared just before a kill -9 takes nothing and gives nothing."""
    await sick_queue(mortal_rabbit, "sms.red")
    async with works(tmp_path, mortal_rabbit.url) as it:
        queue = it.worker()
        it.hands(queue)
        await it.add(*range(300), priority=Priority.RED)
        await it.add(999, priority=Priority.BLUE)
        await until(lambda: 301 in it.sent, "the blue one to get by")
        assert it.sent == [301]
        await until(lambda: "sms.red" in queue.state.detail, "the state to name it")
        it.start(it.keep_ticking())
        await it.all_sent(301)
        await until(lambda: queue.state.up, "the queue to be well")


async def sick_queue(rabbit: Vhost, route: str) -> None:
    """Kill the broker at the birth of a queue until one is sick; it is, most of the time."""
    topology, server = broker.Topology(), rabbit.server
    for _ in range(5):
        link = await aio_pika.connect(rabbit.url)
        await topology.exchange(await link.channel())
        await topology.work_queue(link, route)
        server.kill9()
        with contextlib.suppress(*broker.BROKEN):
            await broker.within(5, link.close())
        await server_side(server.start)
        link = await aio_pika.connect(rabbit.url)
        try:
            await broker.within(3, topology.try_consumer(link, route))
        except TimeoutError:
            return
        finally:
            with contextlib.suppress(*broker.BROKEN):
                await broker.within(5, link.close())
        await server_side(lambda: rabbit.delete_queue(topology.queue(route)))
    pytest.skip("this broker brings its queues to life again")


@pytest.mark.faults
async def test_a_frozen_broker_holds_nobody_up(
    tmp_path: Path, mortal_rabbit: Vhost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F10: publishes have a deadline of their own, the state says so, and after the thaw everything flows."""
    monkeypatch.setattr(broker, "HEARTBEAT", 60)  # which would notice after three minutes
    server = mortal_rabbit.server
    async with works(tmp_path, mortal_rabbit.url) as it:
        it.hands(it.worker(), 4)
        await it.add(*range(20))
        await it.all_sent(20)
        await server_side(server.freeze)
        began = time.monotonic()
        await it.add(*range(20, 400))
        await it.tick(6)
        assert time.monotonic() - began < 3, "a tick does not wait for the broker"
        await until(lambda: it.relay.state.blocked or not it.relay.state.up, "the state to say so", 40)
        noticed = time.monotonic() - began

        async def given_back() -> bool:
            return await published(it) == 0

        await until(given_back, "what is not confirmed to be given back", 40)
        print(f"noticed after {noticed:.1f} s; given back after {time.monotonic() - began:.1f} s")
        await server_side(server.thaw)
        await it.all_sent(400)
        assert sorted(set(it.sent)) == list(range(1, 401))


@pytest.mark.faults
async def test_a_half_open_connection_is_noticed(
    tmp_path: Path, rabbit: Vhost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F10: what we send arrives, what the broker answers does not; no RST ever comes."""
    monkeypatch.setattr(relay, "PROBE_EVERY", 0.5)
    monkeypatch.setattr(relay, "PROBE_WAITS", 1.0)
    async with through_a_wire(rabbit) as (url, wire), works(tmp_path, url) as it:
        it.hands(it.worker(), 4)
        await it.add(*range(20))
        await it.all_sent(20)
        wire.half_open()
        await it.add(*range(20, 60))
        await until(lambda: it.relay.state.blocked or not it.relay.state.up, "the state to say so", 20)
        await wire.heal()
        await it.all_sent(60)
        assert sorted(set(it.sent)) == list(range(1, 61))


@pytest.mark.faults
async def test_a_memory_alarm_is_noticed_and_loses_nothing(tmp_path: Path, mortal_rabbit: Vhost) -> None:
    """F11: blocked within 10 s although nobody publishes; what comes meanwhile waits in the store, not in memory."""
    server = mortal_rabbit.server
    async with works(tmp_path, mortal_rabbit.url) as it:
        it.hands(it.worker(), 4)
        await it.add(*range(20))
        await it.all_sent(20)
        await server_side(server.alarm)
        began = time.monotonic()
        await until(lambda: it.relay.state.blocked, "the alarm to be noticed", 20)
        noticed = time.monotonic() - began
        assert it.relay.state.up
        await it.add(*range(20, 320))
        await asyncio.sleep(1)
        assert await published(it) == 0, "nothing is read that could not be published"
        await server_side(server.calm)
        await it.all_sent(320)
        await until(lambda: not it.relay.state.blocked, "the end of the alarm to be noticed")
        print(f"alarm noticed after {noticed:.1f} s")
        assert noticed < 10
        assert sorted(it.sent) == list(range(1, 321))


async def test_a_deleted_queue_loses_nothing(tmp_path: Path, rabbit: Vhost) -> None:
    """F12: the store knows what was in it, and publishes it again."""
    async with works(tmp_path, rabbit.url) as it:
        await it.add(*range(500))
        await it.carried()
        assert await ready(rabbit.url, "sms.orange") == 500
        await server_side(lambda: rabbit.delete_queue("tongluo.sms.orange"))
        it.hands(it.worker(), 4)
        await it.tick(5)
        await asyncio.sleep(0.5)
        assert it.sent == [], "15 s have not passed"
        await it.tick(11)
        await it.all_sent(500)
        assert sorted(it.sent) == list(range(1, 501))


async def test_a_queue_deleted_under_its_consumers_comes_back_with_them(tmp_path: Path, rabbit: Vhost) -> None:
    async with works(tmp_path, rabbit.url) as it:
        it.hands(it.worker(), 4)
        await it.add(*range(20))
        await it.all_sent(20)
        await server_side(lambda: rabbit.delete_queue("tongluo.sms.orange"))
        await it.add(*range(20, 40))
        await it.all_sent(40)


async def test_what_no_queue_takes_is_published_again_after_a_declaration(tmp_path: Path, rabbit: Vhost) -> None:
    async with works(tmp_path, rabbit.url) as it:
        await it.add(0)
        await it.carried()
        await server_side(lambda: rabbit.delete_queue("tongluo.sms.orange"))
        await it.add(1)

        async def carried() -> bool:
            return await ready(rabbit.url, "sms.orange") == 1

        await until(carried, "the new one to be carried")
        it.hands(it.worker())
        await it.all_sent(1)
        assert it.sent == [2]


async def test_a_queue_that_stands_otherwise_is_used_as_it_is(tmp_path: Path, rabbit: Vhost) -> None:
    """Made by hand, or by a version that declared it otherwise: that is no reason to keep a warning back."""
    async with works(tmp_path, rabbit.url) as it:
        by_hand = {"durable": True, "arguments": {"x-queue-type": "classic"}}
        path = f"queues/{rabbit.name}/tongluo.sms.orange"
        await server_side(lambda: rabbit.server.api("PUT", path, by_hand))
        queue = it.worker()
        it.hands(queue)
        await it.add(0)
        await it.add(1, priority=Priority.RED)
        await it.all_sent(2)
        assert queue.state.up
        await it.tick(5)
        await it.add(2)
        await it.all_sent(3)


async def test_a_start_without_a_broker_is_normal_and_costs_no_memory(tmp_path: Path) -> None:
    """F9: 100,000 batches wait in the store, and none of them in the process."""
    (port,) = free_ports(1)
    async with works(tmp_path, f"amqp://guest:guest@127.0.0.1:{port}/") as it:
        now = it.clock.now()
        row = {
            "dispatch": 1, "channel": "sms", "variant": 0, "priority": 4, "first": 0, "count": 500, "state": "pending",
            "expires_at": now + 1000, "not_before": now, "created_at": now,
        }  # fmt: skip
        for _ in range(100):
            await it.store.write(lambda tx: tx.connection.execute(insert(tables.batch), [row] * 1000))
        gc.collect()
        before = resident()
        it.hands(it.worker(), 4)
        for _ in range(20):
            it.relay.wake()
            await it.tick(1)
            await asyncio.sleep(0.05)
        grown = (resident() - before) / 2**20
        print(f"grown by {grown:.1f} MiB")
        assert await published(it) == 0
        assert not it.relay.state.up
        assert grown < 8


async def test_no_address_and_no_name_is_on_the_wire(tmp_path: Path, rabbit: Vhost) -> None:
    """Everything that goes to the broker is recorded; ids and words of our own are all there is."""
    secrets = [b"13800001111", b"wx-openid-7", "张三".encode(), "暴雨".encode(), b"met@example"]
    heard = bytearray()
    async with recorded(rabbit, heard) as url, works(tmp_path, url) as it:
        await it.store.write(lambda tx: tx.rosters.put_part(1, 0, ["13800001111", "wx-openid-7"], ["张三", "7"]))
        it.hands(it.worker())
        await it.add(*range(50))
        await it.all_sent(50)
    assert heard.count(b'"batch":') == 50
    assert not [secret for secret in secrets if secret in heard]


@asynccontextmanager
async def through_a_wire(rabbit: Vhost) -> AsyncIterator[tuple[str, Wire]]:
    async with wire_to("127.0.0.1", rabbit.server.ports.amqp) as wire:
        yield rabbit.url.replace(str(rabbit.server.ports.amqp), str(wire.port)), wire


@asynccontextmanager
async def recorded(rabbit: Vhost, heard: bytearray) -> AsyncIterator[str]:
    """The broker's URL by way of a listener that writes down what we say."""
    ends: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: bytearray) -> None:
        try:
            while chunk := await reader.read(2**16):
                log += chunk
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, to = await asyncio.open_connection("127.0.0.1", rabbit.server.ports.amqp)
        ends.add(asyncio.create_task(carry(back, writer, bytearray())))
        ends.add(asyncio.create_task(carry(reader, to, heard)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield rabbit.url.replace(str(rabbit.server.ports.amqp), str(port))
    finally:
        server.close()
        await asyncio.wait(ends, timeout=5)


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096
