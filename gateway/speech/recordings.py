"""Recorded voices for set texts: a folder of pairs, `NAME.txt` with the words and `NAME.wav` with somebody saying them."""

from __future__ import annotations

from pathlib import Path

LARGEST = 64 * 1024 * 1024


class Recordings:
    """What `folder` held when it was read."""

    def __init__(self, folder: Path | None) -> None:
        self._sounds = dict(_pairs(folder)) if folder else {}

    def __len__(self) -> int:
        return len(self._sounds)

    def of(self, text: str) -> bytes | None:
        """The recording of exactly these words (white space does not count), read from disk now."""
        path = self._sounds.get(words(text))
        if path is None or path.stat().st_size > LARGEST:
            return None
        return path.read_bytes()


def words(text: str) -> str:
    """The text without any white space: what two spellings of one sentence share."""
    return "".join(text.split())


def _pairs(folder: Path) -> list[tuple[str, Path]]:
    texts = sorted(folder.glob("*.txt"))
    return [(words(path.read_text(encoding="utf-8-sig")), path.with_suffix(".wav")) for path in texts if _spoken(path)]


def _spoken(text_file: Path) -> bool:
    return text_file.with_suffix(".wav").is_file()
