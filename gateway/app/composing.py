"""The running parts, put together: which of them a process has, and in which order they start and end.

`open_gateway` lays the ground (store, reference data, channels, world); `composed` builds on it; `working` runs it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from structlog.stdlib import BoundLogger

from gateway.app.channels import Switchboard
from gateway.app.desk import GatewayDesk
from gateway.app.devices import by_county
from gateway.app.duties import Duty
from gateway.app.transport import Transport
from gateway.app.vitals import Vitals
from gateway.app.world import ADMIN_SOURCE
from gateway.errors import Unstorable
from gateway.flow.canary import VIA, Canary
from gateway.flow.coverage import Folder
from gateway.flow.delivery import Courier
from gateway.flow.fanout import Planner
from gateway.flow.intake import Intake
from gateway.flow.office import Office
from gateway.flow.presence import Health, Presence
from gateway.flow.recalling import Recaller
from gateway.flow.release import Release
from gateway.flow.replaying import Replay
from gateway.flow.watch import Watch
from gateway.flow.world import World
from gateway.ports.clock import SharedClock
from gateway.ports.desk import Principal, Role
from gateway.settings import Settings
from gateway.speech import Speech
from gateway.store import SqlStore, SqlTransaction, StoreKeys, make_months
from gateway.telemetry import Metrics
from gateway.views import Views
from gateway.views.alerts import AlertViews
from gateway.views.coverage import CoverageViews
from gateway.views.deadletters import DeadLetterViews
from gateway.views.deliveries import DeliveryViews
from gateway.views.gauges import Gauges
from gateway.views.live import LiveFeed
from gateway.views.system import ChannelFacts, House, SystemViews
from gateway.web.inbox import Inbox

HOUR = 3600.0

ADMIN = Principal("admin", "admin", frozenset({Role.ADMIN, Role.SOURCE}), ADMIN_SOURCE)
"""Who the key of a data folder and its sign-in links belong to."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What every part stands on. `owner` names this process wherever it takes something for itself."""

    settings: Settings
    data: Path
    duties: frozenset[Duty]
    owner: str
    clock: SharedClock
    store: SqlStore
    keys: StoreKeys
    metrics: Metrics
    world: World
    speech: Speech
    switchboard: Switchboard
    office: Office
    transport: Transport
    log: BoundLogger


@dataclass(slots=True)
class Gateway:
    """A running gateway: its parts, for whoever composes or tests it. Parts that are not of this process's duties stand still."""

    ground: Ground
    desk: GatewayDesk
    views: Views
    folder: Folder
    planner: Planner
    watch: Watch
    couriers: Mapping[str, Courier]
    presence: Presence
    gauges: Gauges
    recaller: Recaller
    vitals: Vitals
    url: str = ""

    @property
    def settings(self) -> Settings:
        return self.ground.settings

    @property
    def data(self) -> Path:
        return self.ground.data

    @property
    def clock(self) -> SharedClock:
        return self.ground.clock

    @property
    def store(self) -> SqlStore:
        return self.ground.store

    @property
    def keys(self) -> StoreKeys:
        return self.ground.keys

    @property
    def world(self) -> World:
        return self.ground.world

    @property
    def metrics(self) -> Metrics:
        return self.ground.metrics

    async def sign_in_link(self) -> str:
        """A one-time link that signs a browser in as administrator; good for 15 minutes."""
        return f"{self.url}/sign-in?ticket={await self.keys.ticket(ADMIN)}"

    @property
    def folds(self) -> bool:
        """Whether this process folds the journal: it shows figures, or it may have to keep them."""
        return bool(self.ground.duties & {Duty.WATCH, Duty.WEB})


def composed(ground: Ground) -> Gateway:
    """All parts over the ground."""
    settings, store, clock, metrics, log = ground.settings, ground.store, ground.clock, ground.metrics, ground.log
    couriers = _couriers(ground) if Duty.DELIVER in ground.duties else {}
    for name in ground.switchboard.channels:
        metrics.know_channel(name, sends=name in couriers, leads=ground.office.held)
    folder = Folder(store, clock, ground.office, metrics, log, unmatched_for=settings.retention.unmatched * 1000)
    store.committed = folder.appended
    planner = Planner(store, ground.transport.queue, clock, ground.world, ground.owner, log)
    facts = {
        name: ChannelFacts(opened.configured.type, opened.channel.traits.proves, opened.abilities)
        for name, opened in ground.switchboard.channels.items()
    }
    proves = {name: fact.proves for name, fact in facts.items()}
    watch = Watch(store, clock, ground.office, metrics, log, proves, folder.pulses)
    folds = bool(ground.duties & {Duty.WATCH, Duty.WEB})
    recaller = Recaller(
        store,
        clock,
        {name: each.channel for name, each in couriers.items()},
        folder.levels if folds else folder.levels_by_the_journal,
        ground.owner,
        log,
    )

    def decided() -> None:
        planner.wake()
        recaller.wake()

    intake = Intake(store, clock, ground.world, metrics, log, decided)
    release, replay = Release(store, clock, ground.world, decided), Replay(store, clock, ground.transport.queue.wake)
    desk = GatewayDesk(intake, release, replay, ground.world, clock)
    presence = _presence(ground, couriers)
    system = SystemViews(ground.world, clock, facts, watch, _house(ground, presence), sample=settings.sample_data)
    coverage = CoverageViews(folder, ground.world, clock)
    views = Views(
        AlertViews(store, ground.world),
        coverage,
        DeliveryViews(store),
        DeadLetterViews(store),
        system,
        LiveFeed(store, folder, coverage),
        folder,
    )
    gauges = Gauges(store, clock, folder, coverage, system, metrics, ground.office)
    vitals = Vitals(ground.transport, presence, clock, store, ground.keys, ground.office, metrics)
    return Gateway(ground, desk, views, folder, planner, watch, couriers, presence, gauges, recaller, vitals)


