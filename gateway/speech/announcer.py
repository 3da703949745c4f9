"""Speech as the house sees it: recordings first, then the engine; each text once, also when many ask at the same time."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import structlog

from gateway.model.dispatch import Audio
from gateway.speech.espeak import Espeak
from gateway.speech.media import Media
from gateway.speech.port import CannotSpeak, Engine, Mute, NoSpeech, Speech, SpeechState
from gateway.speech.recordings import Recordings, words

LONGEST = 3_000
AT_ONCE = 2


class Announcer:
    """Makes sound files in `media`. `max_chars`: a longer text is not spoken at all, rather than cut."""

    def __init__(self, engine: Engine, media: Media, recordings: Recordings, max_chars: int = LONGEST) -> None:
        self._engine, self._media, self._recordings, self._max_chars = engine, media, recordings, max_chars
        self._speaking: dict[str, asyncio.Task[Audio | None]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._log = structlog.get_logger("speech")
        self._trouble = ""

    @property
    def media(self) -> Media:
        """The folder of sound files."""
        return self._media

    @property
    def state(self) -> SpeechState:
        """Available, unless there is no voice for Chinese or the last text failed."""
        name, voice, recorded = self._engine.name, self._engine.voice("zh-CN"), len(self._recordings)
        if self._trouble:
            zh, en = f"语音合成出错（{self._trouble}）", f"Speech failed ({self._trouble})"
        elif voice is None:
            zh, en = f"没有可懂的普通话嗓音（{name}）", f"No intelligible Mandarin voice ({name})"
        else:
            zh = f"{name}，普通话嗓音 {voice}，预录语音 {recorded} 条"
            return SpeechState(True, name, zh, f"{name}, voice {voice}, {recorded} recordings")
        zh = f"{zh}，预录语音 {recorded} 条；其余文字将直接发往终端，由终端播报"
        return SpeechState(False, name, zh, f"{en}, {recorded} recordings; other texts go to the devices as text")

    async def say(self, text: str, language: str) -> Audio | None:
        """See `Speech.say`."""
        voice = self._engine.voice(language)
        name = self._name(text, voice)
        if name not in self._speaking:
            task = asyncio.create_task(self._say(name, text, voice))
            self._speaking[name] = task
            task.add_done_callback(lambda _: self._speaking.pop(name, None))
        return await asyncio.shield(self._speaking[name])

    async def aclose(self) -> None:
        """Stop what is being spoken."""
        tasks = list(self._speaking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _name(self, text: str, voice: str | None) -> str:
        return hashlib.sha256("\0".join((voice or "", self._engine.manner, text)).encode()).hexdigest()

    async def _say(self, name: str, text: str, voice: str | None) -> Audio | None:
        try:
            audio = await self._recorded(name, text) or await self._spoken(name, text, voice)
        except (CannotSpeak, OSError) as problem:
            self._trouble = str(problem)
            self._log.warning("text_not_spoken", why=self._trouble, chars=len(text))
            return None
        except Exception:
            self._trouble = "a bug in the engine, see the log"
            self._log.exception("text_not_spoken", chars=len(text))
            return None
        if audio is not None:
            self._trouble = ""
        return audio

    async def _recorded(self, name: str, text: str) -> Audio | None:
        sound = await asyncio.to_thread(self._recordings.of, text)
        return await asyncio.to_thread(self._media.store, name, sound) if sound else None

    async def _spoken(self, name: str, text: str, voice: str | None) -> Audio | None:
        if voice is None or not self._speakable(text, voice):
            return None
        if known := await asyncio.to_thread(self._media.find, name):
            return known
        async with self._turns:
            sound = await self._engine.speak(text, voice)
        return await asyncio.to_thread(self._media.store, name, sound)

    def _speakable(self, text: str, voice: str) -> bool:
        if words(text) and len(text) <= self._max_chars:
            return True
        self._log.warning("text_not_speakable", voice=voice, chars=len(text), at_most=self._max_chars)
        return False


async def open_speech(
    folder: Path,
    url: str,
    *,
    program: str | None = None,
    speed: int = 150,
    recordings: Path | None = None,
    off: bool = False,
) -> Speech:
    """The speech of this machine: sound files in `folder`, fetched by devices from `url`. NoSpeech where nothing can speak.

    `program`: espeak-ng elsewhere than on PATH; `speed`: words per minute; `recordings`: a folder of NAME.txt, NAME.wav.
    """
    if off:
        return NoSpeech("已在配置中关闭", "it is switched off in the configuration")
    known = await asyncio.to_thread(Recordings, recordings)
    try:
        engine: Engine = await Espeak.start(program, speed)
    except CannotSpeak as problem:
        if not known:
            return NoSpeech(f"找不到可用的语音引擎（{problem}）", f"no engine can be used ({problem})")
        engine = Mute(str(problem))
    return Announcer(engine, Media(folder, url), known)
