"""The engine that ships: the program `espeak-ng`, run as a process of its own for each text (its licence stays outside too).

Debian's 1.51 reads Hanzi with the voice `cmn` as English spellings of pinyin, at a plausible length and loudness. So a
Mandarin voice is taken only if the phonemes of a probe text never switch to English, `(en)` in espeak's notation.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import shutil
import wave
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.speech.port import CannotSpeak

PROBE = "请低洼地区群众立即转移到安全地带。"
ENGLISH = "(en)"
MANDARIN = ("cmn-latn-pinyin", "cmn")
CANTONESE = ("yue",)
HEADER = b"data"


@dataclass(frozen=True, slots=True)
class Espeak:
    """espeak-ng at `program`. `hanzi` maps the Chinese languages to voices that passed the probe, `voices` all others."""

    program: str
    version: str
    hanzi: tuple[tuple[str, str], ...]
    voices: frozenset[str]
    speed: int = 150
    timeout: float = 20.0

    @classmethod
    async def start(cls, program: str | None = None, speed: int = 150, timeout: float = 20.0) -> Espeak:
        """Find the program and try its voices. Raises CannotSpeak with what to install."""
        found = shutil.which(program or "espeak-ng")
        if found is None:
            raise CannotSpeak(f"{program or 'espeak-ng'} is not installed (Debian: apt install espeak-ng)")
        version = (await _run([found, "--version"], b"", timeout)).decode(errors="replace")
        listing = (await _run([found, "--voices"], b"", timeout)).decode(errors="replace")
        voices = frozenset(line.split()[1].lower() for line in listing.splitlines()[1:] if len(line.split()) > 1)
        hanzi = [
            (language, voice)
            for language, names in (("zh", MANDARIN), ("yue", CANTONESE))
            if (voice := await _intelligible(found, [name for name in names if name in voices], timeout))
        ]
        return cls(found, version.split("Data at")[0].strip(), tuple(hanzi), voices, speed, timeout)

    @property
    def name(self) -> str:
        """Such as `eSpeak NG text-to-speech: 1.51`."""
        return self.version

    @property
    def manner(self) -> str:
        """Version and speed."""
        return f"{self.version} {self.speed}"

    def voice(self, language: str) -> str | None:
        """zh, cmn: the Mandarin voice that passed; yue, zh-HK: Cantonese; others: by the tag, then by its first part."""
        tag = language.lower().replace("_", "-")
        first = tag.split("-")[0]
        if first in ("zh", "cmn", "yue"):
            return dict(self.hanzi).get("yue" if first == "yue" or tag in ("zh-hk", "zh-yue") else "zh")
        if tag in self.voices or first in self.voices:
            return tag if tag in self.voices else first
        return min((voice for voice in self.voices if voice.startswith(f"{first}-")), key=_plainness, default=None)

    async def speak(self, text: str, voice: str) -> bytes:
        """A WAV file, 22,050 Hz, 16 bit, mono. The text goes by standard input, never on a command line."""
        command = [self.program, "-v", voice, "-s", str(self.speed), "-b", "1", "--stdin", "--stdout"]
        return _mend(await _run(command, _harmless(text).encode(), self.timeout))


def _plainness(voice: str) -> tuple[int, str]:
    return len(voice), voice


async def _intelligible(program: str, voices: Sequence[str], timeout: float) -> str | None:
    """The first voice that reads the probe text without a word of English."""
    for voice in voices:
        with contextlib.suppress(CannotSpeak):
            sounds = (
                await _run([program, "-q", "-x", "-v", voice, "-b", "1", "--stdin"], PROBE.encode(), timeout)
            ).decode()
            if sounds.strip() and ENGLISH not in sounds:
                return voice
    return None


def _harmless(text: str) -> str:
    """The text as nothing but text: `[[...]]` would be taken for phonemes, NUL for its end."""
    return text.replace("\0", " ").replace("[[", "[ [")


def _mend(stream: bytes) -> bytes:
    """A WAV file with its true length: espeak-ng writes a huge one when it writes to a pipe."""
    start = stream.find(HEADER, 12)
    if not stream.startswith(b"RIFF") or start < 0:
        raise CannotSpeak("espeak-ng gave no WAV")
    with wave.open(io.BytesIO(stream)) as header:
        parameters = header.getparams()
    mended = io.BytesIO()
    with wave.open(mended, "wb") as file:
        file.setnchannels(parameters.nchannels)
        file.setsampwidth(parameters.sampwidth)
        file.setframerate(parameters.framerate)
        file.writeframes(stream[start + 8 :])
    return mended.getvalue()


async def _run(command: Sequence[str], feed: bytes, timeout: float) -> bytes:
    """Standard output of a program, without a shell. Raises CannotSpeak; never leaves the program running."""
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    except OSError as problem:
        raise CannotSpeak(f"{command[0]} does not start: {problem}") from None
    try:
        async with asyncio.timeout(timeout):
            output, complaint = await process.communicate(feed)
    except TimeoutError:
        raise CannotSpeak(f"{command[0]} took longer than {timeout:g} s") from None
    finally:
        await _reap(process)
    if process.returncode:
        raise CannotSpeak(
            f"{command[0]} failed ({process.returncode}): {complaint.decode(errors='replace')[:200].strip()}"
        )
    return output


async def _reap(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
