"""The real program under load: `tongluo run` in a process of its own that may be killed at any moment, clients that post and repeat
what was not answered, and a message centre in the test's process that outlives every kill.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import yaml
from checker import Evidence, Got

from channels.sms.centre import DELIVERIES
from channels.sms.simulator import SmsCentre
from gateway.testing.hamlet import BEIHE, JIANNONG, NANSHAN, phone, settle

PEOPLE = {
    NANSHAN: frozenset(phone(number) for number in range(1, 7)),
    BEIHE: frozenset(phone(number) for number in range(7, 11)),
    JIANNONG: frozenset(phone(number) for number in range(21, 24)),
}
STAMP = "%Y-%m-%dT%H:%M:%S+00:00"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to be posted. `sent` is part of its identity."""

    identifier: str
    sent: str
    region: str
    cancels: Letter | None = None

    @property
    def raw(self) -> bytes:
        """The bytes, the same at every repeat."""
        expires = (datetime.fromisoformat(self.sent) + timedelta(days=1)).strftime(STAMP)
        refers = (
            f"<references>met@example,{self.cancels.identifier},{self.cancels.sent}</references>"
            if self.cancels
            else ""
        )
        info = (
            f"<info><language>zh-CN</language><category>Met</category><event>暴雨</event><urgency>Immediate</urgency>"
            f"<severity>Severe</severity><certainty>Likely</certainty><eventCode><valueName>EVENT-CODE</valueName>"
            f"<value>11B03</value></eventCode><expires>{expires}</expires><headline>暴雨预警 {self.identifier}</headline>"
            f"<description>大雨。</description><instruction>远离河道。</instruction><area><areaDesc>某村</areaDesc>"
            f"<geocode><valueName>CN-GB2260</valueName><value>{self.region}</value></geocode></area></info>"
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">'
            f"<identifier>{self.identifier}</identifier><sender>met@example</sender><sent>{self.sent}</sent>"
            f"<status>Actual</status><msgType>{'Cancel' if self.cancels else 'Alert'}</msgType><scope>Public</scope>"
            f"{refers}{'' if self.cancels else info}</alert>"
        ).encode()


@dataclass(slots=True)
class Program:
    """`tongluo run` on one data folder, started and ended again and again."""

    folder: Path
    process: asyncio.subprocess.Process | None = None
    url: str = ""
    key: str = ""
    ready: list[float] = field(default_factory=list)

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    def configure(self, channels: dict[str, Any]) -> None:
        """Write the configuration and the hamlet's files."""
        files = settle(self.folder, "http://127.0.0.1:9/ebd")
        http = {"requests_per_minute": 1_000_000}
        settings = {**files, "channels": channels, "speech": {"engine": "none"}, "http": http}
        (self.folder / "tongluo.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True))

    async def launch(self) -> None:
        """Start the process; it is not ready yet."""
        command = [sys.executable, "-m", "gateway", "run", "--config", "tongluo.yaml", "--data", "data", "--port", "0"]
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command, cwd=self.folder, stdout=asyncio.subprocess.PIPE, stderr=log
            )

    async def wait_until_ready(self) -> None:
        """Wait for the line that says where it listens."""
        assert self.process is not None
        assert self.process.stdout is not None
        started = time.monotonic()
        async with asyncio.timeout(60):
            line = (await self.process.stdout.readline()).decode()
        assert line.startswith("listening http://127.0.0.1:"), (line, await self.log_tail())
        self.ready.append(time.monotonic() - started)
        self.url = line.split()[1]
        self.key = (await asyncio.to_thread((self.data / "admin.key").read_text)).strip()

    async def kill(self) -> None:
        """End it at once."""
        self.url = ""
        if self.process is not None and self.process.returncode is None:
            os.kill(self.process.pid, signal.SIGKILL)
        if self.process is not None:
            await self.process.wait()

    async def terminate(self) -> int:
        """End it in good order; returns the exit code. It has ten seconds."""
        assert self.process is not None
        self.url = ""
        self.process.terminate()
        async with asyncio.timeout(10):
            return await self.process.wait()

    async def log_tail(self) -> str:
        """The last lines of its log."""
        return (await asyncio.to_thread((self.folder / "log").read_text))[-3000:]

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


