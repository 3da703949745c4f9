"""Says taken of the first, and never asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Receipt

BREAKS = "test_every_endpoint_gets_one_receipt"


class ForgetsWhatItSent(Gong):
    """Says taken of the first, and never asks."""

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        asked = await super().send(replace(batch, endpoints=batch.endpoints[1:]))
        return [self.receipt(batch.endpoints[0], "stroke-x"), *asked]


class TestForgetsWhatItSent(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = ForgetsWhatItSent
