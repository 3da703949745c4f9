"""Gives every endpoint two receipts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Receipt

BREAKS = "test_every_endpoint_gets_one_receipt"


class RepeatsItself(Gong):
    """Gives every endpoint two receipts."""

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        return [*await super().send(batch)] * 2


class TestRepeatsItself(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = RepeatsItself
