"""Takes no answer for a yes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Level, Receipt, Unavailable

BREAKS = "test_a_far_side_in_trouble_is_no_success_and_may_return"


class ClaimsSuccess(Gong):
    """Takes no answer for a yes."""

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        try:
            return await super().send(batch)
        except Unavailable:
            return [Receipt(Level.ACCEPTED, endpoint.ordinal) for endpoint in batch.endpoints]


class TestClaimsSuccess(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = ClaimsSuccess
