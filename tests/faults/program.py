"""The whole gateway in one process, on one data folder with the embedded store and queue, started and ended again and again; a
message centre in the test's process outlives every kill, and clients post and repeat what was not answered.
"""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import yaml
from checker import Evidence, Verdict, examine
from clients import Clients
from nursery import Child, Nursery
from store_kit import url_of
from witness import Witness

from gateway.store import SqlStore
from gateway.testing.clock import ManualClock
from gateway.testing.hamlet import settle

COMMAND = ("run", "--config", "tongluo.yaml", "--data", "data", "--port", "0")


@dataclass(slots=True)
class Program:
    """`tongluo run`. `ready`: the seconds that each start took."""

    folder: Path
    nursery: Nursery
    life: Child | None = None
    url: str = ""
    key: str = ""
    ready: list[float] = field(default_factory=list)

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def doors(self) -> Sequence[str]:
        """Where to post."""
        return [self.url] if self.url else []

    def configure(self, channels: Mapping[str, Any]) -> None:
        """Write the configuration and the hamlet's files."""
        configure(self.folder, channels)

    async def launch(self) -> None:
        """Start the process; it is not ready yet."""
        self.life = await self.nursery.birth(self.folder, "gateway", *COMMAND)

    async def wait_until_ready(self) -> None:
        """Wait for the line that says where it listens."""
        assert self.life is not None
        began = time.monotonic()
        self.url = await self.life.listening()
        self.ready.append(time.monotonic() - began)
        self.key = await key_of(self.data)

    async def kill(self) -> None:
        """End it at once."""
        self.url = ""
        if self.life is not None:
            await self.life.kill()

    async def terminate(self) -> int:
        """End it in good order; returns the exit code. It has ten seconds."""
        assert self.life is not None
        self.url = ""
        self.life.tell(signal.SIGTERM)
        return await self.life.ended(10)

    async def log(self) -> str:
        """All of its log."""
        return await asyncio.to_thread((self.folder / "gateway.log").read_text)

    def unfinished(self) -> int:
        """How much work is not over, as a stranger reads it in the store."""
        with closing(sqlite3.connect(self.data / "tongluo.db")) as store:
            batches = store.execute("select count(*) from batch where state in ('pending', 'sending')").fetchone()[0]
            dispatches = store.execute("select count(*) from dispatch where state = 'open'").fetchone()[0]
        return int(batches) + int(dispatches)

    def integrity(self) -> str:
        """What SQLite says of the store."""
        with closing(sqlite3.connect(self.data / "tongluo.db")) as store:
            return str(store.execute("pragma integrity_check").fetchone()[0])


def configure(folder: Path, channels: Mapping[str, Any]) -> None:
    """The configuration of one process that does everything, and the hamlet's files."""
    files = settle(folder, "http://127.0.0.1:9/ebd")
    http = {"requests_per_minute": 1_000_000}
    settings = {**files, "channels": dict(channels), "speech": {"engine": "none"}, "http": http}
    (folder / "tongluo.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True))


async def key_of(data: Path) -> str:
    """The administrator's key of a data folder."""
    return (await asyncio.to_thread((data / "admin.key").read_text)).strip()


@asynccontextmanager
async def under_load(
    folder: Path, nursery: Nursery, seed: int, **centre: Any
) -> AsyncIterator[tuple[Program, Clients, Witness]]:
    """The program configured, the message centre up, and six clients that post; the caller starts and ends the program."""
    program = Program(folder, nursery)
    async with Witness(seed=seed, **({"delay": 0.05} | centre)) as sms:
        await asyncio.to_thread(program.configure, {"sms": sms.settings()})
        clients = Clients(program, Random(seed))
        clients.begin(6)
        try:
            yield program, clients, sms
        finally:
            for task in clients.tasks:
                task.cancel()
            await asyncio.gather(*clients.tasks, return_exceptions=True)
            await program.kill()


async def drained(program: Program, clients: Clients, sms: Witness, patience: float = 60) -> None:
    """Nobody posts any more: wait until all is answered, sent, and every receipt is acknowledged."""
    await clients.everything_answered(patience)
    async with asyncio.timeout(patience):
        while await asyncio.to_thread(program.unfinished) > 0 or not sms.quiet:
            await asyncio.sleep(0.05)


def gathered(clients: Clients, sms: Witness) -> Evidence:
    """The clients' evidence with that of the message centre."""
    evidence = clients.evidence
    evidence.received = sms.got()
    evidence.delivered = evidence.acknowledged = sms.told_delivered()
    return evidence


async def verdict_on(program: Program, evidence: Evidence) -> Verdict:
    """The checker's word on the folder that the program left."""
    store = SqlStore(url_of(program.data), ManualClock())
    try:
        return await examine(store, evidence)
    finally:
        await store.aclose()
