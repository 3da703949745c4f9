"""Recalling: what a cancelled warning has handed over already is called back where the channel can do that: loudspeakers fall
silent, SMS not yet delivered are deleted. Which dispatches are to be recalled stands in the store, so that a restart goes on;
one worker at a time has one by a lease.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from structlog.stdlib import BoundLogger

from gateway.channel import Channel, Clock
from gateway.errors import Rejected, Unavailable, Unstorable
from gateway.flow.keeping import LEASE, keep_leases
from gateway.flow.letters import Letters
from gateway.flow.records import accepted_block
from gateway.model.dispatch import WorkState
from gateway.model.receipt import Level, Receipt
from gateway.model.time import Instant
from gateway.ports.store import BatchRow, DispatchRow, Ordinals, Store, Transaction

PATIENCE = 30.0
"""Seconds that one recall may take."""

LOOK_AROUND = 1.0
"""Seconds. Another process may have taken the Cancel in, or died over it."""

AGAIN = 2.0
"""Seconds between two tries, and between two looks at what is still on the wire."""

Levels = Callable[[int, Ordinals], Awaitable[Sequence[Level]]]
"""(alert, ordinals) -> how far each is proven; SENT where nothing is."""


@dataclass(frozen=True, slots=True)
class Recall:
    """One batch to be called back: its row, and how far each of its endpoints had come."""

    row: BatchRow
    receipts: tuple[Receipt, ...]


class Recaller:
    """Calls back what cancelled alerts have handed over, every channel for itself."""

    def __init__(
        self, store: Store, clock: Clock, channels: Mapping[str, Channel], levels: Levels, owner: str, log: BoundLogger
    ) -> None:
        self._store, self._clock, self._levels, self._log = store, clock, levels, log
        self._owner = f"{owner}/recaller"
        self._channels = {name: channel for name, channel in channels.items() if hasattr(channel, "recall")}
        self._letters = Letters(store, None)
        self._at_work: set[int] = set()
        self._called = asyncio.Event()

    def wake(self) -> None:
        """Say that an alert may have been cancelled."""
        self._called.set()

    async def run(self) -> None:
        """Recall until cancelled."""
        self._at_work.clear()
        await self._store.write(lambda tx: tx.dispatches.release(self._owner))
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_leases(self._store, self._clock, self._at_work, self._renew))
            while True:
                self._called.clear()
                while (dispatch := await self._claimed()) is not None:
                    self._at_work.add(dispatch.n)
                    group.create_task(self._recall(dispatch))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AROUND):
                        await self._called.wait()

    async def _claimed(self) -> DispatchRow | None:
        """The next cancelled dispatch that nobody calls back yet."""
        now, mine = self._clock.now(), frozenset(self._at_work)
        if not await self._store.read(lambda tx: tx.dispatches.any_recall(now, mine)):
            return None
        return await self._store.write(lambda tx: tx.dispatches.claim_recall(self._owner, now, LEASE))

    def _renew(self, tx: Transaction, numbers: Sequence[int], until: Instant) -> None:
        tx.dispatches.renew(self._owner, numbers, until)

    async def _recall(self, dispatch: DispatchRow) -> None:
        await asyncio.gather(*(self._by(name, dispatch) for name in self._channels))
        await self._store.write(lambda tx: tx.dispatches.recalled(dispatch.n))
        self._at_work.discard(dispatch.n)

    async def _by(self, name: str, dispatch: DispatchRow) -> None:
        """Each batch once, and once more when what was on the wire at the time has arrived."""
        seen: set[tuple[int, bool]] = set()
        while True:
            rows = await self._store.read(lambda tx: _handed(tx, dispatch.n, name))
            for row in rows:
                look = (row.n, row.state is WorkState.SENDING)
                if look not in seen:
                    seen.add(look)
                    await self._call_back(name, dispatch, row)
            if all(row.state is not WorkState.SENDING for row in rows):
                return
            await asyncio.sleep(AGAIN)

    async def _call_back(self, name: str, dispatch: DispatchRow, row: BatchRow) -> None:
        levels = await self._levels(dispatch.roster, row.handed)
        left = tuple(
            Receipt(level, ordinal)
            for ordinal, level in zip(row.handed.tolist(), levels, strict=True)
            if Level.FAILED < level < Level.DELIVERED
        )
        if not left:
            return
        wanted = Recall(replace(row, remaining=np.array([each.endpoint for each in left], np.int32)), left)
        while self._clock.now() < row.expires_at and not await self._tried(name, wanted):
            await asyncio.sleep(AGAIN)

    async def _tried(self, name: str, wanted: Recall) -> bool:
        """Ask the channel once; False if asking again may help."""
        batch, _ = await self._letters.open(wanted.row)
        try:
            async with asyncio.timeout(PATIENCE):
                said: Sequence[Receipt] = await self._channels[name].recall(batch, wanted.receipts)
            await self._keep(name, wanted.row, [receipt for receipt in said if receipt.level is Level.FAILED])
        except (Unavailable, TimeoutError, Unstorable) as error:
            self._log.warning("recall_waits", channel=name, alert=batch.alert, why=str(error))
            return False
        except Rejected as error:
            self._log.error("recall_refused", channel=name, alert=batch.alert, why=str(error))
        except Exception:
            self._log.exception("channel_bug", channel=name, alert=batch.alert)
        else:
            self._log.info("recalled", channel=name, alert=batch.alert, endpoints=len(wanted.receipts))
        return True

    async def _keep(self, name: str, row: BatchRow, gone: Sequence[Receipt]) -> None:
        """What is gone for certain goes into the journal; that the far side took the wish proves nothing."""
        now = self._clock.now()

        def work(tx: Transaction) -> None:
            tx.journal.append(statements=accepted_block(row, name, tx.journal.channel_number(name), gone, now))

        if gone:
            await self._store.write(work)


def _handed(tx: Transaction, dispatch: int, channel: str) -> list[BatchRow]:
    return [row for row in tx.outbox.of_dispatch(dispatch) if row.channel == channel and len(row.handed)]
