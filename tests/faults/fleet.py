"""A deployment in roles on private servers: two intakes, two deliver workers, two watchers and a web process over PostgreSQL and
RabbitMQ, with message centres in the test's process and clients that post. Every process may be killed, frozen or born anew; the
way to the broker is a wire that fails on demand.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

import aiohttp
import psycopg
import yaml
from checker import Evidence, Verdict, examine
from clients import Clients, session
from letters import populate
from nursery import Child, Nursery
from postgres import PostgresServer
from rabbit import RabbitServer
from wire import Wire, wire_to
from witness import Witness

from gateway.store import SqlStore
from gateway.testing.clock import ManualClock
from gateway.testing.hamlet import settle

ROLES = ("intake", "intake", "deliver", "deliver", "watch", "watch", "web")
NAMES = tuple(f"{role}-{ROLES[: place + 1].count(role)}" for place, role in enumerate(ROLES))
CROWD, MEASURED = 5_000, 1_200
RATE = 100
"""Messages a second that the channel `paced` may carry, all workers together."""

FAULTS = "slow=0.03,early=0.05,double=0.1,lose=0.02,unordered,hexdec"
"""What the message centre does all the time: receipts early, twice, lost, out of order, with ids in another notation, and by
whichever worker's connection has room."""

PARALLEL = 4
WINDOW = PARALLEL * 6
"""Endpoints in flight at most in one worker, of the hamlet's alerts: sends at a time x the largest batch."""

UNFINISHED = (
    "SELECT (SELECT count(*) FROM batch WHERE state IN ('pending', 'sending'))"
    " + (SELECT count(*) FROM dispatch WHERE state = 'open')"
)
LEFT = (
    "SELECT channel, state, priority, count(*), min(not_before), max(lease_until), min(published_at), max(reason), max(attempts)"
    " FROM batch WHERE state IN ('pending', 'sending') GROUP BY 1, 2, 3"
)


