"""Promises fifty endpoints and takes forty, for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Receipt

BREAKS = "test_a_full_batch_is_taken"


class TakesAFew(Gong):
    """Promises fifty endpoints and takes forty, for ever."""

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        few = [endpoint for endpoint in batch.endpoints if endpoint.ordinal < 160]
        return await super().send(replace(batch, endpoints=few)) if few else []


class TestTakesAFew(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = TakesAFew
