"""The composition root: settings in, a running gateway out. Command line, tests and benchmarks all call `open_gateway`."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import structlog
from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler
from sqlalchemy.engine import URL
from structlog.stdlib import BoundLogger

from gateway import __version__
from gateway.app.callbacks import ChannelCallbacks
from gateway.app.channels import Switchboard, configured
from gateway.app.composing import ADMIN, Gateway, Ground, composed, working
from gateway.app.duties import ALL, Duty, refuse_mismatch
from gateway.app.reference import refresh
from gateway.app.transport import secret, transport
from gateway.app.world import build_world
from gateway.clock import SystemClock
from gateway.errors import ConfigError
from gateway.flow.office import WATCH, Alone, Elected
from gateway.model.ids import new_id
from gateway.ports.clock import SharedClock
from gateway.settings import Settings
from gateway.speech import open_speech
from gateway.store import SqlStore, SqlTransaction, StoreKeys, migrate, parsed
from gateway.telemetry import Metrics
from gateway.web import Rates, WebSettings, application, listen


@asynccontextmanager
async def open_gateway(
    settings: Settings,
    data: Path,
    *,
    config: Path | None = None,
    clock: SharedClock | None = None,
    host: str | None = None,
    port: int | None = None,
    duties: frozenset[Duty] = ALL,
) -> AsyncIterator[Gateway]:
    """Run a gateway on `data` (made if missing) until the block ends. Raises ConfigError with what to mend."""
    refuse_mismatch(settings, duties)
    host, port = settings.http.host if host is None else host, settings.http.port if port is None else port
    port = port or free_port(host)
    public_url = settings.http.public_url or f"http://{host}:{port}"
    log: BoundLogger = structlog.get_logger("gateway")
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(stack.enter_context, locked(data))
        ground = await _ground(settings, data, config, clock or SystemClock(), public_url, duties, log, stack)
        gateway = composed(ground)
        if gateway.folds:
            await gateway.folder.catch_up()
        await gateway.presence.beat()
        site = await asyncio.to_thread(_site, gateway)
        gateway.url = await stack.enter_async_context(listen(site, host, port))
        gateway.presence.url = gateway.url
        await stack.enter_async_context(working(gateway))
        yield gateway


async def _ground(
    settings: Settings,
    data: Path,
    config: Path | None,
    clock: SharedClock,
    public_url: str,
    duties: frozenset[Duty],
    log: BoundLogger,
    stack: AsyncExitStack,
) -> Ground:
    """What every part stands on, opened from the bottom up."""
    store = await _opened_store(store_url(settings, data), clock, stack)
    if not settings.store.embedded:
        clock.sync(*await store.read(lambda tx: tx.time()))
    keys, metrics, owner = StoreKeys(store, clock), Metrics(), new_id()
    if duties & {Duty.INTAKE, Duty.WEB}:
        await _born(data, keys, settings)
    reference = await refresh(store, settings, config, clock, log)
    speech = await open_speech(
        data / "media",
        settings.speech.media_url or f"{public_url}/api/v1/media",
        recordings=Path(settings.speech.recordings) if settings.speech.recordings else None,
        off=settings.speech.engine == "none",
    )
    stack.push_async_callback(speech.aclose)
    switchboard = Switchboard(store, clock, metrics, data, public_url)
    stack.push_async_callback(switchboard.close)
    entries = await asyncio.to_thread(configured, settings.channels)
    await switchboard.open(entries, sessions=Duty.DELIVER in duties)
    world = await asyncio.to_thread(build_world, settings, config, reference, switchboard.channels)
    queue = transport(settings.queue, store, clock, owner, duties, switchboard.channels, log)
    office = Alone(store) if settings.store.embedded else Elected(WATCH, store, clock, owner, log)
    if settings.store.embedded:
        await _resume(store)
    return Ground(
        settings, data, duties, owner, clock, store, keys, metrics, world, speech, switchboard, office, queue, log
    )


def _site(gateway: Gateway) -> web.Application:
    settings = gateway.settings
    return application(
        gateway.desk,
        gateway.keys,
        gateway.views,
        gateway.views,
        ChannelCallbacks(gateway.ground.switchboard),
        settings=WebSettings(
            version=__version__,
            zone=settings.zone,
            sample_data=settings.sample_data,
            allowed_hosts=frozenset(settings.http.hosts),
            media_dir=gateway.data / "media",
            body_limit=settings.http.body_limit,
            rates=Rates(posts=settings.http.requests_per_minute),
            metrics=make_aiohttp_handler(gateway.metrics.registry),
            parts=frozenset(duty.value for duty in gateway.ground.duties),
            clock=gateway.clock.now,
        ),
    )


def store_url(settings: Settings, data: Path) -> URL:
    """Where the store is: as configured, else a file in the data folder. Raises ConfigError."""
    password = secret(settings.store.password_file) if settings.store.password_file else ""
    url = parsed(settings.store.url or f"sqlite:///{data / 'tongluo.db'}", password)
    if url.password and not password:
        structlog.get_logger("gateway").warning(
            "secret_inline", setting="store.url", advice="put the password into store.password_file"
        )
    return url


async def _opened_store(url: URL, clock: SharedClock, stack: AsyncExitStack) -> SqlStore:
    await asyncio.to_thread(migrate, url)
    store = SqlStore(url, clock)
    stack.push_async_callback(store.aclose)
    return store


async def _resume(store: SqlStore) -> None:
    """One process owns the store: whatever was leased belongs to the dead."""

    def work(tx: SqlTransaction) -> None:
        tx.outbox.release()
        tx.dispatches.release()

    await store.write(work)


async def _born(data: Path, keys: StoreKeys, settings: Settings) -> None:
    """The first start of a data folder makes an administrator's key; in a shared store it bears the name of its folder."""
    path = data / "admin.key"
    if await asyncio.to_thread(path.exists):
        return
    who = ADMIN if settings.store.embedded else replace(ADMIN, name=f"admin@{socket.gethostname()}:{data}")
    _, key = await keys.create(who)
    await asyncio.to_thread(_kept_secret, path, key)


def _kept_secret(path: Path, secret: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")


@contextlib.contextmanager
def locked(data: Path) -> Iterator[None]:
    """Hold the data folder for this process alone. Raises ConfigError if another one has it."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(data / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                str(data), "another Tongluo is running on this data folder.", "Stop it, or use --data."
            ) from error
        yield


def free_port(host: str) -> int:
    """A TCP port that nobody listens on now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