@dataclass(slots=True)
class Fleet:
    """See the top of the file. `lives`: the processes by name; `deaths` counts the kills of each kind."""

    folder: Path
    nursery: Nursery
    postgres: PostgresServer
    rabbit: RabbitServer
    wire: Wire
    store: str
    centre: Witness
    paced: Witness
    clients: Clients = field(init=False)
    lives: dict[str, Child] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    deaths: dict[str, int] = field(default_factory=dict)
    key: str = ""

    @property
    def doors(self) -> Sequence[str]:
        """Where to post."""
        return [url for name, url in self.urls.items() if name.startswith(("intake", "all"))]

    @property
    def kills(self) -> int:
        return sum(self.deaths.values())

    def configure(self) -> None:
        """The configuration, the same for all."""
        files = settle(self.folder, "http://127.0.0.1:9/ebd")
        people = populate(self.folder / "directory.csv", CROWD, MEASURED)
        self.clients = Clients(self, Random(5), people, pause=0.15)
        channels = {
            "sms": {**self.centre.settings(), "parallel": PARALLEL, "message_id_format": "dec"},
            "paced": {**self.paced.settings(), "rate": RATE},
        }
        settings = {
            **files,
            "channels": channels,
            "speech": {"engine": "none"},
            "http": {"requests_per_minute": 1_000_000},
            "store": {"url": self.store},
            "queue": {"url": f"amqp://guest:guest@127.0.0.1:{self.wire.port}/%2F"},
        }
        (self.folder / "tongluo.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True))

    async def launch(self, *names: str) -> None:
        """Start processes and wait until they are ready."""
        for name in names:
            role = name.partition("-")[0]
            duties = () if role == "all" else ("--role", role)
            command = ("run", "--config", "tongluo.yaml", "--data", f"data-{name}", "--port", "0", *duties)
            self.lives[name] = await self.nursery.birth(self.folder, name, *command)
        await asyncio.gather(*map(self._ready, names))

    async def _ready(self, name: str) -> None:
        try:
            self.urls[name] = await self.lives[name].listening()
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(f"{name}: {error} {await self.log(name)}") from error
        place = self.folder / f"data-{name}" / "admin.key"
        if not self.key and await asyncio.to_thread(place.exists):
            self.key = (await asyncio.to_thread(place.read_text)).strip()

    async def kill(self, name: str) -> None:
        """kill -9."""
        self.urls.pop(name, None)
        await self.lives[name].kill()
        kind = name.partition("-")[0]
        self.deaths[kind] = self.deaths.get(kind, 0) + 1

    async def kill_broker(self) -> None:
        """kill -9."""
        await asyncio.to_thread(self.rabbit.kill9)
        self.deaths["broker"] = self.deaths.get("broker", 0) + 1

    async def end(self, *names: str) -> dict[str, tuple[int, float]]:
        """SIGTERM; returns the exit code of each and the seconds it took."""
        began, found = time.monotonic(), {}
        for name in names:
            self.urls.pop(name, None)
            self.lives[name].tell(signal.SIGTERM)
        for name in names:
            code = await self.lives[name].ended(30)
            found[name] = (code, time.monotonic() - began)
        return found

    async def asks(self, query: str) -> list[tuple[Any, ...]]:
        """What a stranger reads in the store."""

        def ask() -> list[tuple[Any, ...]]:
            with psycopg.connect(self.store, autocommit=True) as server:
                return server.execute(query.encode()).fetchall()

        return await asyncio.to_thread(ask)

    async def leader(self) -> str:
        """The name of the watcher that holds the lease, "" if none does."""
        rows = await self.asks(
            "SELECT url FROM process JOIN lease ON lease.owner = process.owner WHERE office = 'watch'"
        )
        return next((name for name, url in self.urls.items() if rows and url == rows[0][0]), "")

    async def get(self, name: str, path: str) -> tuple[int, Any]:
        """GET from a process: status, and JSON or text."""
        async with session() as http, http.get(self.urls[name] + path, headers=self.login) as answer:
            return answer.status, await (answer.json() if "json" in answer.content_type else answer.text())

    @property
    def login(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    async def metric(self, name: str, series: str) -> float:
        """The sum of a metric's samples in a process's exposition; `series` is how their lines begin."""
        _, text = await self.get(name, "/metrics")
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(series))

    async def duplicates(self) -> float:
        """`duplicates_total` of the workers that live."""
        workers = [name for name in self.urls if name.startswith(("deliver", "all"))]
        return sum([await self.metric(name, "tongluo_duplicates_total{") for name in workers])

    def resident(self, name: str) -> float:
        """The resident memory of a process, in MiB."""
        status = Path(f"/proc/{self.lives[name].pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

    def lines_to_the_store(self, name: str) -> set[int]:
        """The ports from which a process speaks to PostgreSQL."""
        proc = Path(f"/proc/{self.lives[name].pid}")
        mine = {os.readlink(handle) for handle in (proc / "fd").iterdir()}
        rows = [line.split() for line in (proc / "net" / "tcp").read_text().splitlines()[1:]]
        server = f":{self.postgres.port:04X}"
        return {
            int(row[1].rpartition(":")[2], 16)
            for row in rows
            if row[2].endswith(server) and f"socket:[{row[9]}]" in mine
        }

    async def log(self, name: str, last: int = 2_000) -> str:
        """The end of a process's log."""
        return (await asyncio.to_thread((self.folder / f"{name}.log").read_text))[-last:]

    async def drained(self, patience: float = 90) -> None:
        """Nobody posts any more: wait until all is answered, sent, receipted, and the receipts are acknowledged."""
        await self.clients.everything_answered(patience)
        try:
            await until(self.unfinished, "all work to end", patience)
        except AssertionError as error:
            raise AssertionError(f"{error}: {await self.asks(LEFT)}") from error
        await until(lambda: self.centre.quiet and self.paced.quiet, "the receipts", 30)

    async def unfinished(self) -> bool:
        """Whether the store has no work left."""
        return bool((await self.asks(UNFINISHED))[0][0] == 0)

    def evidence(self) -> Evidence:
        """What the clients and the far sides know."""
        evidence = self.clients.evidence
        evidence.received = [*self.centre.got(), *self.paced.got()]
        evidence.delivered = evidence.acknowledged = self.centre.told_delivered() | self.paced.told_delivered()
        return evidence

    async def verdict(self) -> Verdict:
        """The checker's; the fleet is not running."""
        store = SqlStore(self.store, ManualClock())
        try:
            return await examine(store, self.evidence())
        finally:
            await store.aclose()


@asynccontextmanager
async def fleet_at_sea(nursery: Nursery) -> AsyncIterator[Fleet]:
    """A fleet that runs, without a broker as yet, and nobody posts."""
    folder = Path(await asyncio.to_thread(mkdtemp, prefix="tongluo-fleet-"))
    rabbit = RabbitServer(Path(await asyncio.to_thread(mkdtemp, prefix="tongluo-rabbit-")))
    postgres = await asyncio.to_thread(lambda: PostgresServer.booted(durable=True))
    try:
        name = await asyncio.to_thread(postgres.create)
        ports = await asyncio.to_thread(lambda: rabbit.ports)
        async with (
            wire_to("127.0.0.1", ports.amqp) as wire,
            Witness(seed=5, delay=0.05, faults=FAULTS) as centre,
            Witness(seed=6, delay=0.05) as paced,
        ):
            fleet = Fleet(folder, nursery, postgres, rabbit, wire, postgres.url(name), centre, paced)
            await asyncio.to_thread(fleet.configure)
            try:
                await fleet.launch("intake-1")  # who migrates, and makes the key
                await fleet.launch(*(each for each in NAMES if each != "intake-1"))
                yield fleet
            finally:
                for task in fleet.clients.tasks:
                    task.cancel()
                await asyncio.gather(*fleet.clients.tasks, return_exceptions=True)
                for child in fleet.lives.values():
                    with suppress(ProcessLookupError):
                        await child.kill()
    finally:
        await asyncio.to_thread(rabbit.discard)
        await asyncio.to_thread(postgres.discard)
        if "FAULT_KEEP" not in os.environ:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def until(condition: Callable[[], Any], what: str, patience: float = 60) -> float:
    """Wait for a condition (a function, or a coroutine function); returns the seconds it took. A server that does not answer is no
    answer yet."""
    began = time.monotonic()
    while True:
        with suppress(psycopg.OperationalError, aiohttp.ClientError, KeyError, TimeoutError):
            found = condition()
            if await found if isinstance(found, Awaitable) else found:
                return time.monotonic() - began
        assert time.monotonic() - began < patience, f"waited {patience:g} s for {what}"
        await asyncio.sleep(0.05)
