"""Names endpoints by their place in the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Receipt

BREAKS = "test_every_endpoint_gets_one_receipt"


class CountsFromZero(Gong):
    """Names endpoints by their place in the batch."""

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        return [receipt._replace(endpoint=place) for place, receipt in enumerate(await super().send(batch))]


class TestCountsFromZero(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = CountsFromZero
