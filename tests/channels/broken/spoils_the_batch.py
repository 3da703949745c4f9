"""Refuses a whole batch for one bad address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Receipt, Rejected

BREAKS = "test_a_bad_address_fails_alone_and_for_good"


class SpoilsTheBatch(Gong):
    """Refuses a whole batch for one bad address."""

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        if any(endpoint.address == "nowhere" for endpoint in batch.endpoints):
            raise Rejected("no such gong")
        return await super().send(batch)


class TestSpoilsTheBatch(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = SpoilsTheBatch
