"""A nursery of real processes: `tongluo COMMAND` without the seconds that importing it takes on a busy machine.

`Nursery` (used by `program` and `fleet`) keeps one process that has imported the program and forks a child for every life: the
child gets its own folder, log and command line, runs `gateway.cli.main` and ends as any process ends.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DIES_WITH_PARENT = 1
"""prctl(PR_SET_PDEATHSIG)."""


@dataclass(eq=False, slots=True)
class Child:
    """One life. `said` is the file that its standard output goes to."""

    nursery: Nursery
    pid: int
    said: Path
    code: int | None = None
    born: float = field(default_factory=time.monotonic)

    @property
    def lives(self) -> bool:
        return self.code is None

    def tell(self, what: signal.Signals) -> None:
        """Send it a signal."""
        if self.lives:
            os.kill(self.pid, what)

    async def ended(self, within: float) -> int:
        """Wait for its end; returns the exit code, negative for a signal. Raises TimeoutError."""
        if self.code is None:
            handle = os.pidfd_open(self.pid)
            try:
                async with asyncio.timeout(within):
                    await _readable(handle)
            finally:
                os.close(handle)
            self.code = (await self.nursery.ask(reap=self.pid))["code"]
        return self.code

    async def kill(self) -> None:
        """SIGKILL, and wait until nothing of it is left."""
        self.tell(signal.SIGKILL)
        await self.ended(30)

    async def listening(self, within: float = 120) -> str:
        """The URL that it prints when it is ready. Raises AssertionError if it ends instead, TimeoutError."""
        async with asyncio.timeout(within):
            while "\n" not in (line := await asyncio.to_thread(self.said.read_text)):
                assert not _is_zombie(self.pid), "it ended before it was ready"
                await asyncio.sleep(0.02)
        assert line.startswith("listening http://"), line
        return line.split()[1]


class Nursery:
    """An async context; everything born in it dies with it."""

    async def __aenter__(self) -> Nursery:
        self._turn = asyncio.Lock()
        here = Path(__file__)
        self._keeper = await asyncio.create_subprocess_exec(
            sys.executable, str(here), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        await self._keeper.wait()

    async def birth(self, folder: Path, name: str, *command: str) -> Child:
        """`tongluo COMMAND` in `folder`; its log is `NAME.log`."""
        said = folder / f"{name}.said"
        order = {"command": command, "folder": str(folder), "log": f"{name}.log", "said": said.name}
        await asyncio.to_thread(said.write_text, "")
        return Child(self, (await self.ask(**order))["pid"], said)

    async def ask(self, **order: Any) -> dict[str, Any]:
        """One order to the keeper, and its answer."""
        keeper = self._keeper
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        async with self._turn:
            keeper.stdin.write(json.dumps(order).encode() + b"\n")
            answer: dict[str, Any] = json.loads(await keeper.stdout.readline())
            return answer


async def _readable(handle: int) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def keep() -> None:
    """The keeper's life: an order on each line of standard input, an answer to each; all children end with it."""
    children = set[int]()
    for name in ("gateway.cli", "gateway.app", "channels.sms", "psycopg", "alembic.command", "aio_pika", "uuid"):
        importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        if "reap" in order:
            children.discard(order["reap"])
            answer = {"code": os.waitstatus_to_exitcode(os.waitpid(order["reap"], 0)[1])}
        else:
            pid = os.fork()
            if pid == 0:
                live(order)
                return
            children.add(pid)
            answer = {"pid": pid}
        print(json.dumps(answer), flush=True)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def live(order: dict[str, Any]) -> None:
    """A child's life."""
    ctypes.CDLL(None).prctl(DIES_WITH_PARENT, signal.SIGKILL)
    os.chdir(order["folder"])
    for place, name, how in (
        (0, os.devnull, os.O_RDONLY),
        (1, order["said"], os.O_WRONLY),
        (2, order["log"], os.O_WRONLY),
    ):
        opened = os.open(name, how | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, place)
        os.close(opened)
    sys.argv = ["tongluo", *order["command"]]
    importlib.import_module("gateway.cli").main()


if __name__ == "__main__":
    keep()
