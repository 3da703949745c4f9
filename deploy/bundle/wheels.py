"""The wheels of a bundle: the lock narrowed to one target, and downloaded with the lock's own hashes. Called by `build`."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

OLDEST_GLIBC, NEWEST_GLIBC = 17, 28
"""manylinux_2_17 to manylinux_2_28: what runs with glibc 2.28 and later (Debian 10, openEuler 20.03, Kylin V10)."""


@dataclass(frozen=True, slots=True)
class Target:
    """A machine to install on: its processor (`x86_64`, `aarch64`) and its CPython (`3.11`)."""

    arch: str
    python: str

    @property
    def environment(self) -> dict[str, str]:
        """What markers of the lock ask about (PEP 508)."""
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": self.arch,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }

    @property
    def options(self) -> list[str]:
        """How pip is told to download for this target."""
        abi = f"cp{self.python.replace('.', '')}"
        systems = [f"manylinux_2_{minor}" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)] + ["manylinux2014"]
        words = ["--implementation", "cp", "--python-version", self.python]
        words += [word for each in (abi, "abi3", "none") for word in ("--abi", each)]
        return words + [word for system in systems for word in ("--platform", f"{system}_{self.arch}")]


def narrowed(lock: str, target: Target) -> str:
    """The lines of a hashed lock that `target` needs, markers resolved, hashes untouched.

    Not left to pip: it asks the markers about the machine it runs on, not about the one it downloads for.
    """
    return "".join(f"{pin} \\\n{hashes}" for pin, hashes in _pins(lock, target))


def _pins(lock: str, target: Target) -> Iterator[tuple[str, str]]:
    for head, hashes in re.findall(r"^(\S[^\n]*?) \\\n((?:[ ]+--hash=\S+(?: \\)?\n)+)", lock, re.MULTILINE):
        requirement = Requirement(head)
        if requirement.marker is None or requirement.marker.evaluate(target.environment):
            yield f"{requirement.name}{requirement.specifier}", hashes


def download(lock: str, target: Target, into: Path) -> None:
    """Fetch the wheels of `lock` for `target`. Raises CalledProcessError if one is missing or its hash is another."""
    with tempfile.TemporaryDirectory(prefix="tongluo-lock-") as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text(narrowed(lock, target), encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
        exact = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(into), "-r", str(wanted)]
        subprocess.run([*pip, *exact, *target.options], check=True)  # noqa: S603 - our own words
