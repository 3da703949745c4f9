"""Transport: the queue that the settings name, and which of its steps a process with these roles runs. Nothing is dialled here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from store_kit import NOW, opened

from gateway.app import transport as transport_room
from gateway.app.duties import ALL, Duty
from gateway.app.transport import Transport, secret, transport, with_password
from gateway.errors import ConfigError
from gateway.flow.office import TERM, Elected
from gateway.queue.embedded import EmbeddedQueue
from gateway.queue.rabbit import RabbitQueue
from gateway.settings import QueueSettings
from gateway.store import SqlStore
from gateway.testing.clock import ManualClock

LOG = structlog.get_logger("transport")


@asynccontextmanager
async def made(
    folder: Path, url: str, duties: Sequence[Duty]
) -> AsyncIterator[tuple[Transport, SqlStore, ManualClock]]:
    clock = ManualClock(NOW)
    async with opened(folder, clock) as store:
        settings = QueueSettings.model_validate({"url": url})
        yield transport(settings, store, clock, "one", frozenset(duties), {}, LOG), store, clock


async def test_the_embedded_queue_needs_no_steps(tmp_path: Path) -> None:
    async with made(tmp_path, "embedded:", list(ALL)) as (it, store, clock):
        assert isinstance(it.queue, EmbeddedQueue)
        assert (it.brokered, it.steps) == (False, {})
        assert it.watched(Elected("watch", store, clock, "one", LOG)) == {}


@pytest.mark.parametrize(
    ("duties", "steps", "watches"),
    [
        ([Duty.INTAKE], {"relay"}, False),
        ([Duty.DELIVER], {"queue"}, False),
        ([Duty.WATCH], {"relay"}, True),
        ([Duty.WEB], set(), False),
        ([Duty.INTAKE, Duty.DELIVER], {"relay", "queue"}, False),
        (list(Duty), {"relay", "queue"}, True),
    ],
    ids=lambda given: "-".join(given) if isinstance(given, list) else None,
)
async def test_each_role_runs_its_side_of_the_broker(
    tmp_path: Path, duties: list[Duty], steps: set[str], watches: bool
) -> None:
    async with made(tmp_path, "amqp://127.0.0.1:1/", duties) as (it, store, clock):
        assert isinstance(it.queue, RabbitQueue)
        assert it.brokered
        assert set(it.steps) == steps
        watched = it.watched(Elected("watch", store, clock, "one", LOG))
        assert set(watched) == ({"reconciler", "reconciling"} if watches else set())


async def test_only_the_holder_of_the_office_reconciles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_room, "TICK", 0.005)
    looks: list[int] = []

    async def tick() -> None:
        looks.append(1)

    async def run() -> None:
        """It is not asked to here."""

    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as store:
        office = Elected("watch", store, clock, "one", LOG)
        reconciler: Any = SimpleNamespace(tick=tick, run=run)
        it = Transport(EmbeddedQueue(store, clock, "one"), reconciler=reconciler)
        looking = asyncio.ensure_future(it.watched(office)["reconciling"]())
        await asyncio.sleep(0.05)
        assert looks == []
        await office._stand()
        async with asyncio.timeout(30):
            while len(looks) < 3:
                await asyncio.sleep(0.005)
        clock.forward(TERM / 1000)
        await asyncio.sleep(0.02)
        looked = len(looks)
        await asyncio.sleep(0.05)
        assert len(looks) == looked
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


def kept(folder: Path, text: str) -> str:
    (folder / "secret").write_text(text, encoding="utf-8")
    return str(folder / "secret")


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("amqp://gw@mq:5672/town", "amqp://gw:p%40ss%2F%3A@mq:5672/town"),
        ("amqps://gw@mq/", "amqps://gw:p%40ss%2F%3A@mq/"),
        ("amqp://gw:old@mq/", "amqp://gw:p%40ss%2F%3A@mq/"),
        ("amqp://mq/%2Fv", "amqp://guest:p%40ss%2F%3A@mq/%2Fv"),
        ("amqp://wang%40town@[::1]:5672/", "amqp://wang%40town:p%40ss%2F%3A@[::1]:5672/"),
    ],
)
def test_the_password_of_a_file_goes_into_the_url(tmp_path: Path, url: str, whole: str) -> None:
    assert with_password(url, kept(tmp_path, "p@ss/:\n")) == whole


def test_without_a_file_the_url_stays_as_it_is() -> None:
    assert with_password("amqp://gw:x@mq/", "") == "amqp://gw:x@mq/"


def test_a_secret_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    assert secret(kept(tmp_path, " geheim \n# changed in May\n")) == "geheim"


def test_a_secret_that_cannot_be_read_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere: the secret cannot be read: No such file.*Correct its name"):
        secret(str(tmp_path / "nowhere"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"bytes: the secret cannot be read: it is not text"):
        secret(str(tmp_path / "bytes"))
