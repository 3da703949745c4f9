"""The disk under the embedded store: every 2xx is preceded by a finished fdatasync, and a full disk is answered
with 503 and got over.

Both run the program by its own name, in a process of its own: one under strace, one on a small file system in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from clients import Clients, session
from installed import program
from letters import HAMLET
from program import COMMAND, configure, key_of
from rounds import Say, either, rule_of_three
from witness import Witness

from gateway.testing.hamlet import NANSHAN

pytest_plugins = ("lending",)
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="session")]

TRACED = "trace=fsync,fdatasync,recvfrom,sendto,read,write"
FAST = "from gateway.store import connection; connection.PRAGMAS = ('journal_mode=WAL', 'synchronous=OFF'); "
"""A promise broken on purpose: commits that do not wait for the disk."""


@dataclass(slots=True)
class House:
    """A gateway that is up."""

    folder: Path
    url: str
    key: str

    @property
    def doors(self) -> list[str]:
        return [self.url]


@asynccontextmanager
async def house(folder: Path, *before: str, broken: str = "", faults: str = "") -> AsyncIterator[House]:
    """Run the gateway by its name behind the command `before`; ended in good order."""
    code = f"{broken}from gateway.cli import main; main()"
    async with Witness(delay=0.05, faults=faults) as sms:
        await asyncio.to_thread(configure, folder, {"sms": sms.settings()})
        with (folder / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *before,
                sys.executable,
                "-c",
                code,
                *COMMAND,
                cwd=folder,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert process.stdout is not None
        try:
            line = (await asyncio.wait_for(process.stdout.readline(), 120)).decode()
            assert line.startswith("listening"), await asyncio.to_thread((folder / "log").read_text)
            yield House(folder, line.split()[1], await key_of(folder / "data"))
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # strace takes none for itself
            assert await asyncio.wait_for(process.wait(), 10) in (0, -signal.SIGTERM)


async def traced(folder: Path, messages: int, broken: str = "") -> list[str]:
    """The system calls of a gateway that takes so many messages, three at a time."""
    trace = folder / "trace"
    strace = ("strace", "-f", "-qq", "-ttt", "-s", "16", "-e", TRACED, "-e", "signal=none", "-o", str(trace))
    async with house(folder, *strace, broken=broken) as one:
        clients = Clients(one, Random(1))
        async with session() as http:
            letters = [clients.letter(region) for region in list(HAMLET) * (messages // len(HAMLET))]
            for place in range(0, len(letters), 3):
                await asyncio.gather(*(clients.insist(http, letter) for letter in letters[place : place + 3]))
        assert clients.statuses[202] == len(letters)
    return (await asyncio.to_thread(trace.read_text, errors="replace")).splitlines()


class Call(NamedTuple):
    """A system call, and the lines of the trace where it began and ended."""

    text: str
    began: int
    ended: int


def whole(lines: Sequence[str]) -> Iterator[Call]:
    """The calls of a trace in the order of their ends; strace writes one that another thread overtakes in two pieces."""
    open_calls = dict[str, tuple[str, int]]()
    for place, line in enumerate(lines):
        thread, _, text = line.split(None, 2)
        if text.endswith("<unfinished ...>"):
            open_calls[thread] = text.removesuffix("<unfinished ...>"), place
        elif resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", text):
            start, began = open_calls.pop(thread)
            yield Call(start + resumed[1], began, place)
        else:
            yield Call(text, place, place)


def unsynced(lines: Sequence[str]) -> tuple[int, int]:
    """(202 answers, those of them without an fdatasync that began after their request was read and ended before they were sent)."""
    read, synced, answers, bad = dict[str, int](), 0, 0, 0
    for call in whole(lines):
        if re.match(r"f(data)?sync\(.*= 0", call.text):
            synced = max(synced, call.began)
        elif request := re.match(r'(?:recvfrom|read)\((\d+), "POST /api', call.text):
            read[request[1]] = call.ended
        elif answer := re.match(r'(?:sendto|write)\((\d+), "HTTP/1.1 202', call.text):
            answers += 1
            bad += synced < read[answer[1]]
    return answers, bad


@pytest.fixture
def can_trace() -> None:
    """Skips where strace may not look into processes."""
    strace = program("strace", "strace")
    if subprocess.run([strace, "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no privilege to trace processes")


@pytest.mark.usefixtures("can_trace")
async def test_every_202_waits_for_the_disk(tmp_path: Path, say: Say) -> None:
    """F2."""
    answers, bad = unsynced(await traced(tmp_path, int(either(30, 600))))
    say(f"{answers} answers 202, {bad} of them before their fdatasync; {rule_of_three(answers, 'answer')}")
    assert answers >= 30
    assert bad == 0


@pytest.mark.usefixtures("can_trace")
async def test_an_answer_that_does_not_wait_is_seen(tmp_path: Path) -> None:
    """The test of the test: fsync off."""
    answers, bad = unsynced(await traced(tmp_path, 6, broken=FAST))
    assert (answers, bad) == (6, 6)


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """16 MiB of a file system of its own. Skips where nothing may be mounted."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if os.geteuid() or mounted.returncode:
        pytest.skip("no privilege to mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(filler: Path) -> None:
    """Write until nothing more goes in."""
    with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))


async def test_a_full_disk_is_answered_with_503_and_got_over(tmp_path: Path, say: Say) -> None:
    """F3."""
    with small_disk(tmp_path / "data"):
        async with house(tmp_path) as one, session() as http:
            clients, filler = Clients(one, Random(1)), tmp_path / "data" / "filler"
            await clients.insist(http, clients.letter(NANSHAN))
            await asyncio.to_thread(fill, filler)
            refused = [clients.letter(NANSHAN) for _ in range(20)]
            taken = [await clients.post(http, letter.identifier, letter.raw) for letter in refused]
            login = {"Authorization": f"Bearer {one.key}"}
            async with http.get(f"{one.url}/api/v1/alerts", headers=login) as listed:
                assert listed.status == 200
                assert len((await listed.json())["items"]) == 1 + sum(taken)
            async with http.get(f"{one.url}/readyz") as ready:
                told = ready.status
            await asyncio.to_thread(filler.unlink)
            began = time.monotonic()
            for letter in refused:
                await clients.insist(http, letter)
            took = time.monotonic() - began
        with closing(sqlite3.connect(tmp_path / "data" / "tongluo.db")) as store:
            assert store.execute("pragma integrity_check").fetchone() == ("ok",)
            assert store.execute("select count(*) from alert").fetchone() == (21,)
    say(
        f"20 posts on a full disk: {sum(taken)} kept, the others told 503 ({dict(clients.statuses)}), readyz {told}; "
        f"all taken {took:.1f} s after there was room"
    )
    assert clients.statuses[503] > 0
    assert took <= 10


async def test_a_gateway_whose_disk_is_full_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """F3, F21: in mid-send, so that there is something which cannot be kept."""
    with small_disk(tmp_path / "data"):
        async with house(tmp_path, faults="slow=0.5") as one, session() as http:
            clients = Clients(one, Random(1))
            await clients.insist(http, clients.letter(NANSHAN))
            await asyncio.sleep(0.2)
            await asyncio.to_thread(fill, tmp_path / "data" / "filler")
            await asyncio.sleep(1)
