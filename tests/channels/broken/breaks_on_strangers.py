"""Reads what comes to its callback before it looks who sent it."""

from __future__ import annotations

from typing import ClassVar

from sound import PROOFS, Gong, SoundContract

from gateway.channel import Callback, Reply

BREAKS = "test_a_stranger_at_the_callback_moves_nothing"


class BreaksOnStrangers(Gong):
    """Reads what comes to its callback before it looks who sent it."""

    async def callback(self, request: Callback) -> Reply:
        PROOFS.validate_json(request.body)
        return await super().callback(request)


class TestBreaksOnStrangers(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = BreaksOnStrangers
