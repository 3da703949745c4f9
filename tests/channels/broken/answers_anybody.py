"""Believes whoever calls back."""

from __future__ import annotations

from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Callback, Reply

BREAKS = "test_a_stranger_at_the_callback_moves_nothing"


class AnswersAnybody(Gong):
    """Believes whoever calls back."""

    async def callback(self, request: Callback) -> Reply:
        return Reply()


class TestAnswersAnybody(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = AnswersAnybody
