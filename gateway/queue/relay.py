"""The publishing side: carries what is due from the store's outbox to the broker. Every process that makes work or
watches over it runs one; several may run side by side.

What the store hands out is marked as published in the same commit and stands in `_owed` until the broker has
confirmed it; what is not confirmed is given back. While the broker is away or takes nothing, no work is read at all:
it stays in the store, in its order, and this process does not grow.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from itertools import groupby

from aio_pika.abc import AbstractConnection
from structlog.stdlib import BoundLogger

from gateway.channel import Clock
from gateway.errors import Unstorable
from gateway.ports.queue import QueueState
from gateway.ports.store import BatchRow, Store
from gateway.queue.broker import BROKEN, Line, Topology, give_up, plain
from gateway.queue.notes import written
from gateway.queue.press import Fate, Letter, Press

PAGE = 256
"""Batches in flight at most."""

LOOK_AGAIN = 0.5
"""Seconds. Work also comes from other processes, and falls due."""

PROBE_EVERY, PROBE_WAITS = 4.0, 4.0
"""Seconds between probes, and until one that is not confirmed means that the broker is blocked: noticed within 8 s."""


class Relay:
    """See the top of the file."""

    def __init__(self, url: str, store: Store, clock: Clock, log: BoundLogger, *, prefix: str = "tongluo") -> None:
        self._store, self._clock, self._log = store, clock, log
        self._topology = Topology(prefix)
        self._line = Line(url, f"{prefix} publishes", log)
        self._line.wanted.set()
        self._press: Press | None = None
        self._flowing = asyncio.Event()
        self._doubt = asyncio.Event()
        self._awake = asyncio.Event()
        self._owed: set[int] = set()
        self._blocked = False

    async def run(self) -> None:
        """Relay until cancelled; then give back what no confirm has come for."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._line.run(self._serve))
                group.create_task(self._pump())
        finally:
            with contextlib.suppress(Unstorable):
                await self._settle()

    def wake(self) -> None:
        """Say that work may have appeared."""
        self._awake.set()

    @property
    def state(self) -> QueueState:
        """Whether the broker is there, and whether it takes what we publish."""
        detail = "the broker confirms nothing (memory or disk alarm?)" if self._blocked else self._line.fault
        return QueueState(self._line.up, self._blocked, detail)

    async def publish(self, letter: Letter) -> Fate:
        """Publish one letter that is not of the outbox."""
        if self._press is None or not self._flowing.is_set():
            return Fate.UNKNOWN
        return (await self._sent(self._press, [letter]))[0]

    async def _serve(self, connection: AbstractConnection) -> None:
        """Open a press on a connection, and feel its pulse until it ends."""
        self._press = await Press.opened(connection, self._topology, self._log)
        self._flowing.set()
        try:
            while True:
                self._doubt.clear()
                await self._probe(self._press)
                self._flowing.set()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PROBE_EVERY):
                        await self._doubt.wait()
        finally:
            self._flowing.clear()
            self._press, self._blocked = None, False

    async def _probe(self, press: Press) -> None:
        """Returns when the broker has confirmed a probe. Just one is on its way, however long the broker is blocked."""
        probe = asyncio.ensure_future(press.probe())
        try:
            done, _ = await asyncio.wait({probe}, timeout=PROBE_WAITS)
            if not done:
                self._log.warning("broker_blocked")
                self._blocked = True
                self._flowing.clear()
                await asyncio.wait({probe})
                press.pardon()
                self._log.info("broker_unblocked")
        finally:
            give_up(probe)
        if probe.cancelled():
            raise ConnectionError("the connection to the broker ended")
        probe.result()
        self._blocked = False

    async def _pump(self) -> None:
        while True:
            await self._flowing.wait()
            try:
                await self._settle()
                read, failed = await self._publish_page()
                await self._settle()
            except Unstorable as error:
                self._log.warning("relay_waits", why=str(error))
                read, failed = 0, 1
            if failed:  # whoever calls, there is a pause before it is tried again
                await asyncio.sleep(LOOK_AGAIN)
            elif read < PAGE:
                await self._rest()

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_AGAIN):
                await self._awake.wait()
        self._awake.clear()

    async def _publish_page(self) -> tuple[int, int]:
        """Publish what is due, up to a page of it; returns how many batches, and how many of them are not confirmed.

        One class after the other: no blue one is under way before every red one of the page is confirmed.
        """
        now = self._clock.now()
        rows = await self._store.write(lambda tx: tx.outbox.unpublished(now, PAGE))
        self._owed = {row.n for row in rows}
        for _, group in groupby(rows, lambda row: row.priority):
            if self._press is None or not self._flowing.is_set():
                break
            await self._publish(self._press, list(group))
        return len(rows), len(self._owed)

    async def _publish(self, press: Press, rows: Sequence[BatchRow]) -> None:
        fates = await self._sent(press, [self._letter(row) for row in rows])
        # What is shunned stays marked as published, or it would fill the next page: the reconciler finds it unclaimed.
        settled = (Fate.CONFIRMED, Fate.SHUNNED)
        self._owed -= {row.n for row, fate in zip(rows, fates, strict=True) if fate in settled}
        if any(fate is not Fate.CONFIRMED for fate in fates):
            self._log.warning("relay_unconfirmed", **{fate.value: fates.count(fate) for fate in Fate})

    async def _sent(self, press: Press, letters: Sequence[Letter]) -> list[Fate]:
        """The fates of letters. A late one casts doubt: nothing more is published before a probe has come through."""
        try:
            fates = await press.send(letters)
        except BROKEN as error:
            self._log.warning("relay_cannot_declare", why=plain(error))
            fates = [Fate.LATE if isinstance(error, TimeoutError) else Fate.UNKNOWN] * len(letters)
        if Fate.LATE in fates:
            self._flowing.clear()
            self._doubt.set()
        return fates

    def _letter(self, row: BatchRow) -> Letter:
        return Letter(self._topology.route(row.channel, row.priority), f"batch-{row.n}", written(row))

    async def _settle(self) -> None:
        """Give back to the store what it calls published and the broker has not confirmed."""
        if self._owed:
            owed = sorted(self._owed)
            await self._store.write(lambda tx: tx.outbox.unpublish(owed))
            self._owed.clear()
