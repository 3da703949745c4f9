"""The composition root: settings in, a running gateway out. Command line, tests and benchmarks all call `open_gateway`."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler
from structlog.stdlib import BoundLogger

from gateway import __version__
from gateway.app.callbacks import ChannelCallbacks
from gateway.app.channels import Switchboard, configured
from gateway.app.desk import GatewayDesk
from gateway.app.reference import refresh
from gateway.app.world import ADMIN_SOURCE, build_world
from gateway.channel import Clock
from gateway.clock import SystemClock
from gateway.errors import ConfigError
from gateway.flow.coverage import Folder
from gateway.flow.delivery import Courier
from gateway.flow.fanout import Planner
from gateway.flow.intake import Intake
from gateway.flow.recalling import Recaller
from gateway.flow.release import Release
from gateway.flow.watch import Watch
from gateway.flow.world import World
from gateway.model.ids import new_id
from gateway.ports.desk import Principal, Role
from gateway.queue.embedded import EmbeddedQueue
from gateway.settings import Settings
from gateway.speech import Speech, open_speech
from gateway.store import SqlStore, SqlTransaction, StoreKeys, migrate
from gateway.telemetry import Metrics
from gateway.views import Views
from gateway.views.alerts import AlertViews
from gateway.views.coverage import CoverageViews
from gateway.views.deliveries import DeliveryViews
from gateway.views.gauges import Gauges
from gateway.views.live import LiveFeed
from gateway.views.system import SystemViews
from gateway.web import Rates, WebSettings, application, listen
from gateway.web.inbox import Inbox

ADMIN = Principal("admin", "admin", frozenset({Role.ADMIN, Role.SOURCE}), ADMIN_SOURCE)


@dataclass(slots=True)
class Gateway:
    """A running gateway: its parts, for whoever composes or tests it."""

    url: str
    data: Path
    settings: Settings
    clock: Clock
    store: SqlStore
    keys: StoreKeys
    world: World
    desk: GatewayDesk
    views: Views
    folder: Folder
    planner: Planner
    watch: Watch
    metrics: Metrics
    couriers: Mapping[str, Courier]
    speech: Speech
    gauges: Gauges
    recaller: Recaller

    async def sign_in_link(self) -> str:
        """A one-time link that signs a browser in as administrator; good for 15 minutes."""
        return f"{self.url}/sign-in?ticket={await self.keys.ticket(ADMIN)}"


@asynccontextmanager
async def open_gateway(
    settings: Settings,
    data: Path,
    *,
    config: Path | None = None,
    clock: Clock | None = None,
    host: str | None = None,
    port: int | None = None,
) -> AsyncIterator[Gateway]:
    """Run a gateway on `data` (made if missing) until the block ends. Raises ConfigError with what to mend."""
    host, port = settings.http.host if host is None else host, settings.http.port if port is None else port
    clock = clock or SystemClock()
    log: BoundLogger = structlog.get_logger("gateway")
    port = port or free_port(host)
    public_url = settings.http.public_url or f"http://{host}:{port}"
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(stack.enter_context, locked(data))
        store = await _opened_store(settings, data, clock, stack)
        keys = StoreKeys(store, clock)
        await _born(data, keys)
        metrics = Metrics()
        reference = await refresh(store, settings, config, clock, log)
        speech = await open_speech(
            data / "media",
            f"{public_url}/api/v1/media",
            recordings=Path(settings.speech.recordings) if settings.speech.recordings else None,
            off=settings.speech.engine == "none",
        )
        stack.push_async_callback(speech.aclose)
        switchboard = Switchboard(store, clock, metrics, data, public_url)
        stack.push_async_callback(switchboard.close)
        await switchboard.open(await asyncio.to_thread(configured, settings.channels))
        world = await asyncio.to_thread(build_world, settings, config, reference, switchboard.channels)
        gateway = _composed(settings, data, public_url, clock, store, keys, metrics, world, speech, switchboard, log)
        await gateway.folder.catch_up()
        await _resume(store)
        site = await asyncio.to_thread(_site, gateway, switchboard, data)
        gateway.url = await stack.enter_async_context(listen(site, host, port))
        await stack.enter_async_context(_working(gateway, log))
        yield gateway


def _composed(
    settings: Settings,
    data: Path,
    url: str,
    clock: Clock,
    store: SqlStore,
    keys: StoreKeys,
    metrics: Metrics,
    world: World,
    speech: Speech,
    switchboard: Switchboard,
    log: BoundLogger,
) -> Gateway:
    owner = new_id()
    queue = EmbeddedQueue(store, clock)
    couriers = {
        name: Courier(
            name,
            opened.channel,
            opened.configured.config,
            queue=queue,
            store=store,
            clock=clock,
            speech=speech,
            metrics=metrics,
            log=log,
        )
        for name, opened in switchboard.channels.items()
    }
    for name in couriers:
        metrics.know_channel(name)
    folder = Folder(store, clock, metrics, log, unmatched_for=settings.retention.unmatched * 1000)
    store.committed = folder.appended
    planner = Planner(store, queue, clock, world, owner, log)
    watch = Watch(store, clock, metrics, log, couriers)
    recaller = Recaller(store, clock, {name: each.channel for name, each in couriers.items()}, folder.levels, log)

    def decided() -> None:
        planner.wake()
        recaller.wake()

    intake = Intake(store, clock, world, metrics, log, decided)
    desk = GatewayDesk(intake, Release(store, clock, world, decided), world, clock)
    coverage = CoverageViews(folder, world, clock)
    abilities = {name: opened.abilities for name, opened in switchboard.channels.items()}
    system = SystemViews(
        world,
        clock,
        couriers,
        abilities,
        watch,
        lambda: store.healthy,
        lambda: speech.state,
        sample=settings.sample_data,
    )
    views = Views(
        AlertViews(store, world), coverage, DeliveryViews(store), system, LiveFeed(store, folder, coverage), folder
    )
    gauges = Gauges(store, clock, folder, coverage, system, metrics)
    return Gateway(
        url,
        data,
        settings,
        clock,
        store,
        keys,
        world,
        desk,
        views,
        folder,
        planner,
        watch,
        metrics,
        couriers,
        speech,
        gauges,
        recaller,
    )


def _site(gateway: Gateway, switchboard: Switchboard, data: Path) -> web.Application:
    settings = gateway.settings
    return application(
        gateway.desk,
        gateway.keys,
        gateway.views,
        gateway.views,
        ChannelCallbacks(switchboard),
        settings=WebSettings(
            version=__version__,
            zone=settings.zone,
            sample_data=settings.sample_data,
            allowed_hosts=frozenset(settings.http.hosts),
            media_dir=data / "media",
            body_limit=settings.http.body_limit,
            rates=Rates(posts=settings.http.requests_per_minute),
            metrics=make_aiohttp_handler(gateway.metrics.registry),
            clock=gateway.clock.now,
        ),
    )


async def _opened_store(settings: Settings, data: Path, clock: Clock, stack: AsyncExitStack) -> SqlStore:
    url = settings.store.url or f"sqlite:///{data / 'tongluo.db'}"
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


async def _born(data: Path, keys: StoreKeys) -> None:
    """The first start of a data folder makes the administrator's key."""
    path = data / "admin.key"
    if await asyncio.to_thread(path.exists):
        return
    _, key = await keys.create(ADMIN)
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


