"""Reports receipts that name the far side's gong, not our endpoint."""

from __future__ import annotations

from typing import ClassVar

from sound import Gong, Proof, SoundContract

from gateway.channel import Level, Receipt

BREAKS = "test_receipts_come_later_and_can_be_joined"


class NamesNobody(Gong):
    """Reports receipts that name the far side's gong, not our endpoint."""

    async def take(self, proofs: list[Proof]) -> None:
        await self.context.report([Receipt(Level.DELIVERED, endpoint=0) for _ in proofs])


class TestNamesNobody(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = NamesNobody
