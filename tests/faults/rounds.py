"""How long the fault suite takes: short in `make test`, long by `make faults` and `make soak` (FAULT_ROUNDS, FAULT_SEED)."""

from __future__ import annotations

import os
from collections.abc import Callable

Say = Callable[[str], None]
"""Prints a line of figures: the fixture `say`."""

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "12"))
"""Kills."""

LONG = ROUNDS > 12
SEED = int(os.environ.get("FAULT_SEED", "20260722"))


def either(short: float, long: float) -> float:
    """The figure for the form at hand."""
    return long if LONG else short


def rule_of_three(trials: int, what: str = "kill") -> str:
    """What none in so many trials shows, at 95 %."""
    return f"0 in {trials} shows fewer than {300 / trials:.1f} % per {what} (95 %)" if trials > 3 else f"0 in {trials}"
