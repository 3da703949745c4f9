"""Calls the next dispatch a repetition of the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Endpoint, Receipt

BREAKS = "test_the_key_is_the_same_on_a_retry_and_new_for_a_dispatch"


class SharesKeys(Gong):
    """Calls the next dispatch a repetition of the first."""

    def stroke(self, batch: Batch, endpoint: Endpoint) -> dict[str, str]:
        return {**super().stroke(batch, endpoint), "key": str(endpoint.ordinal)}

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        taken = (await self.ask([self.stroke(batch, endpoint) for endpoint in batch.endpoints])).taken
        return [self.receipt(endpoint, taken[str(endpoint.ordinal)]) for endpoint in batch.endpoints]


class TestSharesKeys(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = SharesKeys
