"""Tidies texts, and the mark of the drill with them."""

from __future__ import annotations

from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Endpoint

BREAKS = "test_a_drill_keeps_its_mark"


class StripsTheDrill(Gong):
    """Tidies texts, and the mark of the drill with them."""

    def stroke(self, batch: Batch, endpoint: Endpoint) -> dict[str, str]:
        return {**super().stroke(batch, endpoint), "text": batch.message.text.partition("】")[2]}


class TestStripsTheDrill(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = StripsTheDrill
