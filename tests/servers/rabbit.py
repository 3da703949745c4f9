"""A private RabbitMQ on free loopback ports, for tests that need a real broker and may kill, freeze or starve it.

`tests/conftest.py` makes the fixtures `rabbit_server`, `rabbit` and `mortal_rabbit` of it. Everything about a server is
in its folder, so that another process can take it over. All calls block: in a test with a running loop,
`await asyncio.to_thread(server.start)`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from installed import free_ports, program
from processes import bearing, end, tell, wait_for

BOOT = 90.0
"""Seconds in which a broker must be up: it takes five on a quiet machine."""

AMQP_HEADER = b"AMQP\x00\x00\x09\x01"
LOGIN = "Basic Z3Vlc3Q6Z3Vlc3Q="  # guest:guest, which RabbitMQ admits from loopback alone
LOCAL_ONLY = "-kernel inet_dist_use_interface {127,0,0,1}"  # else Erlang's distribution listens on every interface


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a server listens, all on 127.0.0.1."""

    amqp: int
    management: int
    distribution: int
    epmd: int


class RabbitServer:
    """The broker of a folder: a new one, or one that stands there already, running or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server = program("rabbitmq-server", "RabbitMQ")

    @classmethod
    def booted(cls) -> RabbitServer:
        """A new server in a new folder, up. Whoever asks for it calls `discard`."""
        server = cls(Path(mkdtemp(prefix="tongluo-rabbit-")))
        try:
            server.start()
        except BaseException:
            server.discard()
            raise
        return server

    def start(self) -> None:
        """Boot on whatever the folder holds; returns when AMQP and the management API answer. Nothing if it runs.

        Raises TimeoutError, with the end of what the server said, if it does not come up.
        """
        if self.running:
            return
        self._write_settings()
        command = ["setsid", "--fork", str(self._server), "-tongluo_tests", self._mark]  # out of reach of a Ctrl-C
        with (self.folder / "said").open("wb") as said:
            subprocess.run(command, env=self._environment(), cwd=self.folder, stdout=said, stderr=said, check=True)
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: self._answers() or self._gave_up(), BOOT, "RabbitMQ")
        if not self._answers():
            raise TimeoutError(f"RabbitMQ on port {self.ports.amqp} did not come up. {self._last_words()}")

    def stop(self) -> None:
        """End it in good order; what is durable stays in the folder. Seconds; `kill9` is faster."""
        self.thaw()
        end(self._mark, signal.SIGTERM)

    def kill9(self) -> None:
        """As if the power went: SIGKILL, nothing is flushed or said to anybody."""
        end(self._mark, signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing is answered any more."""
        tell(self._mark, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after `freeze`; nothing if it was not frozen."""
        tell(self._mark, signal.SIGCONT)

    def discard(self) -> None:
        """End everything at once and forget the folder: the broker, and the port mapper that Erlang leaves behind."""
        self.kill9()
        self._end_port_mapper()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def running(self) -> bool:
        """Whether the broker's process is there, frozen or not."""
        return bool(bearing(self._mark))

    def url(self, vhost: str = "/") -> str:
        """`amqp://` URL of a vhost."""
        return f"amqp://guest:guest@127.0.0.1:{self.ports.amqp}/{quote(vhost, safe='')}"

    @contextmanager
    def vhost(self) -> Iterator[Vhost]:
        """A new vhost, deleted with all its queues at the end (if the server still runs then)."""
        made = Vhost(self, f"t-{uuid4().hex[:12]}")
        self.api("PUT", f"vhosts/{made.name}")
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self.api("PUT", f"permissions/{made.name}/guest", everything)
        try:
            yield made
        finally:
            if self.running:
                self.thaw()
                self.api("DELETE", f"vhosts/{made.name}")

    def api(self, method: str, path: str, body: object = None) -> Any:
        """Ask the management API. Returns its JSON, None if it has nothing to say; RuntimeError if it refuses.

        What it knows of queues and connections is up to a second old.
        """
        link = HTTPConnection("127.0.0.1", self.ports.management, timeout=30)
        try:
            link.request(method, f"/api/{path}", json.dumps(body), {"Authorization": LOGIN})
            answer = link.getresponse()
            content = answer.read()
        finally:
            link.close()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {content.decode(errors='replace')}")
        return json.loads(content) if content else None

    def ctl(self, *arguments: str) -> str:
        """`rabbitmqctl ARGUMENTS`, for what the API cannot do (`eval ...`). Returns its output; takes seconds."""
        command = [str(program("rabbitmqctl", "RabbitMQ")), "--quiet", "--node", self._node, *arguments]
        return subprocess.run(
            command, env=self._environment(), check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()

    def alarm(self) -> None:
        """Raise the memory alarm: every connection that publishes is blocked."""
        self.ctl("set_vm_memory_high_watermark", "0.000001")

    def calm(self) -> None:
        """End the memory alarm."""
        self.ctl("set_vm_memory_high_watermark", "0.4")

    @property
    def alarmed(self) -> bool:
        """Whether an alarm is on."""
        try:
            self.api("GET", "health/checks/alarms")
        except RuntimeError:
            return True
        return False

    def mend(self) -> None:
        """Undo what a test did to it: running, awake, no alarm."""
        self.thaw()
        self.start()
        if self.alarmed:
            self.calm()

    @cached_property
    def ports(self) -> Ports:
        """Chosen once for a folder, so that a restart comes back where it was."""
        kept = self.folder / "ports.json"
        if not kept.exists():
            kept.write_text(json.dumps(free_ports(4)))
        return Ports(*json.loads(kept.read_text()))

    @property
    def _mark(self) -> str:
        """The argument by which the broker's processes are known."""
        return str(self.folder / "data")

    @property
    def _node(self) -> str:
        return f"gw{self.ports.amqp}@localhost"

    def _environment(self) -> dict[str, str]:
        folder, ports = self.folder, self.ports
        ours = {
            "HOME": folder,  # Erlang's cookie
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": ports.distribution,
            "ERL_EPMD_PORT": ports.epmd,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": folder / "data",
            "RABBITMQ_LOG_BASE": folder / "log",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins",
            "RABBITMQ_CONFIG_FILE": folder / "rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": folder / "none",  # not the machine's own
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": LOCAL_ONLY,
            "RABBITMQ_CTL_ERL_ARGS": LOCAL_ONLY,
        }
        others = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        return others | {name: str(value) for name, value in ours.items()}

    def _write_settings(self) -> None:
        (self.folder / "plugins").write_text("[rabbitmq_management].")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.ports.amqp}\n"
            f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self.ports.management}\n"
            "management.rates_mode = none\ncollect_statistics_interval = 1000\n"
            "disk_free_limit.absolute = 1MB\n"
        )

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.ports.amqp), timeout=2) as link:
                link.sendall(AMQP_HEADER)
                greeted = link.recv(1) == b"\x01"  # the frame that carries Connection.Start, AMQP 0-9-1 §4.2.2
            return greeted and bool(self.api("GET", "whoami")) and self.running
        except OSError:
            return False

    def _end_port_mapper(self) -> None:
        kill = [str(program("epmd", "Erlang")), "-port", str(self.ports.epmd), "-kill"]
        environment = self._environment()

        def ended() -> bool:
            subprocess.run(kill, env=environment, capture_output=True, check=False)  # refused while it knows a node
            return not _listens(self.ports.epmd)

        wait_for(ended, 10, "Erlang's port mapper to end")

    def _gave_up(self) -> bool:
        """Whether nothing runs, looked at twice: a process that is turning into another has no arguments for a moment."""
        if self.running:
            return False
        time.sleep(0.5)
        return not self.running

    def _last_words(self) -> str:
        return "\n".join((self.folder / "said").read_text(errors="replace").splitlines()[-20:])


