"""One server for a whole test run: pytest-xdist's workers are processes, and each would boot its own.

`tests/conftest.py` lends a server by it. Whoever comes first boots; whoever leaves last ends it. Who uses the server
holds a lock, which the kernel takes back even from a worker that is killed.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, TypeVar


class Server(Protocol):
    """What is lent: it stands in a folder, and can be ended with all it has."""

    folder: Path

    def discard(self) -> None: ...


S = TypeVar("S", bound=Server)


@contextmanager
def lent(place: Path, boot: Callable[[], S], found: Callable[[Path], S]) -> Iterator[S]:
    """The run's server: `boot` makes it, `found` takes it over from its folder. The whole run knows the folder `place`."""
    place.mkdir(exist_ok=True)
    with (place / "users").open("a") as users:
        with _one_at_a_time(place):
            server = _first_or_further(place / "folder", boot, found, first=_alone(users))
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield server
        finally:
            with _one_at_a_time(place):
                if _alone(users):
                    server.discard()


def _first_or_further(reference: Path, boot: Callable[[], S], found: Callable[[Path], S], *, first: bool) -> S:
    if not first:
        return found(Path(reference.read_text()))
    server = boot()
    reference.write_text(str(server.folder))
    return server


@contextmanager
def _one_at_a_time(place: Path) -> Iterator[None]:
    with (place / "gate").open("a") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield


def _alone(users: IO[str]) -> bool:
    """Whether nobody else holds the lock. To be asked within the gate, where nobody comes or leaves."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
