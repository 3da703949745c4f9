"""The loudspeaker channel against its village: real MQTT, real signatures, an embedded broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from loudspeaker_kit import (
    HOUR,
    NAME,
    NOON,
    TEXT,
    VILLAGE,
    HandClock,
    Notebook,
    batch,
    free_port,
    key,
    opened,
    overheard,
    stranger,
    until,
)
from pydantic import ValidationError

from channels.loudspeaker import Loudspeaker
from channels.loudspeaker.session import Link
from channels.loudspeaker.simulator import Village
from channels.loudspeaker.wire import Letter, Login
from gateway.channel import Audio, Cause, Channel, Level, Misconfigured, Reason, Receipt, Unavailable

LONG = 600.0


class Scene:
    """A village, a channel, a notebook and one clock for all."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.book, self.folder = HandClock(), Notebook(), folder
        self.stack = AsyncExitStack()

    async def village(self, **options: Any) -> Village:
        village = Village(**{"delay": 0.0, "clock": self.clock, **options})
        return await self.stack.enter_async_context(village)

    async def channel(self, village: Village, **settings: Any) -> Loudspeaker:
        chosen = {**village.settings(), "signing_key_file": str(self.folder / "signing.pem"), **settings}
        return await self.stack.enter_async_context(opened(chosen, self.folder / "data", self.clock, self.book))


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path)
    async with scene.stack:
        yield scene


def port_of(village: Village) -> int:
    return int(village.settings()["port"])


async def test_a_warning_is_played_and_each_device_proves_it(scene: Scene) -> None:
    village = await scene.village()
    channel = await scene.channel(village)
    assert isinstance(channel, Channel)
    receipts = await channel.send(batch("dev-1", "dev-2"))
    assert sorted(receipts) == [Receipt(Level.ACCEPTED, endpoint=0), Receipt(Level.ACCEPTED, endpoint=1)]
    await until(lambda: len(scene.book.receipts) == 4)
    assert scene.book.of(key(0)) == scene.book.of(key(1)) == [Level.ACCEPTED, Level.DELIVERED]
    assert {receipt.event_at for receipt in scene.book.receipts} == {NOON}
    first = next(item for item in village.received if item["address"] == "dev-1")
    assert first == {
        "at": "2026-07-22T04:00:00.000Z",
        "channel": "loudspeaker",
        "address": "dev-1",
        "text": TEXT,
        "key": key(0),
        "alert": "a1",
    }
    assert village.refused == []


async def test_many_devices_are_told_through_a_small_window(scene: Scene) -> None:
    village = await scene.village()
    channel = await scene.channel(village, inflight=7)
    names = [f"dev-{number}" for number in range(150)]
    answers = await asyncio.gather(*(channel.send(batch(*names, dispatch=name)) for name in ("d1", "d2")))
    assert [len(answer) for answer in answers] == [150, 150]
    await until(lambda: len(scene.book.at(Level.DELIVERED)) == 300)


async def test_what_comes_while_the_journal_is_busy_is_kept_in_one_group(scene: Scene) -> None:
    village = await scene.village()
    channel = await scene.channel(village)
    scene.book.open.clear()
    async with overheard(port_of(village), "tongluo/+/status") as heard:
        await channel.send(batch(*(f"dev-{number}" for number in range(100))))
        await until(lambda: len(heard) >= 200)
    scene.book.open.set()
    await until(lambda: len(scene.book.at(Level.DELIVERED)) == 100)
    assert max(scene.book.groups) > 20


async def test_what_cannot_be_a_topic_is_refused_and_the_rest_is_played(scene: Scene) -> None:
    village = await scene.village()
    channel = await scene.channel(village)
    receipts = await channel.send(batch("+", "dev-1", "a/b", "#", ""))
    bad = [receipt.endpoint for receipt in receipts if receipt.reason is Reason.INVALID_ADDRESS]
    assert sorted(bad) == [0, 2, 3, 4]
    await until(lambda: scene.book.at(Level.DELIVERED) == [key(1)])
    assert [item["address"] for item in village.received] == ["dev-1"]


async def test_a_retry_plays_nothing_twice_and_gets_its_receipt_again(scene: Scene) -> None:
    village = await scene.village()
    channel = await scene.channel(village)
    await channel.send(batch("dev-1"))
    await until(lambda: Level.DELIVERED in scene.book.of(key(0)))
    scene.book.receipts.clear()
    await channel.send(batch("dev-1", attempt=2))
    await until(lambda: scene.book.of(key(0)) == [Level.DELIVERED])
    assert (len(village.received), village.repeats, village.played) == (1, 1, [key(0)])
    await channel.send(batch("dev-1", dispatch="d2", cause=Cause.REPEAT))
    await until(lambda: scene.book.at(Level.DELIVERED) == [key(0), key(0, "d2")])
    assert len(village.received) == 2


