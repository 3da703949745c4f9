"""Processes known by an argument of their command line. The server kits end and freeze theirs so.

A server may have been started by another worker of the same test run, or the start may have failed before anybody
learnt a number.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path


def bearing(mark: str) -> list[int]:
    """The processes that have exactly `mark` among their arguments; one that has ended has none any more."""
    sought = mark.encode()
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if sought in _arguments(path)]


def tell(mark: str, what: signal.Signals) -> None:
    """Send a signal to the processes that bear `mark`, if there are any."""
    for pid in bearing(mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, what)


def end(mark: str, how: signal.Signals, within: float = 60.0) -> None:
    """Send a signal that ends the processes that bear `mark`; returns when they have ended, TimeoutError if they do not."""
    seen = set(bearing(mark))

    def ended() -> bool:
        if how is signal.SIGKILL:  # what was just being started, too
            seen.update(bearing(mark))
            tell(mark, how)
        return not bearing(mark) and not any(map(_has_threads, seen))

    tell(mark, how)
    wait_for(ended, within, f"the processes of {mark} to end")


def wait_for(condition: Callable[[], bool], within: float, what: str) -> None:
    """Return as soon as the condition holds; TimeoutError, naming `what`, if it does not within so many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {within:g} s for {what}")
        time.sleep(0.02)


def _arguments(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\0")
    except OSError:  # it ended while we looked
        return []


def _has_threads(pid: int) -> bool:
    """Whether something of a process still runs: its arguments go with its first thread, its sockets with the last."""
    states = [_status(path) for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return any(state not in ("", "Z", "X") for state in states)


def _status(path: Path) -> str:
    try:
        return path.read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
