"""The speech port: text in, audio out."""

from __future__ import annotations

from typing import Protocol

from gateway.model.dispatch import Audio


class Speech(Protocol):
    """A voice. See `gateway.speech`."""

    async def say(self, text: str, language: str) -> Audio | None:
        """The text as audio, made once per text; None where no voice is there for it: then the text itself is sent."""
        ...
