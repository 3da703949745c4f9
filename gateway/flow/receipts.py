"""Receipts that come later: from a channel's `report` to the journal, before the far side gets its answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from gateway.channel import Clock
from gateway.flow.records import receipt_block
from gateway.model.receipt import Level, Receipt
from gateway.ports.store import Store, Transaction
from gateway.telemetry import Metrics

UNNAMED = (0, -1)
ORDINAL = re.compile("[0-9]{1,9}", re.ASCII)


class Reporter:
    """One channel's `report`. Receipts are kept raw, by far id or key; the folder joins them. None says more than `proves`."""

    def __init__(self, channel: str, *, store: Store, clock: Clock, metrics: Metrics) -> None:
        self._channel = channel
        self.proves = Level.ACK
        self._store, self._clock, self._metrics = store, clock, metrics
        self._dispatches: dict[str, int | None] = {}

    async def __call__(self, receipts: Sequence[Receipt]) -> None:
        """See `gateway.channel.Report`."""
        if not receipts:
            return
        honest = [
            receipt if receipt.level <= self.proves else receipt._replace(level=self.proves) for receipt in receipts
        ]
        now = self._clock.now()

        def work(tx: Transaction) -> None:
            named = [self._named(tx, receipt) for receipt in honest]
            number = tx.journal.channel_number(self._channel)
            tx.journal.append(statements=receipt_block(self._channel, number, honest, named, now))

        await self._store.write(work)
        for (level, reason), count in Counter((receipt.level, receipt.reason) for receipt in honest).items():
            self._metrics.receipts.labels(self._channel, level.label, reason.label).inc(count)

    def _named(self, tx: Transaction, receipt: Receipt) -> tuple[int, int]:
        """(dispatch, ordinal) that a key of ours names; a key of another channel moves nothing."""
        dispatch, _, rest = receipt.key.partition(".")
        channel, _, ordinal = rest.rpartition(".")
        if not dispatch or channel != self._channel or not ORDINAL.fullmatch(ordinal):
            return UNNAMED
        if dispatch not in self._dispatches:
            if len(self._dispatches) > 1000:
                self._dispatches.clear()
            self._dispatches[dispatch] = tx.dispatches.number(dispatch)
        number = self._dispatches[dispatch]
        return UNNAMED if number is None else (number, int(ordinal))
