"""`python -m deploy.bundle [--into DIR] [--target ARCH:PYTHON]...`: build the bundle and say where it is."""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy.bundle.build import TARGETS, build
from deploy.bundle.wheels import Target


def target(words: str) -> Target:
    """`aarch64:3.11` as a target."""
    arch, _, python = words.partition(":")
    return Target(arch, python)


def main() -> None:
    """Read the command line, build, print the path and the size."""
    parser = argparse.ArgumentParser(prog="python -m deploy.bundle", description=__doc__)
    parser.add_argument("--into", type=Path, default=Path("dist"))
    parser.add_argument("--target", type=target, action="append", help="e.g. aarch64:3.11; default: all")
    asked = parser.parse_args()
    path = build(asked.into, asked.target or TARGETS)
    print(f"{path}  {path.stat().st_size / 1e6:.0f} MB")  # noqa: T201


if __name__ == "__main__":
    main()
