"""The folder of sound files: `<sha256 of the file>.wav`, and beside them which text became which file. Called in threads.

The web serves the files by their hash (`/api/v1/media/{sha256}.wav`); a signed instruction carries the hash, so a device
plays these bytes and no others. Files that were not asked for in `keep_days` are removed when a new one comes.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import time
import wave
from pathlib import Path

from gateway.model.dispatch import Audio
from gateway.speech.port import CannotSpeak


class Media:
    """Sound files in `folder`. `url` is what devices put before `/<sha256>.wav`; set it when the port is known."""

    def __init__(self, folder: Path, url: str, keep_days: float = 30.0) -> None:
        self.folder, self.url = folder, url
        self._keep = keep_days * 86_400

    def find(self, name: str) -> Audio | None:
        """The file that was stored under `name` (64 hexadecimal digits), None if there is none any more."""
        try:
            sha256 = self._pointer(name).read_text(encoding="ascii").strip()
            path = self._file(sha256)
            seconds = duration(path.read_bytes())
        except (OSError, UnicodeDecodeError, CannotSpeak):
            return None
        for used in (path, self._pointer(name)):
            os.utime(used)
        return self._audio(sha256, seconds)

    def store(self, name: str, sound: bytes) -> Audio:
        """Keep a RIFF WAVE file under `name`. Raises CannotSpeak if it is none, OSError if it cannot be written."""
        seconds, sha256 = duration(sound), hashlib.sha256(sound).hexdigest()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        self._write(self._file(sha256), sound)
        self._write(self._pointer(name), sha256.encode())
        return self._audio(sha256, seconds)

    def _audio(self, sha256: str, seconds: float) -> Audio:
        return Audio(str(self._file(sha256)), f"{self.url.rstrip('/')}/{sha256}.wav", sha256, seconds)

    def _file(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.wav"

    def _pointer(self, name: str) -> Path:
        return self.folder / f"{name}.text"

    def _write(self, path: Path, content: bytes) -> None:
        """Whole or not at all, also for a reader that comes now."""
        handle, fresh = tempfile.mkstemp(dir=self.folder)
        try:
            with open(handle, "wb") as file:
                file.write(content)
            os.chmod(fresh, 0o644)
            os.replace(fresh, path)
        except OSError:
            Path(fresh).unlink(missing_ok=True)
            raise

    def _sweep(self) -> None:
        before = time.time() - self._keep
        for path in self.folder.iterdir():
            if path.suffix in (".wav", ".text") and path.stat().st_mtime < before:
                path.unlink(missing_ok=True)


def duration(sound: bytes) -> float:
    """Seconds of a RIFF WAVE file with PCM samples. Raises CannotSpeak for anything else, and for silence of no length."""
    try:
        with wave.open(io.BytesIO(sound)) as file:
            seconds = float(file.getnframes() / file.getframerate())
    except (wave.Error, EOFError, ZeroDivisionError) as problem:
        raise CannotSpeak(f"not a WAV file with PCM samples: {problem}") from None
    if seconds <= 0:
        raise CannotSpeak("a WAV file without a single sample")
    return seconds
