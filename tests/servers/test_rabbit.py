"""The private broker itself: what a test may do to it, and what stands afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from asyncio import to_thread
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from processes import bearing
from rabbit import RabbitServer, Vhost
from wire import wire_to


@asynccontextmanager
async def amqp_channel(url: str) -> AsyncIterator[AbstractChannel]:
    """A channel with publisher confirms."""
    connection = await aio_pika.connect(url, timeout=10)
    try:
        yield await connection.channel()
    finally:
        with contextlib.suppress(Exception):  # the broker may be gone
            await asyncio.wait_for(connection.close(), 5)


async def publish(channel: AbstractChannel, queue: str, body: bytes) -> None:
    """Publish one persistent message; returns when the broker has confirmed it."""
    message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
    await asyncio.wait_for(channel.default_exchange.publish(message, queue), 30)


async def eventually(condition: Callable[[], Awaitable[object]], within: float = 30.0) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(within):
        while not await condition():
            await asyncio.sleep(0.05)


async def test_a_vhost_takes_a_message_and_gives_it_back(rabbit: Vhost) -> None:
    async with amqp_channel(rabbit.url) as channel:
        queue = await channel.declare_queue("q")
        await publish(channel, "q", "预警".encode())
        got = await queue.get(timeout=10)
        assert got is not None
        assert got.body == "预警".encode()
        await got.ack()


async def test_vhosts_do_not_see_each_other_and_go_with_what_they_hold(rabbit: Vhost) -> None:
    with rabbit.server.vhost() as other:
        async with amqp_channel(rabbit.url) as here, amqp_channel(other.url) as there:
            await here.declare_queue("q", durable=True)
            await publish(here, "q", b"here")
            with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
                await there.declare_queue("q", passive=True)
        assert set(await to_thread(rabbit.queues)) == {"q"}
        assert await to_thread(other.queues) == {}
    assert other.name not in {row["name"] for row in await to_thread(rabbit.server.api, "GET", "vhosts")}


async def test_a_queue_deleted_behind_everybodys_back_is_gone(rabbit: Vhost) -> None:
    async with amqp_channel(rabbit.url) as channel:
        await channel.declare_queue("a/b", durable=True)
        await to_thread(rabbit.delete_queue, "a/b")
        assert await to_thread(rabbit.queues) == {}


async def test_a_connection_is_dropped_by_the_broker(rabbit: Vhost) -> None:
    connection = await aio_pika.connect(rabbit.url, timeout=10)
    ended = asyncio.Event()
    connection.close_callbacks.add(lambda *_: ended.set())
    await eventually(lambda: to_thread(rabbit.connections))
    assert await to_thread(rabbit.drop_connections) == 1
    await asyncio.wait_for(ended.wait(), 10)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_what_was_confirmed_outlives_a_kill(mortal_rabbit: Vhost, kind: str) -> None:
    server, arguments = mortal_rabbit.server, {"x-queue-type": kind}
    async with amqp_channel(mortal_rabbit.url) as channel:
        await channel.declare_queue("q", durable=True, arguments=arguments)  # type: ignore[arg-type]
        await publish(channel, "q", b"kept")
        if kind == "quorum":
            await to_thread(mortal_rabbit.settled, "q")
        await to_thread(server.kill9)
        assert not server.running
    with pytest.raises(aio_pika.exceptions.AMQPConnectionError):
        await aio_pika.connect(mortal_rabbit.url, timeout=10)
    await to_thread(server.start)
    async with amqp_channel(mortal_rabbit.url) as channel:
        queue = await channel.declare_queue("q", durable=True, arguments=arguments)  # type: ignore[arg-type]
        got = await queue.get(timeout=30)
        assert got is not None
        assert got.body == b"kept"


async def test_a_frozen_broker_is_silent_and_goes_on_when_thawed(mortal_rabbit: Vhost) -> None:
    async with amqp_channel(mortal_rabbit.url) as channel:
        await channel.declare_queue("q")
        mortal_rabbit.server.freeze()
        publishing = asyncio.create_task(publish(channel, "q", b"late"))
        assert await asyncio.wait({publishing}, timeout=0.5) == (set(), {publishing})
        assert mortal_rabbit.server.running
        mortal_rabbit.server.thaw()
        await publishing


async def test_a_memory_alarm_blocks_who_publishes_until_it_ends(mortal_rabbit: Vhost) -> None:
    server = mortal_rabbit.server
    async with amqp_channel(mortal_rabbit.url) as channel:
        await channel.declare_queue("q")
        await to_thread(server.alarm)
        assert await to_thread(lambda: server.alarmed)
        publishing = asyncio.create_task(publish(channel, "q", b"waits"))
        assert await asyncio.wait({publishing}, timeout=0.5) == (set(), {publishing})
        await to_thread(server.calm)
        await publishing
        assert not await to_thread(lambda: server.alarmed)


async def test_what_a_test_did_is_mended(mortal_rabbit: Vhost) -> None:
    server = mortal_rabbit.server
    await to_thread(server.alarm)
    server.freeze()
    await to_thread(server.mend)
    assert not await to_thread(lambda: server.alarmed)


async def test_a_broker_behind_a_wire_loses_its_clients_when_that_is_cut(rabbit: Vhost) -> None:
    async with wire_to("127.0.0.1", rabbit.server.ports.amqp) as wire:
        url = rabbit.url.replace(str(rabbit.server.ports.amqp), str(wire.port))
        connection = await aio_pika.connect(url, timeout=10)
        ended = asyncio.Event()
        connection.close_callbacks.add(lambda *_: ended.set())
        await wire.cut()
        await asyncio.wait_for(ended.wait(), 10)
        await wire.heal()
        async with amqp_channel(url) as channel:
            await channel.declare_queue("q")


def listens_beyond_loopback(port: int) -> bool:
    """Whether anybody answers on `port` at an address of this machine that is not 127.0.0.1."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.2", port)) == 0


def test_a_server_listens_on_loopback_alone_and_leaves_nothing_behind() -> None:
    server = RabbitServer.booted()
    ports, mark = server.ports, str(server.folder / "data")
    try:
        processes = bearing(mark)
        assert not any(listens_beyond_loopback(port) for port in (ports.amqp, ports.management, ports.distribution))
        again = RabbitServer(server.folder)
        assert again.running, "known by its folder alone"
        assert again.ports == ports
        again.start()
        assert bearing(mark) == processes, "it runs already"
    finally:
        server.discard()
    assert bearing(mark) == []
    assert not server.folder.exists()
    for port in (ports.amqp, ports.management, ports.distribution, ports.epmd):
        with socket.socket() as one:
            assert one.connect_ex(("127.0.0.1", port)) != 0, port


def test_a_server_that_does_not_come_up_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = RabbitServer(tmp_path)
    monkeypatch.setattr(server, "_write_settings", lambda: (tmp_path / "rabbitmq.conf").write_text("nonsense = 1\n"))
    try:
        with pytest.raises(TimeoutError, match=r"(?s)did not come up.*configuration"):
            server.start()
    finally:
        server.discard()
