"""Projecting: how likely a message that is still pending arrives before a deadline.

Pure; serves `evaluate` and the loop that decides about reinforcement.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.model.coverage import Number


@dataclass(frozen=True, slots=True)
class Delay:
    """How a channel delivers: the share `success` that ever arrives, and of those the empirical distribution of delays.

    steps: (age in seconds, share arrived by that age), ages and shares rising; right-continuous, 0 before the first.
    """

    success: Number
    steps: Sequence[tuple[Number, Number]]

    def arrived_by(self, age: Number) -> Number:
        """Share of all messages arrived at this age."""
        found = bisect_right([at for at, _ in self.steps], age)
        return self.success * self.steps[found - 1][1] if found else self.success * 0


def conditional(delay: Delay, age_now: Number, age_deadline: Number) -> Number:
    """Probability that a message pending at age `age_now` arrives by `age_deadline`; 0 if all that can arrive has."""
    now, then = delay.arrived_by(age_now), delay.arrived_by(age_deadline)
    if now == 1 or then <= now:
        return now * 0
    return (then - now) / (1 - now)