async def test_hijackers_are_refused(scene: Scene) -> None:
    village = await scene.village(devices={"dev-1": VILLAGE, "dev-2": VILLAGE})
    channel = await scene.channel(village)
    async with overheard(port_of(village), "tongluo/+/play") as heard, stranger(port_of(village)) as hijacker:
        await channel.send(batch("dev-1"))
        await until(lambda: scene.book.at(Level.DELIVERED) and heard)
        real = heard[0][1]
        order = json.loads(real)
        without = json.dumps({name: value for name, value in order.items() if name != "sig"}).encode()
        await hijacker.publish("tongluo/dev-1/play", real, qos=1)
        await hijacker.publish("tongluo/dev-1/play", without, qos=1)
        await hijacker.publish("tongluo/dev-1/play", real.replace("暴雨".encode(), "地震".encode()), qos=1)
        await hijacker.publish("tongluo/dev-2/play", real, qos=1)
        await hijacker.publish("tongluo/dev-1/play", b"\xff\x00 play this", qos=1)
        await until(lambda: len(village.refused) == 5)
    assert [(item["address"], item["reason"]) for item in village.refused] == [
        ("dev-1", "replayed"),
        ("dev-1", "unsigned"),
        ("dev-1", "altered"),
        ("dev-2", "foreign"),
        ("dev-1", "malformed"),
    ]
    assert len(village.received) == 1
    assert village.played == [key(0)]


async def test_expired_and_foreign_instructions_are_refused_and_reported(scene: Scene) -> None:
    village = await scene.village(devices={"dev-1": VILLAGE, "dev-2": "210423001001"})
    channel = await scene.channel(village)
    await channel.send(batch("dev-1", dispatch="late", expires_at=NOON))
    await channel.send(batch("dev-2", dispatch="far"))
    await until(lambda: len(scene.book.receipts) == 2)
    assert {(receipt.key, receipt.level, receipt.reason) for receipt in scene.book.receipts} == {
        (key(0, "late"), Level.FAILED, Reason.EXPIRED),
        (key(0, "far"), Level.FAILED, Reason.REJECTED),
    }
    assert village.received == []


async def test_devices_obey_no_other_gateway(scene: Scene) -> None:
    village = await scene.village()
    await scene.channel(village)
    await until(lambda: village.trusts)
    impostor = await scene.channel(village, signing_key_file=str(scene.folder / "other.pem"), client_id="impostor")
    await impostor.send(batch("dev-1"))
    await until(lambda: village.refused)
    assert village.refused[0]["reason"] == "altered"
    assert village.received == []
    await until(lambda: scene.book.receipts)
    assert scene.book.receipts[0].reason is Reason.SIGNATURE


async def test_a_village_given_a_key_trusts_no_announcement(scene: Scene) -> None:
    (scene.folder / "installed.pem").write_bytes(bytes(range(32)))
    village = await scene.village(key_file=scene.folder / "installed.pem")
    channel = await scene.channel(village)
    await channel.send(batch("dev-1"))
    await until(lambda: village.refused)
    assert village.received == []
    known = await scene.channel(village, signing_key_file=str(scene.folder / "installed.pem"), client_id="known")
    await known.send(batch("dev-1", dispatch="d2"))
    await until(lambda: len(village.received) == 1)


async def test_no_device_answers_for_another(scene: Scene) -> None:
    village = await scene.village(faults="silent")
    channel = await scene.channel(village)
    async with overheard(port_of(village), "tongluo/+/play") as heard, stranger(port_of(village)) as liar:
        await channel.send(batch("dev-1", "dev-2"))
        await until(lambda: len(heard) == 2)
        tickets = {topic.split("/")[1]: json.loads(payload)["ticket"] for topic, payload in heard}
        lie = {"key": key(1), "ticket": tickets["dev-1"], "state": "played"}
        await liar.publish("tongluo/dev-1/status", json.dumps(lie), qos=1)
        await liar.publish("tongluo/dev-2/status", json.dumps({**lie, "ticket": ""}), qos=1)
        for noise in (b"", b"[]", b"\xff", b'{"key":1}', b'{"key":"k","state":"dancing"}', b"9" * 5_000):
            await liar.publish("tongluo/dev-1/status", noise, qos=1)
        truth = {"key": key(0), "ticket": tickets["dev-1"], "state": "played", "at": NOON + 5}
        await liar.publish("tongluo/dev-1/status", json.dumps(truth), qos=1)
        await until(lambda: scene.book.receipts)
    assert scene.book.receipts == [Receipt(Level.DELIVERED, key=key(0), event_at=NOON + 5)]
    assert channel.rejected_statuses == 8


