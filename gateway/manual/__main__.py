"""`python -m gateway.manual [--check]`: write the generated pages, or say which of them are out of date."""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.manual.commands import commands_page
from gateway.manual.configuration import configuration_page
from gateway.manual.sample import commented

ROOT = Path(__file__).resolve().parents[2]


def pages() -> dict[Path, str]:
    """Every generated file with the content it should have."""
    config = ROOT / "config" / "tongluo.yaml"
    return {
        ROOT / "docs" / "configuration.md": configuration_page(ROOT / "docs"),
        ROOT / "docs" / "commands.md": commands_page(),
        config: commented(config.read_text(encoding="utf-8"), ROOT / "docs"),
    }


def stale() -> list[Path]:
    """The files whose content is not what it should be."""
    return [path for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def main() -> int:
    """Write what is stale, or with --check only name it."""
    check = "--check" in sys.argv[1:]
    texts = pages()
    old = stale()
    for path in old:
        if not check:
            path.write_text(texts[path], encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}: {'out of date, run `make docs`' if check else 'written'}\n")
    return 1 if check and old else 0


if __name__ == "__main__":
    raise SystemExit(main())
