"""Presence: what every process tells of itself every few seconds, and what it learns of the others: which channels are served and
how their far sides are, who is alive, and what time it is by the store's clock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gateway.errors import Unstorable
from gateway.model.time import Instant
from gateway.ports.clock import SharedClock
from gateway.ports.store import ProcessRow, Store

BEAT = 3.0
"""Seconds between two times that a process tells of itself."""

ALIVE = 15_000
"""Milliseconds after which a process that has told nothing counts as gone."""

FORGOTTEN = 3_600_000


@dataclass(frozen=True, slots=True)
class Health:
    """How a channel is, by those who serve it. `online`: county code -> (devices online, devices known), for channels that hear
    their devices."""

    up: bool
    fault: str = ""
    last_progress: Instant = 0
    online: Mapping[str, tuple[int, int]] = field(default_factory=dict)


UNSERVED = Health(False, "没有投递进程服务此渠道 / no deliver process serves this channel")

Local = Callable[[], Mapping[str, Health]]


class Presence:
    """Tells and learns. `local`: the channels that this process serves itself."""

    def __init__(
        self, store: Store, clock: SharedClock, owner: str, roles: Sequence[str], local: Local, *, shared: bool
    ) -> None:
        self._store, self._clock, self._owner, self._roles = store, clock, owner, roles
        self._local, self._shared = local, shared
        self._told: list[ProcessRow] = []
        self.url = ""
        self.answers = True

    async def run(self) -> None:
        """Tell until cancelled; then take leave."""
        try:
            while True:
                await self.beat()
                await asyncio.sleep(BEAT)
        finally:
            if self._shared:
                with contextlib.suppress(Unstorable):
                    await asyncio.shield(self._store.write(lambda tx: tx.processes.forget(self._owner)))

    async def beat(self) -> None:
        """Tell and learn once; a store that does not answer is noted."""
        try:
            at, when = await self._store.read(lambda tx: tx.time())
            if self._shared:
                self._clock.sync(at, when)
                await self._tell()
        except Unstorable:
            self.answers = False
        else:
            self.answers = True

    def health(self, channel: str) -> Health:
        """How a channel is, all its workers taken together."""
        local = self._local()
        if channel in local and not self._shared:
            return local[channel]
        told = [Health(**row.channels[channel]) for row in self.processes if channel in row.channels]
        return _together(told + ([local[channel]] if channel in local else []))

    @property
    def processes(self) -> list[ProcessRow]:
        """The processes that live, as far as we know."""
        now = self._clock.now()
        return [row for row in self._told if row.at > now - ALIVE and row.owner != self._owner]

    async def _tell(self) -> None:
        now = self._clock.now()
        channels: dict[str, dict[str, Any]] = {name: asdict(health) for name, health in self._local().items()}
        row = ProcessRow(self._owner, self._roles, self.url, now, channels)

        def work(tx: Any) -> list[ProcessRow]:
            tx.processes.tell(row)
            tx.processes.forget(before=now - FORGOTTEN)
            return list(tx.processes.since(now - ALIVE))

        self._told = await self._store.write(work)


def _together(told: Iterable[Health]) -> Health:
    everyone = list(told)
    if not everyone:
        return UNSERVED
    up = [health for health in everyone if health.up]
    widest = max(everyone, key=lambda health: sum(on for on, _ in health.online.values()))
    fault = "" if up else next((health.fault for health in everyone if health.fault), "")
    return Health(bool(up), fault, max(health.last_progress for health in everyone), widest.online)
