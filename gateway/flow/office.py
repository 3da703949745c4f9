"""Offices: what only one process of all may do at a time, such as folding the journal into the figures that are kept.

An office is held by a lease that is kept while its holder lives. Every write goes through `write`, which asks in the same
transaction whether the office is still ours: a holder that was frozen and wakes up after another has taken over writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol, TypeVar

from structlog.stdlib import BoundLogger

from gateway.channel import Clock
from gateway.errors import Deposed, Unstorable
from gateway.model.time import Instant
from gateway.ports.store import Store, Transaction, Turn

T = TypeVar("T")

TERM = 10_000
"""Milliseconds that a lease lasts unless it is kept."""

KEEP = 3.0
"""Seconds between two times that it is kept, or asked for."""

WATCH = "watch"
"""The office of the watch leader."""


class Office(Protocol):
    """What the story asks of an office."""

    @property
    def held(self) -> bool:
        """Whether this process may believe that it holds the office."""
        ...

    async def write(self, work: Callable[[Transaction], T], *, turn: Turn | None = None) -> T:
        """`Store.write` for the holder alone. Raises Deposed."""
        ...

    async def run(self) -> None:
        """Keep the office, or wait for it, until cancelled; then give it up."""
        ...


class Alone:
    """The office of the only process there is: its data folder is locked, nobody else can have it."""

    held = True

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, work: Callable[[Transaction], T], *, turn: Turn | None = None) -> T:
        return await self._store.write(work, turn=turn)

    async def run(self) -> None:
        await asyncio.Event().wait()


class Elected:
    """An office that many processes stand for."""

    def __init__(self, name: str, store: Store, clock: Clock, owner: str, log: BoundLogger) -> None:
        self._name, self._store, self._clock, self._owner, self._log = name, store, clock, owner, log
        self._token: int | None = None
        self._until: Instant = 0

    @property
    def held(self) -> bool:
        return self._token is not None and self._clock.now() < self._until

    async def write(self, work: Callable[[Transaction], T], *, turn: Turn | None = None) -> T:
        token = self._token
        if token is None:
            raise Deposed(f"the office {self._name!r} is not ours")

        def fenced(tx: Transaction) -> T:
            if not tx.leases.holds(self._name, self._owner, token):
                raise Deposed(f"the office {self._name!r} has passed to another process")
            return work(tx)

        try:
            return await self._store.write(fenced, turn=turn)
        except Deposed:
            self._lost()
            raise

    async def run(self) -> None:
        try:
            while True:
                with contextlib.suppress(Unstorable):
                    await self._stand()
                await asyncio.sleep(KEEP)
        finally:
            with contextlib.suppress(Unstorable):
                await asyncio.shield(self._store.write(lambda tx: tx.leases.give_up(self._name, self._owner)))
            self._token = None

    async def _stand(self) -> None:
        now = self._clock.now()
        token = await self._store.write(lambda tx: tx.leases.take(self._name, self._owner, now, now + TERM))
        if token is None:
            self._lost()
            return
        if self._token != token:
            self._log.info("office_taken", office=self._name, token=token)
        self._token, self._until = token, now + TERM

    def _lost(self) -> None:
        if self._token is not None:
            self._log.warning("office_lost", office=self._name, token=self._token)
        self._token, self._until = None, 0
