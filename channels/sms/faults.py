"""The faults of the simulated centre: from `throttle,slow=0.5` to plain values. Wrong words are refused, not ignored."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong now; see `simulator.py` for what each means. Shares are 0 to 1, 0 = does not happen."""

    throttle: float = 0.0
    silent: float = 0.0
    slow: float = 0.0
    refuse: float = 0.0
    drop: float = 0.0
    blackhole: float = 0.0
    early: float = 0.0
    double: float = 0.0
    hexdec: float = 0.0
    lose: float = 0.0
    unordered: float = 0.0


NAMES = tuple(field.name for field in fields(Faults))


def read_faults(text: str) -> Faults:
    """The faults named in `text`; a name without a value counts 1. Raises ValueError for words that are none."""
    chosen: dict[str, Any] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = word.partition("=")
        if name not in NAMES:
            raise ValueError(f"unknown fault {name!r}; known are {', '.join(NAMES)}")
        chosen[name] = float(value or 1)
    return replace(Faults(), **chosen)
