"""Reads the operator's templates from a folder into what `rules.rendering.Templates` takes. The app calls it at start."""

from __future__ import annotations

from pathlib import Path

from gateway.errors import ConfigError

SUFFIX = ".txt.j2"


def read_templates(folder: Path) -> dict[str, str]:
    """`format/language/what.txt.j2` -> source. Raises ConfigError if the folder is missing, empty or not UTF-8."""
    if not folder.is_dir():
        raise ConfigError(
            str(folder), "模板文件夹不存在 (no such templates folder).", "Set rendering.templates or restore it."
        )
    sources = {path.relative_to(folder).as_posix(): _read(path) for path in sorted(folder.rglob("*" + SUFFIX))}
    if not sources:
        raise ConfigError(str(folder), "模板文件夹里没有模板 (no *.txt.j2 in it).", "Restore the templates that ship.")
    return sources


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(str(path), f"模板读不出来 (unreadable: {fault}).", "Save it as UTF-8.") from fault
