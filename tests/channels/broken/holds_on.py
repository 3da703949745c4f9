"""Keeps its lock when a send is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Context, Receipt

BREAKS = "test_a_send_may_be_cancelled_at_any_moment"


class HoldsOn(Gong):
    """Keeps its lock when a send is cancelled."""

    def __init__(self, config: Gong.Config, context: Context) -> None:
        super().__init__(config, context)
        self.lock = asyncio.Lock()

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        await self.lock.acquire()
        receipts = await super().send(batch)
        self.lock.release()
        return receipts


class TestHoldsOn(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = HoldsOn