async def test_receipts_are_offered_again_until_they_are_kept(scene: Scene) -> None:
    village = await scene.village()
    channel = await scene.channel(village)
    scene.book.failures = 2
    await channel.send(batch("dev-1"))
    await until(lambda: Level.DELIVERED in scene.book.of(key(0)))
    assert scene.book.failed == 2
    assert scene.book.of(key(0)) == [Level.ACCEPTED, Level.DELIVERED]


async def test_a_stop_silences_what_sounds_and_what_comes_late(scene: Scene) -> None:
    village = await scene.village(delay=LONG)
    channel = await scene.channel(village)
    sent = batch("dev-1", "dev-2")
    await channel.send(sent)
    await until(lambda: len(village.received) == 2)
    answers = await channel.recall(sent, [Receipt(Level.ACCEPTED, endpoint=0), Receipt(Level.ACCEPTED, endpoint=1)])
    assert sorted(answers) == [Receipt(Level.ACCEPTED, endpoint=0), Receipt(Level.ACCEPTED, endpoint=1)]
    await until(lambda: scene.book.at(Level.FAILED) == [key(0), key(1)])
    assert {receipt.reason for receipt in scene.book.receipts if receipt.level is Level.FAILED} == {Reason.WITHDRAWN}
    assert sorted(item["address"] for item in village.stopped) == ["dev-1", "dev-2"]
    other = batch("dev-3", dispatch="d2")
    await channel.recall(other, [])
    await channel.send(other)
    await until(lambda: [item["reason"] for item in village.refused] == ["withdrawn"])
    assert len(village.received) == 2
    assert village.played == []


async def test_a_stop_after_the_end_changes_nothing_and_failed_devices_are_left_alone(scene: Scene) -> None:
    village = await scene.village()
    channel = await scene.channel(village)
    await channel.send(batch("dev-1", "dev-2"))
    await until(lambda: scene.book.at(Level.DELIVERED) == [key(0), key(1)])
    failed = Receipt(Level.FAILED, endpoint=1, reason=Reason.PLAYBACK_FAILED)
    scene.book.receipts.clear()
    assert await channel.recall(batch("dev-1", "dev-2"), [failed]) == [Receipt(Level.ACCEPTED, endpoint=0)]
    await until(lambda: scene.book.of(key(0)) == [Level.DELIVERED])
    assert village.stopped == []


async def test_a_stop_lasts_as_long_as_what_it_stops(scene: Scene) -> None:
    village = await scene.village()
    channel = await scene.channel(village)
    async with overheard(port_of(village), "tongluo/+/play") as heard:
        await channel.recall(batch("dev-1", expires_at=NOON + 24 * HOUR), [])
        await channel.recall(batch("dev-1", dispatch="d2", expires_at=NOON - 1), [])
        await until(lambda: len(heard) == 2)
    assert [json.loads(payload)["not_after"] - NOON for _, payload in heard] == [24 * HOUR, HOUR]


async def test_an_update_ends_the_playing_of_what_it_supersedes(scene: Scene) -> None:
    village = await scene.village(delay=LONG)
    channel = await scene.channel(village)
    await channel.send(batch("dev-1"))
    await until(lambda: village.received)
    await channel.send(batch("dev-1", dispatch="d2", alert="a2", supersedes="a1"))
    await until(lambda: scene.book.of(key(0)) == [Level.ACCEPTED, Level.FAILED])
    assert [item["key"] for item in village.stopped] == [key(0)]
    assert [item["alert"] for item in village.received] == ["a1", "a2"]


