"""What holds for every test: nobody is reached beyond this machine. And the servers that any test may ask for, private ones."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from postgres import PostgresServer
from rabbit import RabbitServer, Vhost
from shared import lent


def stay_home(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook: a connection to anything but loopback is an error of the test that asked for it."""
    if event != "socket.connect" or arguments[0].family not in (socket.AF_INET, socket.AF_INET6):
        return
    host = str(arguments[1][0])
    if host != "localhost" and not ip_address(host.partition("%")[0]).is_loopback:
        raise ConnectionRefusedError(f"tests stay on this machine; this one asked for {host}")


sys.addaudithook(stay_home)


@pytest.fixture(scope="session")
def rabbit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """The one broker of this test run, shared by all its workers: stay in your vhost, and leave the server alone."""
    own = tmp_path_factory.getbasetemp()
    run = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with lent(run / "rabbit", RabbitServer.booted, RabbitServer) as server:
        yield server


@pytest.fixture
def rabbit(rabbit_server: RabbitServer) -> Iterator[Vhost]:
    """A fresh vhost of the run's broker: `rabbit.url` is where to connect."""
    with rabbit_server.vhost() as vhost:
        yield vhost


@pytest.fixture(scope="session")
def _own_rabbit(request: pytest.FixtureRequest) -> Iterator[RabbitServer]:
    with ExitStack() as stack:
        if "PYTEST_XDIST_WORKER" in os.environ:
            server = RabbitServer.booted()
            stack.callback(server.discard)
            yield server
        else:
            yield request.getfixturevalue("rabbit_server")


@pytest.fixture
def mortal_rabbit(_own_rabbit: RabbitServer) -> Iterator[Vhost]:
    """A fresh vhost of a broker that is this worker's alone: `mortal_rabbit.server` may be killed, frozen, starved."""
    _own_rabbit.mend()
    with _own_rabbit.vhost() as vhost:
        yield vhost
        _own_rabbit.mend()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """This worker's PostgreSQL, up in half a second: it may be crashed and restarted by a test that leaves it running."""
    server = PostgresServer.booted()
    yield server
    server.discard()


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of a fresh database."""
    postgres_server.start()
    with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="session")
def _migrated(postgres_server: PostgresServer) -> str:
    """Name of a database with the store's tables and no row, to be copied."""
    from gateway.store import migrate  # here, so that tests of other rooms do not need the store

    name = postgres_server.create()
    migrate(postgres_server.url(name))
    return name


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database without a table, once on each engine that the store speaks."""
    from store_kit import url_of

    return url_of(tmp_path) if request.param == "sqlite" else str(request.getfixturevalue("postgres"))


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a store without a row, once on each engine that the store speaks."""
    from store_kit import new_store

    if request.param == "sqlite":
        yield new_store(tmp_path)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database(request.getfixturevalue("_migrated")) as url:
        yield url
