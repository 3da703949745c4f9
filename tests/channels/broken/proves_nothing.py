"""Promises to prove nothing at all."""

from __future__ import annotations

from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Level, Traits

BREAKS = "test_it_is_a_channel"


class ProvesNothing(Gong):
    """Promises to prove nothing at all."""

    traits = Traits(kind="addressed", proves=Level.FAILED)


class TestProvesNothing(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = ProvesNothing
