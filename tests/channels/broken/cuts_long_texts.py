"""Shortens what it has promised to take."""

from __future__ import annotations

from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Endpoint

BREAKS = "test_a_long_text_arrives_whole"


class CutsLongTexts(Gong):
    """Shortens what it has promised to take."""

    def stroke(self, batch: Batch, endpoint: Endpoint) -> dict[str, str]:
        return {**super().stroke(batch, endpoint), "text": batch.message.text[:500]}


class TestCutsLongTexts(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = CutsLongTexts
