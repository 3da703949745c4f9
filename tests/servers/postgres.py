"""A private PostgreSQL on a free loopback port, for tests that need a real one and may crash or restart it.

`tests/conftest.py` makes the fixtures `postgres_server` and `postgres` of it. All calls block: in a test with a running loop,
`await asyncio.to_thread(server.restart)`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

import psycopg
from installed import free_ports, program
from processes import bearing, end

OWNER = "gw"
HASTY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""A server whose data nobody will miss. What a test writes survives the server's crash, not the machine's."""


class PostgresServer:
    """A server in a folder directly under the system's temporary one.

    As root it runs as the user `postgres`, who may not enter pytest's folders.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self.durable = durable
        self._initdb, self._pg_ctl = program("initdb", "PostgreSQL"), program("pg_ctl", "PostgreSQL")
        self.folder = Path(mkdtemp(prefix="tongluo-postgres-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        (self.port,) = free_ports(1)

    @classmethod
    def booted(cls, *, durable: bool = False) -> PostgresServer:
        """A new server, up. `durable` keeps fsync on, for tests of what a crash may not lose.

        Whoever asks for it calls `discard`.
        """
        server = cls(durable=durable)
        try:
            server._initialise()
            server.start()
        except BaseException:
            server.discard()
            raise
        return server

    def start(self) -> None:
        """Start, and return when it takes connections. Nothing if it runs."""
        if self.running:
            return
        settings = ["listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}", "max_connections=200"]
        options = " ".join(f"-c {setting}" for setting in [*settings, *(() if self.durable else HASTY)])
        log = self.folder / "log"
        self._run(self._pg_ctl, "-D", self._data, "-l", log, "-w", "-t", 60, "-o", f"-p {self.port} {options}", "start")

    def stop(self) -> None:
        """End it in good order: sessions are ended, everything is written."""
        end(self._data, signal.SIGINT)

    def crash(self) -> None:
        """End it at once (`immediate`): nothing is written back, and the next start recovers from the log."""
        end(self._data, signal.SIGQUIT)

    def restart(self) -> None:
        """Stop in good order and start again on the same port."""
        self.stop()
        self.start()

    def discard(self) -> None:
        """End it and forget its folder."""
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def running(self) -> bool:
        """Whether the server's process is there."""
        return bool(bearing(self._data))

    def url(self, database: str = "postgres") -> str:
        """`postgresql://` URL of a database."""
        return f"postgresql://{OWNER}@127.0.0.1:{self.port}/{database}"

    def create(self, template: str = "template0") -> str:
        """Make a database, a copy of `template` (to which nobody may be connected); returns its name."""
        name = f"t_{uuid4().hex[:12]}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop(self, database: str) -> None:
        """Delete a database and end the sessions in it."""
        self.execute(f'DROP DATABASE "{database}" WITH (FORCE)')

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """URL of a new database, deleted at the end (if the server still runs then)."""
        name = self.create(template)
        try:
            yield self.url(name)
        finally:
            if self.running:
                self.drop(name)

    def execute(self, statement: str) -> None:
        """One statement outside any transaction, as the owner of everything."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    @property
    def _data(self) -> str:
        """Its data folder: the argument by which its process is known."""
        return str(self.folder / "data")

    def _initialise(self) -> None:
        plain = ("--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
        self._run(self._initdb, "-D", self._data, "-U", OWNER, *plain)

    def _run(self, *command: object) -> None:
        # as another user where we are root, whom PostgreSQL refuses
        words = [*(["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []), *map(str, command)]
        # a file and no pipe: the server keeps what it was given open
        with (self.folder / "said").open("w+") as said:
            ended = subprocess.run(
                words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False
            )
            said.seek(0)
            if ended.returncode:
                raise RuntimeError(f"{words}: {said.read()}")
