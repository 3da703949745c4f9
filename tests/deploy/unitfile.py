"""Reads systemd units as far as ours go: `deploy_*` tests and the stand-in `systemctl` of isolated.py use it."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

Unit = Mapping[str, Mapping[str, list[str]]]


def read_unit(path: Path) -> Unit:
    """Section -> setting -> its values, in order (systemd.syntax(7): a setting may be repeated)."""
    unit: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            unit[section][name].append(value)
    return unit


def environment(unit: Unit, instance: str = "", moved: Mapping[str, str] | None = None) -> dict[str, str]:
    """What systemd would give the unit: its Environment and the lines of its files; `moved` = path in the unit -> path here.

    Raises FileNotFoundError for a file that is not marked with `-` and is not there.
    """
    given = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    for words in unit["Service"].get("Environment", []):
        given |= dict(word.split("=", 1) for word in shlex.split(words))
    for name in unit["Service"].get("EnvironmentFile", []):
        path = Path(relocated(name.removeprefix("-").replace("%i", instance), moved or {}))
        if path.exists() or not name.startswith("-"):
            lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
            given |= dict(line.split("=", 1) for line in lines)
    return given


def command(
    unit: Unit, given: Mapping[str, str], instance: str = "", moved: Mapping[str, str] | None = None
) -> list[str]:
    """The words of ExecStart, with `%i` and `${NAME}` filled in."""
    words = shlex.split(unit["Service"]["ExecStart"][0].replace("%i", instance))
    for name, value in given.items():
        words = [word.replace(f"${{{name}}}", value) for word in words]
    return [relocated(word, moved or {}) for word in words]


def relocated(path: str, moved: Mapping[str, str]) -> str:
    """`path` with its beginning replaced as `moved` says."""
    for there, here in moved.items():
        if path == there or path.startswith(there + "/"):
            return here + path[len(there) :]
    return path