@asynccontextmanager
async def _working(gateway: Gateway, log: BoundLogger) -> AsyncIterator[None]:
    """The steps of the story, each in a task that is started again if it falls; ended in the order work flows."""
    inbox = Inbox(gateway.desk, gateway.settings.sources_with_inbox(), log)
    steps: dict[str, Callable[[], Awaitable[None]]] = {
        "inbox": inbox.run,
        "planner": gateway.planner.run,
        **{f"courier {name}": courier.run for name, courier in gateway.couriers.items()},
        "watch": gateway.watch.run,
        "gauges": gateway.gauges.run,
        "recaller": gateway.recaller.run,
        "folder": gateway.folder.run,
    }
    tasks = [asyncio.create_task(_kept_up(name, step, log), name=name) for name, step in steps.items()]
    try:
        yield
    finally:
        early, folder = tasks[:-1], tasks[-1:]
        for group in (early, folder):
            for task in group:
                task.cancel()
            await asyncio.gather(*group, return_exceptions=True)


async def _kept_up(name: str, step: Callable[[], Awaitable[None]], log: BoundLogger) -> None:
    while True:
        try:
            await step()
            return
        except Exception:
            log.exception("step_fell", step=name)
            await asyncio.sleep(1)


def free_port(host: str) -> int:
    """A TCP port that nobody listens on now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
