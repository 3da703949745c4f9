"""The loudspeaker channel against a real Mosquitto: bursts, absences, restarts, freezes, logins and TLS."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from loudspeaker_kit import (
    HandClock,
    Mosquitto,
    Notebook,
    batch,
    free_port,
    key,
    needs_mosquitto,
    opened,
    overheard,
    public_folder,
    stranger,
    until,
)

from channels.loudspeaker import Loudspeaker
from channels.loudspeaker.simulator import Village
from gateway.channel import Level, Misconfigured, Unavailable

pytestmark = needs_mosquitto


class Scene:
    """A Mosquitto, and whatever a test connects to it."""

    def __init__(self, folder: Path, public: Path) -> None:
        self.clock, self.book, self.folder = HandClock(), Notebook(), folder
        self.broker = Mosquitto(free_port(), public)
        self.stack = AsyncExitStack()

    async def village(self, login: str = "", **options: Any) -> Village:
        url = f"mqtt://{login}127.0.0.1:{self.broker.port}"
        village = Village(broker=url, **{"delay": 0.0, "clock": self.clock, **options})
        return await self.stack.enter_async_context(village)

    def settings(self, **more: Any) -> dict[str, Any]:
        fixed = {"type": "loudspeaker", "port": self.broker.port, "signing_key_file": str(self.folder / "k.pem")}
        return {**fixed, **more}

    def gateway(self, **more: Any) -> Any:
        return opened(self.settings(**more), self.folder / "data", self.clock, self.book)

    async def channel(self, **more: Any) -> Loudspeaker:
        channel: Loudspeaker = await self.stack.enter_async_context(self.gateway(**more))
        return channel


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    with public_folder() as public:
        scene = Scene(tmp_path, public)
        try:
            async with scene.stack:
                yield scene
        finally:
            scene.broker.stop()


async def works_again(channel: Loudspeaker) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                return await channel.probe()
            except Unavailable:
                await asyncio.sleep(0.05)


async def test_a_burst_to_two_thousand_devices_loses_nothing(scene: Scene) -> None:
    await scene.broker.start()
    village = await scene.village()
    channel = await scene.channel()
    names = [f"dev-{number}" for number in range(500)]
    answers = await asyncio.gather(*(channel.send(batch(*names, dispatch=f"d{turn}")) for turn in range(4)))
    assert sum(map(len, answers)) == 2_000
    await until(lambda: len(scene.book.at(Level.DELIVERED)) == 2_000, seconds=60)
    assert len(village.received) == 2_000
    assert village.refused == []


async def test_receipts_that_came_while_the_gateway_was_away_are_not_lost(scene: Scene) -> None:
    await scene.broker.start()
    village = await scene.village(delay=0.3)
    async with scene.gateway() as channel:
        assert len(await channel.send(batch("dev-1", "dev-2"))) == 2
    assert scene.book.at(Level.DELIVERED) == []
    await until(lambda: len(village.played) == 2)
    await scene.channel()
    await until(lambda: scene.book.at(Level.DELIVERED) == [key(0), key(1)])


async def test_receipts_that_could_not_be_kept_come_back_after_a_restart(scene: Scene) -> None:
    await scene.broker.start()
    await scene.village()
    scene.book.failures = 10**6
    async with scene.gateway() as channel:
        await channel.send(batch("dev-1"))
        await until(lambda: scene.book.failed)
    assert scene.book.receipts == []
    scene.book.failures = 0
    await scene.channel()
    await until(lambda: Level.DELIVERED in scene.book.of(key(0)))


async def test_receipts_that_were_kept_do_not_come_back(scene: Scene) -> None:
    await scene.broker.start()
    village = await scene.village()
    async with scene.gateway() as channel:
        await channel.send(batch("dev-1"))
        await until(lambda: Level.DELIVERED in scene.book.of(key(0)))
        await channel.probe()
    kept = len(scene.book.receipts)
    again = await scene.channel()
    await again.send(batch("dev-2", dispatch="d2"))
    await until(lambda: Level.DELIVERED in scene.book.of(key(0, "d2")))
    assert scene.book.receipts[kept:] == [one for one in scene.book.receipts if one.key == key(0, "d2")]
    assert len(village.received) == 2


async def test_a_broker_that_dies_and_comes_back_is_found_again(scene: Scene) -> None:
    await scene.broker.start()
    village = await scene.village()
    channel = await scene.channel()
    await channel.send(batch("dev-1"))
    await until(lambda: Level.DELIVERED in scene.book.of(key(0)))
    scene.broker.stop()
    await fails(channel)
    await scene.broker.start()
    await works_again(channel)
    assert channel.online == {}
    village.set_faults("")
    await until(lambda: channel.online.get("dev-1"))
    await channel.send(batch("dev-1", dispatch="d2"))
    await until(lambda: scene.book.at(Level.DELIVERED) == [key(0), key(0, "d2")], seconds=30)


async def test_what_was_sent_to_a_frozen_broker_is_unknown_and_played_once_after_the_thaw(scene: Scene) -> None:
    await scene.broker.start()
    village = await scene.village()
    channel = await scene.channel(patience=0.4, hold=0.2)
    await channel.probe()
    scene.broker.signal(signal.SIGSTOP)
    assert await channel.send(batch("dev-1")) == []
    with pytest.raises(Unavailable):
        await channel.send(batch("dev-1", attempt=2))
    scene.broker.signal(signal.SIGCONT)
    await works_again(channel)
    await until(lambda: len(village.received) == 1)
    await channel.send(batch("dev-1", attempt=3))
    await until(lambda: village.repeats == 1)
    await until(lambda: Level.DELIVERED in scene.book.of(key(0)))
    assert village.played == [key(0)]


async def fails(channel: Loudspeaker) -> None:
    with contextlib.suppress(Unavailable):
        async with asyncio.timeout(20):
            while True:
                await channel.probe()


def passwords(folder: Path, **users: str) -> str:
    path = folder / "passwords"
    tool = shutil.which("mosquitto_passwd") or "/usr/bin/mosquitto_passwd"
    path.touch()
    for user, password in users.items():
        subprocess.run([tool, "-b", str(path), user, password], check=True, capture_output=True, timeout=20)
    path.chmod(0o644)
    return f"password_file {path}"


async def test_a_wrong_password_is_a_mistake_for_people(scene: Scene) -> None:
    users = await asyncio.to_thread(passwords, scene.broker.folder, gw="right", field="right too")
    scene.broker.lines = ("allow_anonymous false", users)
    await scene.broker.start()
    with pytest.raises(Misconfigured, match="refuses our login"):
        await (await scene.channel(username="gw", password="wrong", client_id="wrong")).send(batch("dev-1"))
    secret = scene.folder / "password"
    secret.write_text("right\n", encoding="utf-8")
    channel = await scene.channel(username="gw", password_file=str(secret))
    village = await scene.village("field:right%20too@")
    await channel.send(batch("dev-1"))
    await until(lambda: Level.DELIVERED in scene.book.of(key(0)))
    assert village.settings()["username"] == "field"


def documented_rules() -> str:
    """The access rules that docs/channels/loudspeaker.md tells people to use."""
    page = (Path(__file__).parents[2] / "docs" / "channels" / "loudspeaker.md").read_text(encoding="utf-8")
    return next(block for block in page.split("```") if "user gateway" in block)


async def test_with_the_documented_rules_no_device_listens_or_speaks_for_another(scene: Scene) -> None:
    names = {"gateway": "pw", "dev-1": "pw", "dev-2": "pw"}
    rules = scene.broker.folder / "acl"
    rules.write_text(documented_rules(), encoding="utf-8")
    users = await asyncio.to_thread(passwords, scene.broker.folder, **names)
    scene.broker.lines = ("allow_anonymous false", users, f"acl_file {rules}")
    await scene.broker.start()
    channel = await scene.channel(username="gateway", password="pw")
    login = {"username": "dev-1", "password": "pw"}
    async with overheard(scene.broker.port, "tongluo/+/play", **login) as heard:
        await channel.send(batch("dev-2", "dev-1"))
        await until(lambda: heard)
        ticket = json.loads(heard[0][1])["ticket"]
        status = json.dumps({"key": key(1), "ticket": ticket, "state": "played"})
        for topic in ("tongluo/dev-2/status", "tongluo/dev-2/play", "tongluo/dev-1/play", "tongluo/dev-1/status"):
            with contextlib.suppress(
                aiomqtt.MqttError
            ):  # a broker may hang up on what it does not allow (MQTT 3.1.1 §3.3.5)
                async with stranger(scene.broker.port, **login) as device:
                    await device.publish(topic, status, qos=1)
        await until(lambda: scene.book.receipts)
    assert [topic for topic, _ in heard] == ["tongluo/dev-1/play"]
    assert [receipt.key for receipt in scene.book.receipts] == [key(1)]
    assert channel.rejected_statuses == 0


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    secret, name = Ed25519PrivateKey.generate(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = datetime.now(UTC)
    own = (
        x509.CertificateBuilder(
            name, name, secret.public_key(), x509.random_serial_number(), now, now + timedelta(days=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(secret, None)
    )
    cert, private = folder / "cert.pem", folder / "cert.key"
    cert.write_bytes(own.public_bytes(Encoding.PEM))
    private.write_bytes(secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private.chmod(0o644)
    return cert, private


async def test_tls_is_spoken_and_verified(scene: Scene) -> None:
    cert, private = certificate(scene.broker.folder)
    scene.broker.lines = ("allow_anonymous true", f"certfile {cert}", f"keyfile {private}")
    await scene.broker.start()
    trusting = await scene.channel(tls=True, ca_file=str(cert))
    await trusting.probe()
    suspicious = await scene.channel(tls=True, client_id="suspicious", hold=1.0)
    with pytest.raises(Unavailable, match="certificate verify failed"):
        await suspicious.probe()


async def test_tls_files_that_are_missing_are_explained(scene: Scene) -> None:
    with pytest.raises(Misconfigured, match="TLS files"):
        await scene.channel(tls=True, ca_file=str(scene.folder / "none"))