@dataclass(frozen=True, slots=True)
class Vhost:
    """One test's own room in a broker."""

    server: RabbitServer
    name: str

    @property
    def url(self) -> str:
        """Where to connect."""
        return self.server.url(self.name)

    def queues(self) -> dict[str, dict[str, Any]]:
        """Its queues by name, as the management API describes them."""
        return {row["name"]: row for row in self.server.api("GET", f"queues/{self.name}")}

    def delete_queue(self, queue: str) -> None:
        """Delete a queue with what is in it, behind everybody's back."""
        self.server.api("DELETE", f"queues/{self.name}/{quote(queue, safe='')}")

    def settled(self, queue: str) -> None:
        """Return when a quorum queue declared just now is on disk, so that it outlives a kill.

        RabbitMQ 3.10 writes its register of quorum queues half a second late; a queue that is missing there after a kill
        is still listed, and answers nobody.
        """
        name, registers = f"{self.name}_{queue}".encode(), self.server.folder / "data"
        wait_for(
            lambda: any(name in register.read_bytes() for register in registers.rglob("names.dets")),
            30,
            f"{queue} on disk",
        )

    def connections(self) -> list[str]:
        """The names of its connections."""
        return [row["name"] for row in self.server.api("GET", f"vhosts/{self.name}/connections")]

    def drop_connections(self) -> int:
        """Have the broker close every connection of this vhost; returns how many it knew of."""
        names = self.connections()
        for name in names:
            self.server.api("DELETE", f"connections/{quote(name, safe='')}")
        return len(names)


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
