"""Leaves out the last endpoint of every batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Receipt

BREAKS = "test_every_endpoint_gets_one_receipt"


class ForgetsAnEndpoint(Gong):
    """Leaves out the last endpoint of every batch."""

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        return (await super().send(batch))[:-1]


class TestForgetsAnEndpoint(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = ForgetsAnEndpoint
