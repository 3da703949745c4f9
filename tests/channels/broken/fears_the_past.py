"""Cannot count down to a moment that is over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Receipt

BREAKS = "test_an_expiry_near_past_or_far_harms_nothing"


class FearsThePast(Gong):
    """Cannot count down to a moment that is over."""

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        math.sqrt(batch.expires_at - self.context.clock.now())
        return await super().send(batch)


class TestFearsThePast(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = FearsThePast
