"""Pulse: how a channel is doing, as the journal tells. Whoever folds the journal knows it, whichever process does the sending."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from gateway.model.journal import ACCEPTED, Statements
from gateway.model.receipt import Level
from gateway.model.time import Instant

STALLED_AFTER = 30_000
"""Milliseconds with work waiting and nothing handed over, or with much handed over and no receipt."""

SILENT_WINDOW = 300_000
SILENT_HANDOVERS = 50


@dataclass(slots=True)
class Pulse:
    """When a channel last handed something over, what it handed over lately, and when its last receipt came."""

    progress: Instant = 0
    heard_at: Instant = 0
    handed: deque[tuple[Instant, int]] = field(default_factory=deque)

    def take(self, statements: Statements) -> None:
        """Note the statements of one journal row."""
        at = int(statements["received_at"].max())
        handed = int(np.count_nonzero(statements["kind"] == ACCEPTED))
        if handed:
            self.progress = max(self.progress, at)
            self.handed.append((at, handed))
        if ((statements["level"] >= Level.DELIVERED) | (statements["level"] == Level.FAILED)).any():
            self.heard_at = max(self.heard_at, at)
        while self.handed and self.handed[0][0] <= at - SILENT_WINDOW:
            self.handed.popleft()

    def stuck(self, now: Instant, waiting_since: Instant | None) -> bool:
        """Work waits, and nothing has moved since."""
        return waiting_since is not None and now - max(self.progress, waiting_since) >= STALLED_AFTER

    def silent(self, now: Instant) -> bool:
        """50 hand-overs in five minutes since it last gave a receipt, the first of them 30 s ago (docs/architecture.md, words)."""
        unanswered = [(at, count) for at, count in self.handed if at > max(self.heard_at, now - SILENT_WINDOW)]
        if sum(count for _, count in unanswered) < SILENT_HANDOVERS:
            return False
        return now - unanswered[0][0] >= STALLED_AFTER