async def test_faulty_devices(scene: Scene) -> None:
    village = await scene.village(faults="broken")
    channel = await scene.channel(village)
    await channel.send(batch("dev-1", dispatch="broken"))
    await until(lambda: scene.book.of(key(0, "broken")) == [Level.ACCEPTED, Level.FAILED])
    assert scene.book.receipts[-1].reason is Reason.PLAYBACK_FAILED
    village.set_faults("double")
    await channel.send(batch("dev-1", dispatch="double"))
    await until(lambda: scene.book.of(key(0, "double")).count(Level.DELIVERED) == 2)
    village.set_faults("silent")
    await channel.send(batch("dev-1", dispatch="silent"))
    await until(lambda: key(0, "silent") in village.played)
    village.set_faults("offline")
    await channel.send(batch("dev-1", dispatch="offline"))
    await until(lambda: village.missed)
    village.set_faults("")
    await channel.send(batch("dev-1", dispatch="well"))
    await until(lambda: Level.DELIVERED in scene.book.of(key(0, "well")))
    assert scene.book.of(key(0, "silent")) == scene.book.of(key(0, "offline")) == []


async def test_the_same_share_of_devices_is_offline_and_says_so(scene: Scene) -> None:
    names = [f"dev-{number}" for number in range(100)]
    village = await scene.village(faults="offline=0.3", devices=names)
    channel = await scene.channel(village)
    await until(lambda: len(channel.online) == 100)
    alive = sorted(name for name, online in channel.online.items() if online)
    assert 55 < len(alive) < 85
    assert len(await channel.send(batch(*names))) == 100
    await until(lambda: len(scene.book.at(Level.DELIVERED)) == len(alive))
    assert sorted(item["address"] for item in village.received) == alive
    village.set_faults("")
    await until(lambda: all(channel.online.values()))
    async with stranger(port_of(village)) as installer:
        await installer.publish("tongluo/dev-0/online", b"", qos=1)
        await until(lambda: "dev-0" not in channel.online)


async def test_a_frozen_broker_leaves_the_outcome_unknown_and_is_noticed(scene: Scene) -> None:
    village = await scene.village()
    channel = await scene.channel(village, patience=0.3, hold=0.1)
    await channel.probe()
    village.set_faults("stop")
    assert await channel.send(batch("dev-1")) == []
    with pytest.raises(Unavailable):
        await channel.probe()
    village.set_faults("")
    await until(lambda: village.received)
    async with asyncio.timeout(20):
        while True:
            try:
                await channel.probe()
                break
            except Unavailable:
                await asyncio.sleep(0.05)
    await channel.send(batch("dev-1", attempt=2))
    await until(lambda: Level.DELIVERED in scene.book.of(key(0)))
    assert len(village.received) == 1


async def test_it_starts_without_a_broker_and_finds_it_later(scene: Scene) -> None:
    port = free_port()
    settings = {"type": "loudspeaker", "port": port, "signing_key_file": str(scene.folder / "k"), "hold": 0.0}
    async with opened(settings, scene.folder / "data", scene.clock, scene.book) as channel:
        with pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
            await channel.send(batch("dev-1"))
        with pytest.raises(Unavailable):
            await channel.probe()
        village = await scene.village(port=port)
        async with asyncio.timeout(20):
            while not await answered(channel):
                await asyncio.sleep(0.05)
        await until(lambda: scene.book.at(Level.DELIVERED))
        await scene.stack.aclose()
        with pytest.raises(Unavailable):
            await until_unavailable(channel)
    assert [item["address"] for item in village.received] == ["dev-1"]


async def answered(channel: Loudspeaker) -> bool:
    try:
        return bool(await channel.send(batch("dev-1")))
    except Unavailable:
        return False


async def until_unavailable(channel: Loudspeaker) -> None:
    async with asyncio.timeout(20):
        while True:
            await channel.probe()
            await asyncio.sleep(0.02)


async def test_a_send_that_is_cancelled_does_not_hurt_the_next(scene: Scene) -> None:
    village = await scene.village()
    channel = await scene.channel(village, inflight=3)
    sending = asyncio.create_task(channel.send(batch(*(f"dev-{number}" for number in range(200)))))
    await until(lambda: village.received)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert len(await channel.send(batch("dev-1", "dev-2", "dev-3", "dev-4", dispatch="d2"))) == 4


async def test_devices_fetch_the_audio_that_was_signed(scene: Scene, unused_tcp_port: int) -> None:
    sound = b"RIFF a warning"

    async def wav(request: web.Request) -> web.Response:
        return web.Response(body=sound + request.match_info["name"].encode())

    app = web.Application()
    app.router.add_get("/{name}", wav)
    runner = web.AppRunner(app)
    await runner.setup()
    scene.stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    village = await scene.village(fetch=True)
    channel = await scene.channel(village)
    good = Audio("", f"http://127.0.0.1:{unused_tcp_port}/good", sha256(sound + b"good").hexdigest(), 3.0)
    swapped = Audio("", f"http://127.0.0.1:{unused_tcp_port}/swapped", sha256(sound + b"other").hexdigest(), 3.0)
    abroad = Audio("", f"http://0.0.0.0:{unused_tcp_port}/abroad", sha256(sound + b"abroad").hexdigest(), 3.0)
    for name, audio in (("good", good), ("swapped", swapped), ("abroad", abroad)):
        await channel.send(batch("dev-1", dispatch=name, audio=audio))
    await until(lambda: len(scene.book.receipts) == 6)
    assert scene.book.at(Level.DELIVERED) == [key(0, "good")]
    assert scene.book.at(Level.FAILED) == [key(0, "abroad"), key(0, "swapped")]