def _couriers(ground: Ground) -> dict[str, Courier]:
    return {
        name: Courier(
            name,
            opened.channel,
            opened.configured.config,
            owner=ground.owner,
            queue=ground.transport.queue,
            store=ground.store,
            clock=ground.clock,
            speech=ground.speech,
            metrics=ground.metrics,
            log=ground.log,
        )
        for name, opened in ground.switchboard.channels.items()
    }


def _presence(ground: Ground, couriers: Mapping[str, Courier]) -> Presence:
    roles = sorted(duty.value for duty in ground.duties)
    shared = not ground.settings.store.embedded

    def local() -> dict[str, Health]:
        return {name: health_of(courier, ground.world) for name, courier in couriers.items()}

    return Presence(ground.store, ground.clock, ground.owner, roles, local, shared=shared)


def health_of(courier: Courier, world: World) -> Health:
    """How the far side of a channel is, and how many devices of each county are online ("" = of none)."""
    online: Mapping[str, bool] = getattr(courier.channel, "online", None) or {}
    return Health(courier.up, courier.fault, courier.last_progress, by_county(world, courier.name, online))


def _house(ground: Ground, presence: Presence) -> House:
    def watched() -> tuple[bool, str]:
        if Duty.WATCH not in ground.duties:
            there = any(Duty.WATCH in row.roles for row in presence.processes)
            return there, "another process watches" if there else "no process with the role watch is alive"
        return True, "this process leads" if ground.office.held else "this process stands by"

    return House(
        presence,
        lambda: ground.store.healthy and presence.answers,
        lambda: ground.transport.queue.state,
        lambda: ground.speech.state,
        watched,
    )


@asynccontextmanager
async def working(gateway: Gateway) -> AsyncIterator[None]:
    """The steps of the story, each in a task that is started again if it falls; ended in the order work flows."""
    ground = gateway.ground
    early, late = _steps(gateway), _last_steps(gateway)
    groups = [
        [asyncio.create_task(_kept_up(name, step, ground.log), name=name) for name, step in steps.items()]
        for steps in (early, late)
    ]
    try:
        yield
    finally:
        for group in groups:
            for task in group:
                task.cancel()
            await asyncio.gather(*group, return_exceptions=True)
        await _give_back(ground)


def _steps(gateway: Gateway) -> dict[str, Callable[[], Awaitable[None]]]:
    """What makes and does work."""
    ground = gateway.ground
    steps: dict[str, Callable[[], Awaitable[None]]] = {"vitals": gateway.vitals.run}
    if Duty.INTAKE in ground.duties:
        steps["inbox"] = Inbox(gateway.desk, ground.settings.sources_with_inbox(), ground.log).run
        steps["planner"] = gateway.planner.run
    if Duty.DELIVER in ground.duties:
        steps |= {f"courier {name}": courier.run for name, courier in gateway.couriers.items()}
        steps["recaller"] = gateway.recaller.run
    if Duty.WATCH in ground.duties:
        steps["gauges"] = gateway.gauges.run
        if ground.settings.canary.every and any(profile.sink for profile in ground.world.channels):
            steps["canary"] = _canary(gateway).run
        steps |= ground.transport.watched(ground.office)
        if not ground.settings.store.embedded:
            steps["months"] = partial(_make_months, ground)
    if gateway.folds:
        steps["watch"] = gateway.watch.run
    return steps


def _canary(gateway: Gateway) -> Canary:
    ground = gateway.ground

    async def post(raw: bytes) -> str:
        return (await gateway.desk.accept(raw, ADMIN, via=VIA)).id

    every = ground.settings.canary.every * 1000
    return Canary(ground.store, ground.clock, ground.office, gateway.folder, ground.metrics, post, every)


def _last_steps(gateway: Gateway) -> dict[str, Callable[[], Awaitable[None]]]:
    """What has to outlive them: the queue they acknowledge to, the folder of what they journalled, the office it saves under."""
    ground = gateway.ground
    steps = {"presence": gateway.presence.run, **ground.transport.steps}
    if gateway.folds:
        steps["folder"] = gateway.folder.run
    if Duty.WATCH in ground.duties:
        steps["office"] = ground.office.run
    return steps


async def _give_back(ground: Ground) -> None:
    """What this process has in hand is free at once for the others."""

    def work(tx: SqlTransaction) -> None:
        tx.outbox.release(ground.owner)
        tx.dispatches.release(ground.owner)

    with contextlib.suppress(Unstorable):
        await ground.store.write(work)


async def _make_months(ground: Ground) -> None:
    """The journal's next months exist before anything is to be written to them."""
    while True:
        if ground.office.held:
            with contextlib.suppress(Unstorable):
                await ground.store.write(lambda tx: make_months(tx.connection, ground.clock.now()))
        await asyncio.sleep(HOUR)


def away(error: Exception) -> str:
    """What the store says that is away, if that is all that went wrong; else ""."""
    if isinstance(error, ExceptionGroup):
        absent, other = error.split(Unstorable)
        return "" if absent is None or other is not None else away(absent.exceptions[0])
    return str(error) if isinstance(error, Unstorable) else ""


async def _kept_up(name: str, step: Callable[[], Awaitable[None]], log: BoundLogger) -> None:
    """Start a step again when it falls; one that is told to end ends, even if it falls over that."""
    task = asyncio.current_task()
    while True:
        try:
            await step()
            return
        except Exception as error:
            if why := away(error):
                log.warning("step_waits", step=name, why=why)
            else:
                log.exception("step_fell", step=name)
        if task is not None and task.cancelling():
            return
        await asyncio.sleep(1)
