"""Keeps the batch at hand in itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Endpoint, Receipt

BREAKS = "test_sends_at_the_same_time_do_not_mix"


class MixesSends(Gong):
    """Keeps the batch at hand in itself."""

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        self.batch = batch
        await asyncio.sleep(0)
        return await super().send(batch)

    def stroke(self, batch: Batch, endpoint: Endpoint) -> dict[str, str]:
        return super().stroke(self.batch, endpoint)


class TestMixesSends(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = MixesSends
