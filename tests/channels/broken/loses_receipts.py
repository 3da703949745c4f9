"""Thanks for receipts that nobody could keep."""

from __future__ import annotations

from typing import ClassVar

from sound import Gong, Proof, SoundContract

from gateway.errors import Unstorable

BREAKS = "test_a_receipt_that_cannot_be_stored_comes_again"


class LosesReceipts(Gong):
    """Thanks for receipts that nobody could keep."""

    async def take(self, proofs: list[Proof]) -> None:
        try:
            await super().take(proofs)
        except Unstorable:
            self.context.log.warning("receipts_lost")


class TestLosesReceipts(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = LosesReceipts
