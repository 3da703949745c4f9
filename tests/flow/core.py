"""The core of a gateway without its web side, for tests of the story's steps: the real store, queue, couriers, planner, folder and
watch, composed as `gateway.app` composes them, over the hamlet and a clock moved by hand. Steps run when a test says so.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import numpy as np
import structlog
from far_side import FarSide, Line
from store_kit import empty_store, url_of

from gateway.app.channels import Configured, Opened
from gateway.app.reference import refresh
from gateway.app.world import ADMIN_SOURCE, build_world
from gateway.channel import Batch, EvidenceConfig, Level, Receipt, Traits
from gateway.flow.coverage import Account, Folder
from gateway.flow.delivery import Courier
from gateway.flow.fanout import Planner
from gateway.flow.intake import Intake
from gateway.flow.office import Alone
from gateway.flow.receipts import Reporter
from gateway.flow.release import Release
from gateway.flow.watch import Watch
from gateway.flow.world import World
from gateway.model.coverage import RegionCoverage
from gateway.model.time import moment
from gateway.ports.desk import Accepted, Principal, Role
from gateway.queue.embedded import EmbeddedQueue
from gateway.rules.retrying import Breaker
from gateway.settings import Settings
from gateway.speech import open_speech
from gateway.store import SqlStore, SqlTransaction
from gateway.telemetry import Metrics
from gateway.testing import hamlet
from gateway.testing.clock import ManualClock

POSTER = Principal("p", "poster", frozenset({Role.SOURCE, Role.APPROVER}), ADMIN_SOURCE)
LOG = structlog.get_logger("core")

SMS = Traits(kind="addressed", proves=Level.ACK, max_batch=3, parallel=2, format="sms")
SPEAKERS = Traits(
    kind="device",
    proves=Level.DELIVERED,
    max_batch=2,
    parallel=1,
    format="loudspeaker",
    audible=True,
    evidence=EvidenceConfig(kind="device", hear=(0.5, 0.7, 0.9), q_unknown=0.6),
)
OWNER = "core"
KINDS: Mapping[str, Traits] = {"sms": SMS, "speakers": SPEAKERS}


@dataclass(slots=True)
class Core:
    """A core at work on `folder`. `far` are the far sides by channel; they outlive it."""

    folder_path: Path
    clock: ManualClock
    far: dict[str, FarSide]
    world: World
    attempts: int = 5
    timeout: float = 30.0
    duplicates_before: float = 0.0
    store: SqlStore = field(init=False)
    metrics: Metrics = field(init=False)
    couriers: dict[str, Courier] = field(init=False)
    reporters: dict[str, Reporter] = field(init=False)
    planner: Planner = field(init=False)
    folder: Folder = field(init=False)
    watch: Watch = field(init=False)
    intake: Intake = field(init=False)
    release: Release = field(init=False)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def open(self) -> None:
        """Start on what lies in the folder."""
        store = self.store = SqlStore(url_of(self.folder_path), self.clock)
        metrics = self.metrics = Metrics()
        queue = EmbeddedQueue(store, self.clock, OWNER)
        speech = await open_speech(self.folder_path, "", off=True)
        shared: dict[str, Any] = {"store": store, "clock": self.clock, "metrics": metrics}
        work: dict[str, Any] = {"owner": OWNER, "queue": queue, "speech": speech, "log": LOG, **shared}
        self.couriers = {
            name: Courier(name, Line(far, KINDS[name]), self._config(), **work) for name, far in self.far.items()
        }
        self.reporters = {name: Reporter(name, **shared) for name in self.far}
        for name in self.far:
            metrics.know_channel(name)
            self.reporters[name].proves = KINDS[name].proves
            self.couriers[name]._breaker = Breaker(threshold=10**9)  # it keeps real time, and these tests do not
        office = Alone(store)
        self.folder = Folder(store, self.clock, office, metrics, LOG, unmatched_for=72 * 3_600_000)
        self.planner = Planner(store, queue, self.clock, self.world, OWNER, LOG)
        proves = {name: KINDS[name].proves for name in self.far}
        self.watch = Watch(store, self.clock, office, metrics, LOG, proves, self.folder.pulses)
        self.intake = Intake(store, self.clock, self.world, metrics, LOG, self.planner.wake)
        self.release = Release(store, self.clock, self.world, self.planner.wake)
        await self.folder.catch_up()
        self.tasks = [asyncio.create_task(courier.run()) for courier in self.couriers.values()]

    async def close(self) -> None:
        """Stop in good order: what is on the wire may end, what is folded is saved."""
        await self._end(self.tasks)
        await self.folder.save()
        await self._shut()

    async def crash(self) -> None:
        """Stop at once: nothing on the wire ends, nothing is saved."""
        here = asyncio.current_task()
        await self._end([task for task in asyncio.all_tasks() if task is not here])
        await self._shut()

    def duplicates(self) -> float:
        """`duplicates_total` of all channels, over all lives."""
        return self.duplicates_before + sum(
            self.metrics.registry.get_sample_value("tongluo_duplicates_total", {"channel": name}) or 0
            for name in self.far
        )

    async def post(self, raw: bytes) -> Accepted:
        """Post a message."""
        return await self.intake.accept(raw, POSTER)

    async def report(self, channel: str, *receipts: Receipt) -> None:
        """Receipts that come later."""
        await self.reporters[channel](list(receipts))

    async def plan(self) -> None:
        """Plan all that is due."""
        while await self.planner.step():
            pass

    async def settle(self) -> None:
        """Let everything happen that is due now: expiry, planning, sending, folding."""
        await self.watch.tick()
        await self.plan()
        async with asyncio.timeout(20):
            while not await self.idle():
                await asyncio.sleep(0.002)
        await self.folder.fold()

    async def idle(self) -> bool:
        """Whether all that is due is sent, or held up by its far side."""
        due = await self.read(
            lambda tx: {name: len(tx.outbox.due(name, OWNER, self.clock.now(), 1000)) for name in self.far}
        )
        in_hand = {name: far.held for name, far in self.far.items()}
        return all(due[name] == in_hand[name] or in_hand[name] >= KINDS[name].parallel for name in self.far)

    async def read(self, work: Callable[[SqlTransaction], Any]) -> Any:
        """Ask the store."""
        return await self.store.read(work)

    async def account(self, id: str) -> Account:
        """The open account of an alert, folded up to now."""
        await self.folder.fold()
        row = await self.read(lambda tx: tx.alerts.by_id(id))
        account = await self.folder.account(row.n)
        assert account is not None
        return account

    async def coverage(self, id: str) -> RegionCoverage:
        """What the live fold says now."""
        book = (await self.account(id)).book
        book.advance(self.clock.now())
        book.refresh()
        return book.region()

    async def levels(self, id: str) -> list[int]:
        """The highest level proven for each endpoint of an alert, -1 = none; failures left out."""
        times = (await self.account(id)).book.times
        return [
            max((level for level in range(1, 6) if at[level] < np.iinfo(np.int64).max), default=-1) for at in times.T
        ]

    def _config(self) -> Line.Config:
        return Line.Config(type="line", attempts=self.attempts, timeout=self.timeout)

    async def _end(self, tasks: list[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.duplicates_before = self.duplicates()

    async def _shut(self) -> None:
        for far in self.far.values():
            far.let_go = asyncio.Event()
        await self.store.aclose()


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory, where there is one: for tests that start a hundred cores and prove nothing about disks."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(prefix="tongluo-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@asynccontextmanager
async def core(folder: Path, *channels: str, **options: Any) -> AsyncIterator[Core]:
    """A core over the hamlet with these channels (default sms). It may be closed or crashed and opened again inside."""
    clock = ManualClock()
    far = {name: FarSide(clock) for name in channels or ("sms",)}
    template, world = await prepared(tuple(far))
    await asyncio.to_thread(shutil.copy, template / "tongluo.db", folder / "tongluo.db")
    it = Core(folder, clock, far, world, **options)
    await it.open()
    try:
        yield it
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await it.crash()


async def prepared(channels: tuple[str, ...]) -> tuple[Path, World]:
    """A store that knows the hamlet, and the world it makes; made once for each set of channels."""
    if channels not in PREPARED:
        PREPARED[channels] = await _prepare(channels)
    return PREPARED[channels]


PREPARED: dict[tuple[str, ...], tuple[Path, World]] = {}


async def _prepare(channels: tuple[str, ...]) -> tuple[Path, World]:
    folder = _scratch() / "-".join(channels)
    folder.mkdir(exist_ok=True)
    files = await asyncio.to_thread(hamlet.settle, folder, "http://127.0.0.1:9/ebd")
    settings = Settings.model_validate({**files, "speech": {"engine": "none"}})
    (folder / "tongluo.db").write_bytes(await asyncio.to_thread(empty_store))
    clock = ManualClock()
    store = SqlStore(url_of(folder), clock)
    reference = await refresh(store, settings, None, clock, LOG)
    await store.aclose()
    opened = {
        name: Opened(
            Configured(name, name, _unused, Line.Config(type=name, sink="sink")), Line(FarSide(clock), KINDS[name])
        )
        for name in channels
    }
    return folder, await asyncio.to_thread(build_world, settings, None, reference, opened)


def _unused(config: Any, context: Any) -> Line:
    """Lines are made by `Core.open`, with their far sides."""
    raise AssertionError(config, context)


@cache
def _scratch() -> Path:
    """A folder for what is made once."""
    folder = Path(mkdtemp(prefix="tongluo-core-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def cap(
    clock: ManualClock,
    identifier: str = "A-1",
    *,
    region: str = hamlet.QINGYUAN,
    msg_type: str = "Alert",
    status: str = "Actual",
    severity: str = "Severe",
    references: str = "",
    minutes: float = 60,
    event: str = "暴雨",
    note: str = "",
    sent: str = "",
) -> bytes:
    """A CAP message sent now, or at `sent`."""
    stamp = "%Y-%m-%dT%H:%M:%S+00:00"
    sent = sent or moment(clock.now()).strftime(stamp)
    expires = moment(clock.now() + int(minutes * 60_000)).strftime(stamp)
    info = (
        f"<info><language>zh-CN</language><category>Met</category><event>{event}</event><urgency>Immediate</urgency>"
        f"<severity>{severity}</severity><certainty>Likely</certainty><eventCode><valueName>EVENT-CODE</valueName>"
        f"<value>11B03</value></eventCode><expires>{expires}</expires><headline>{event}预警</headline>"
        f"<description>大雨。</description><instruction>远离河道。</instruction><area><areaDesc>清原</areaDesc>"
        f"<geocode><valueName>CN-GB2260</valueName><value>{region}</value></geocode></area></info>"
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">'
        f"<identifier>{identifier}</identifier><sender>met@example</sender><sent>{sent}</sent><status>{status}</status>"
        f"<msgType>{msg_type}</msgType><scope>Public</scope>"
        + (f"<note>{note}</note>" if note else "")
        + (f"<references>{references}</references>" if references else "")
        + ("" if msg_type == "Cancel" else info)
        + "</alert>"
    ).encode()


def reference(clock: ManualClock, identifier: str = "A-1") -> str:
    """The triple that names a message sent now."""
    return f"met@example,{identifier},{moment(clock.now()).strftime('%Y-%m-%dT%H:%M:%S+00:00')}"


def no_late_start(it: Core, ended: set[str]) -> Callable[[Batch], None]:
    """A watcher: nothing of an alert in `ended` begins any more, and nothing after its time."""

    def watch(batch: Batch) -> None:
        assert batch.alert not in ended, f"a send of {batch.identifier} began after its end"
        assert it.clock.now() < batch.expires_at, "a send began after its expiry"

    return watch
