"""Where this machine keeps the programs that tests drive, and ports for them. The server kits start here.

Debian keeps the servers' own programs outside PATH; a test that cannot have one is skipped with words that
`python -m tests` counts.
"""

from __future__ import annotations

import random
import shutil
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

FOLDERS = ("/usr/lib/rabbitmq/bin", "/usr/lib/postgresql/*/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")
"""Looked through before PATH: Debian's `rabbitmq-server` on PATH is a wrapper that insists on its own user."""

BELOW_EPHEMERAL = range(20_000, 32_000)
"""Ports that the kernel gives to nobody's outgoing connection: a server that was killed finds its own still free, and
whoever dials it meanwhile is refused (in the ephemeral range a dialler may be connected to itself)."""


def program(name: str, product: str) -> Path:
    """The executable `name`, the newest where several versions stand. Skips the test if `product` is not installed."""
    for pattern in FOLDERS:
        if found := sorted(Path("/").glob(f"{pattern[1:]}/{name}"), key=version):
            return found[-1]
    if on_path := shutil.which(name):
        return Path(on_path)
    pytest.skip(f"{product} is not installed")


def version(path: Path) -> tuple[float, ...]:
    """The numbers in a path, so that 15 comes after 9.6."""
    return tuple(float(part) for part in path.parts if part.replace(".", "", 1).isdigit())


def free_ports(count: int) -> list[int]:
    """That many different ports of loopback on which nobody listens."""
    with ExitStack() as held:
        return [_held_port(held) for _ in range(count)]


def _held_port(held: ExitStack) -> int:
    while True:
        port, one = random.choice(BELOW_EPHEMERAL), held.enter_context(socket.socket())
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port
