"""One server for many processes: the first boots it, the last ends it, and a killed one is not waited for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from shared import lent

PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from shared import lent

class Server:
    def __init__(self, folder):
        self.folder = folder
    def discard(self):
        print("ended", flush=True)

def boot():
    print("booted", flush=True)
    return Server(Path("somewhere"))

with lent(Path(sys.argv[1]), boot, Server) as server:
    print("uses", server.folder, flush=True)
    sys.stdin.read()
"""


class Worker:
    """A process that borrows the server until it is let go."""

    def __init__(self, place: Path) -> None:
        command = [sys.executable, "-c", PROGRAM, str(place), str(Path(__file__).parent)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def leave(self) -> str:
        """Let it go; returns what else it said."""
        return self.process.communicate(timeout=30)[0].strip()


@contextmanager
def workers(place: Path, count: int) -> Iterator[list[Worker]]:
    started = [Worker(place) for _ in range(count)]
    try:
        yield started
    finally:
        for worker in started:
            worker.process.kill()
            worker.process.communicate()


def test_many_that_come_at_once_boot_one_and_the_last_ends_it(tmp_path: Path) -> None:
    with workers(tmp_path / "place", 4) as all_four:
        said = [[worker.says()] for worker in all_four]
        for worker, lines in zip(all_four, said, strict=True):
            if lines == ["booted"]:
                lines.append(worker.says())
        assert sorted(said) == [["booted", "uses somewhere"], *[["uses somewhere"]] * 3]
        assert [worker.leave() for worker in all_four] == ["", "", "", "ended"]


def test_who_is_killed_does_not_keep_the_server(tmp_path: Path) -> None:
    with workers(tmp_path / "place", 1) as (first,):
        assert [first.says(), first.says()] == ["booted", "uses somewhere"]
        with workers(tmp_path / "place", 1) as (second,):
            assert second.says() == "uses somewhere"
            first.process.kill()
            first.process.wait()
            assert second.leave() == "ended"


def test_a_boot_that_fails_is_tried_again_by_the_next(tmp_path: Path) -> None:
    class Server:
        folder = tmp_path

        def discard(self) -> None: ...

    def fails() -> Server:
        raise RuntimeError("no")

    def found(_folder: Path) -> Server:
        raise AssertionError("there is none")

    with pytest.raises(RuntimeError), lent(tmp_path / "place", fails, found):
        pass
    with lent(tmp_path / "place", Server, found) as server:
        assert server.folder == tmp_path