@dataclass(slots=True)
class Clients:
    """Systems that post without end, and repeat with the same bytes what was not answered."""

    program: Program
    chance: Random
    evidence: Evidence = field(default_factory=Evidence)
    unanswered: list[Letter] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    posting: bool = True
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    def fresh(self) -> Letter:
        """A new warning for one of the villages."""
        region = self.chance.choice(list(PEOPLE))
        letter = Letter(f"A-{next(self.numbers)}", datetime.now(UTC).strftime(STAMP), region)
        self.evidence.wanted[letter.identifier] = PEOPLE[region]
        return letter

    def cancel_of(self, letter: Letter) -> Letter:
        """The Cancel of a warning, for the same people."""
        cancel = Letter(f"C-{next(self.numbers)}", datetime.now(UTC).strftime(STAMP), letter.region, letter)
        self.evidence.wanted[cancel.identifier] = PEOPLE[letter.region]
        self.evidence.cancelled[letter.identifier] = cancel.identifier
        return cancel

    async def answered(self, more: int, patience: float = 10) -> None:
        """Wait until so many more messages have been answered, but not for ever."""
        goal = len(self.evidence.acked) + more
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while len(self.evidence.acked) < goal:
                    await asyncio.sleep(0.005)

    async def run(self, cancels: bool) -> None:
        """One client. It ends when nobody posts any more and all of its own is answered."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
            while self.posting:
                letter = self.fresh()
                await self.insist(http, letter)
                if cancels:
                    await self.insist(http, self.cancel_of(letter))
                await asyncio.sleep(0.01)

    async def insist(self, http: aiohttp.ClientSession, letter: Letter) -> None:
        """Post until it is answered: 503 and broken connections are repeated with the same bytes."""
        raw = letter.raw
        while not await self.post(http, letter.identifier, raw):
            await asyncio.sleep(0.05)

    async def post(self, http: aiohttp.ClientSession, identifier: str, raw: bytes) -> bool:
        """Post once; whether it was answered for good."""
        if not self.program.url:
            return False
        headers = {"Authorization": f"Bearer {self.program.key}", "Content-Type": "application/cap+xml"}
        try:
            async with http.post(f"{self.program.url}/api/v1/alerts", data=raw, headers=headers) as answer:
                body = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        if answer.status in (429, 503):
            return False
        assert answer.status in (200, 202), body
        self.evidence.acked.setdefault(identifier, set()).add(body["id"])
        return True


@asynccontextmanager
async def under_load(folder: Path, seed: int, **centre: Any) -> AsyncIterator[tuple[Program, Clients, SmsCentre]]:
    """The program configured, the message centre up, and six clients that post; the caller starts and ends the program."""
    program = Program(folder)
    async with SmsCentre(seed=seed, **({"delay": 0.05} | centre)) as sms:
        await asyncio.to_thread(program.configure, {"sms": sms.settings()})
        clients = Clients(program, Random(seed))
        clients.tasks = [asyncio.create_task(clients.run(cancels=number == 0)) for number in range(6)]
        try:
            yield program, clients, sms
        finally:
            clients.posting = False
            for task in clients.tasks:
                task.cancel()
            await asyncio.gather(*clients.tasks, return_exceptions=True)
            await program.kill()


async def drained(program: Program, clients: Clients, sms: SmsCentre, patience: float = 60) -> None:
    """Nobody posts any more: wait until all is answered, sent, and every receipt is acknowledged."""
    clients.posting = False
    async with asyncio.timeout(patience):
        while (
            len(clients.evidence.acked) < len(clients.evidence.wanted)
            or await asyncio.to_thread(program.unfinished) > 0
        ):
            assert not [task for task in clients.tasks if task.done() and task.exception()]
            await asyncio.sleep(0.05)
        while sms.pending or any(line.room < DELIVERIES for line in sms.lines):
            await asyncio.sleep(0.05)


def gathered(clients: Clients, sms: SmsCentre) -> Evidence:
    """The clients' evidence with that of the message centre, which delivers to everybody."""
    evidence = clients.evidence
    evidence.received = [Got(item["alert"], item["key"], item["address"]) for item in sms.received]
    evidence.delivered = evidence.acknowledged = frozenset(got.key for got in evidence.received)
    return evidence
