"""Says that it has withdrawn what nobody asked it to withdraw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Level, Reason, Receipt

BREAKS = "test_a_recall_speaks_of_its_batch_alone"


class RecallsOthers(Gong):
    """Says that it has withdrawn what nobody asked it to withdraw."""

    async def recall(self, batch: Batch, receipts: Sequence[Receipt]) -> Sequence[Receipt]:
        return [Receipt(Level.FAILED, place, reason=Reason.WITHDRAWN) for place in range(len(receipts))]


class TestRecallsOthers(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = RecallsOthers