async def test_the_log_has_a_line_for_each_instruction_that_was_obeyed(scene: Scene) -> None:
    log = scene.folder / "village.jsonl"
    async with Village(log=log, delay=0.0, clock=scene.clock) as village:
        async with opened(village.settings(), scene.folder / "data", scene.clock, scene.book) as channel:
            await channel.send(batch("dev-1", "dev-2"))
            await until(lambda: len(scene.book.at(Level.DELIVERED)) == 2)
        received = village.received
    lines = await asyncio.to_thread(log.read_text, encoding="utf-8")
    assert [json.loads(line) for line in lines.splitlines()] == received
    assert TEXT in lines


async def test_only_declared_devices_exist_and_numbers_name_them(scene: Scene) -> None:
    village = await scene.village(devices=2)
    channel = await scene.channel(village)
    await channel.send(batch("speaker-1", "speaker-2", "speaker-3"))
    await until(lambda: scene.book.at(Level.DELIVERED) == [key(0), key(1)])
    assert sorted(channel.online) == ["speaker-1", "speaker-2"]


async def strict_broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes a login and a publish and refuses the second of two subscriptions (MQTT 3.1.1 §3.9.3); packets under 128 bytes."""
    while header := await reader.read(1):
        body = await reader.readexactly((await reader.readexactly(1))[0])
        match header[0] >> 4:
            case 1:
                writer.write(b"\x20\x02\x00\x00")
            case 8:
                writer.write(b"\x90\x04" + body[:2] + b"\x01\x80")
            case 3:
                writer.write(b"\x40\x02" + body[-2:])
    writer.close()


async def test_a_broker_that_lets_us_speak_but_not_listen_is_noticed() -> None:
    async def nothing(arrivals: object) -> None: ...

    async with await asyncio.start_server(strict_broker, "127.0.0.1", 0) as server:
        login = Login("127.0.0.1", server.sockets[0].getsockname()[1], "gw")
        async with Link(login, ("tongluo/+/status", "tongluo/+/online"), nothing, structlog.get_logger()) as link:
            assert await link.publish([Letter(7, "tongluo/probe", b"")], hold=10.0) == [7]
            assert link.deaf


def test_faults_that_do_not_exist_are_named() -> None:
    with pytest.raises(ValueError, match="known: silent"):
        Village(faults="explode")
    with pytest.raises(ValueError, match="known"):
        Village(faults="silent, offline=0.2, loud")


@pytest.mark.parametrize("topic", ["", "+", "a/#", "$SYS", "/a", "a/", "a\n"])
def test_topics_that_cannot_be_published_are_refused(topic: str) -> None:
    with pytest.raises(ValidationError, match="topic"):
        Loudspeaker.Config(type="loudspeaker", signing_key_file=Path("k"), topic=topic)


async def test_a_channel_that_was_not_opened_says_so(scene: Scene) -> None:
    village = await scene.village()
    async with opened(village.settings(), scene.folder, scene.clock, scene.book) as channel:
        closed = Loudspeaker(Loudspeaker.Config(**village.settings()), channel._context)
    with pytest.raises(Unavailable, match=NAME):
        await closed.send(batch("dev-1"))


async def test_a_password_file_that_is_missing_is_explained(scene: Scene) -> None:
    village = await scene.village()
    with pytest.raises(Misconfigured, match="password_file"):
        await scene.channel(village, username="gw", password_file=str(scene.folder / "none"))


def test_it_claims_no_more_than_it_can_prove() -> None:
    traits = Loudspeaker.traits
    assert (traits.kind, traits.proves, traits.audible, traits.media) == ("device", Level.DELIVERED, True, "audio")
    assert traits.evidence.hear == (0.0, 0.5, 1.0)
    assert traits.evidence.hear_night == (0.0, 0.3, 1.0)
    assert traits.evidence.q_unknown == 0.8
    assert "not surveyed" in traits.evidence.source
    assert traits.evidence.date
