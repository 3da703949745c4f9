"""What the house may ask of speech, and what an engine has to do. The announcer and every engine fulfil these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.errors import TongluoError
from gateway.model.dispatch import Audio


class CannotSpeak(TongluoError):
    """The engine made no sound of this text; why, in English, for the log and /readyz."""


@dataclass(frozen=True, slots=True)
class SpeechState:
    """Whether texts become sound now, by which engine, and what that means to the operator (Chinese, English)."""

    available: bool
    engine: str
    zh: str
    en: str


class Speech(Protocol):
    """Texts to sound."""

    @property
    def state(self) -> SpeechState:
        """For /readyz and the console."""
        ...

    async def say(self, text: str, language: str) -> Audio | None:
        """The sound of `text` in `language` (a BCP 47 tag); the same file for the same text, however often it is asked for.

        None = it cannot be spoken (no engine, no voice, too long, the engine failed): send the text itself. Never raises.
        """
        ...

    async def aclose(self) -> None:
        """Stop what is being spoken."""
        ...


class Engine(Protocol):
    """A text-to-speech engine."""

    @property
    def name(self) -> str:
        """Name and version."""
        ...

    def voice(self, language: str) -> str | None:
        """The voice that reads this language intelligibly, or None."""
        ...

    async def speak(self, text: str, voice: str) -> bytes:
        """A RIFF WAVE file with PCM samples. Raises CannotSpeak. May be cancelled; then nothing of it goes on."""
        ...

    @property
    def manner(self) -> str:
        """Everything else that shapes the sound (speed, pitch): a part of the cache's key."""
        ...


@dataclass(frozen=True, slots=True)
class Mute:
    """The engine of a machine that has none: recordings are played, nothing else is spoken. `name` says why."""

    name: str
    manner: str = ""

    def voice(self, language: str) -> str | None:
        """None, for every language."""
        return None

    async def speak(self, text: str, voice: str) -> bytes:
        """Raises CannotSpeak."""
        raise CannotSpeak(self.name)


class NoSpeech:
    """Speech that is switched off, or could not start: every text goes out as text."""

    def __init__(self, why_zh: str, why_en: str) -> None:
        self._state = SpeechState(
            available=False,
            engine="none",
            zh=f"没有语音合成：{why_zh}。文字将直接发往终端，由终端播报。",
            en=f"No speech: {why_en}. The text itself goes to the devices.",
        )

    @property
    def state(self) -> SpeechState:
        """Not available, and why."""
        return self._state

    async def say(self, text: str, language: str) -> Audio | None:
        """None, always."""
        return None

    async def aclose(self) -> None:
        """There is nothing to stop."""
