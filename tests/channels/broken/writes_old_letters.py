"""Knows GBK and nothing else."""

from __future__ import annotations

from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Endpoint

BREAKS = "test_the_text_arrives_unchanged"


class WritesOldLetters(Gong):
    """Knows GBK and nothing else."""

    def stroke(self, batch: Batch, endpoint: Endpoint) -> dict[str, str]:
        text = batch.message.text.encode("gbk", "replace").decode("gbk")
        return {**super().stroke(batch, endpoint), "text": text}


class TestWritesOldLetters(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = WritesOldLetters
