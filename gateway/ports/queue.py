"""How work reaches the channels. Truth lives in the store; the queue is transport."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from gateway.ports.store import BatchRow


@dataclass(frozen=True, slots=True)
class QueueState:
    """How the queue is: `up` = it takes and gives; `blocked` = its broker takes nothing for now; `detail` for people."""

    up: bool
    blocked: bool = False
    detail: str = ""


class Queue(Protocol):
    """Batches of one channel, the most urgent first."""

    async def take(self, channel: str) -> BatchRow:
        """Wait for the next batch of `channel` that is due, as the store has it now; nobody else of this process gets it until it
        is `done`. Safe to cancel."""
        ...

    def done(self, row: BatchRow) -> None:
        """The batch is out of hand: closed, put back, or left as it was after a fault of our own."""
        ...

    def wake(self, channels: Iterable[str] | None = None) -> None:
        """Say that work may have appeared for these channels (None = all)."""
        ...

    @property
    def state(self) -> QueueState: ...
