"""The messages of one channel that are here and not acknowledged: those that wait, the most urgent on top, and those
in a hand.

The broker gives each class its own queue and its own prefetch; the order between the classes is made here. Of one
batch there is never more than one message: a later one takes the place of an earlier one, which may come from a
connection that is gone.
"""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass

from aio_pika.abc import AbstractIncomingMessage

from gateway.model.dispatch import Priority
from gateway.queue.notes import Note


@dataclass(slots=True)
class Held:
    """A message that is here since `since` (seconds of the loop's clock), waiting or in a hand."""

    note: Note
    message: AbstractIncomingMessage
    since: float
    in_hand: bool = False

    @property
    def rank(self) -> tuple[int, int, int]:
        """Class, then expiry, then age."""
        return self.note.priority, self.note.expires_at, self.note.batch


class Pile:
    """See the top of the file. What `put` and `done` give back is for the caller to acknowledge."""

    def __init__(self) -> None:
        self._held: dict[int, Held] = {}
        self._ranks: list[tuple[int, int, int]] = []
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._held)

    def put(self, new: Held) -> Held | None:
        """Take a message in. Returns the one whose place it took, if there was one of the same batch."""
        old = self._held.get(new.note.batch)
        self._held[new.note.batch] = new
        if old is None:
            self._push(new)
        else:  # of one batch, so of one rank
            new.in_hand = old.in_hand
        return old

    async def pop(self) -> Held:
        """Wait for the most urgent one that waits; it is in a hand then. Safe to cancel."""
        while True:
            if self._ranks:
                held = self._held[heapq.heappop(self._ranks)[-1]]
                held.in_hand = True
                return held
            self._filled.clear()
            await self._filled.wait()

    def lay_back(self, batch: int) -> None:
        """The hand has not looked at it: it waits again."""
        held = self._held.get(batch)
        if held is not None and held.in_hand:
            held.in_hand = False
            self._push(held)

    def done(self, batch: int) -> Held | None:
        """It is not here any more. Returns the message as it came last."""
        held = self._held.pop(batch, None)
        if held is not None and not held.in_hand:
            self._ranks.remove(held.rank)
            heapq.heapify(self._ranks)
        return held

    def forget(self, priority: Priority) -> None:
        """The subscription that brought those of a class is gone, and what waits will come again by another."""
        gone = [n for n, held in self._held.items() if held.note.priority is priority and not held.in_hand]
        for batch in gone:
            del self._held[batch]
        self._ranks = [rank for rank in self._ranks if rank[-1] in self._held]
        heapq.heapify(self._ranks)

    def since(self, before: float, priority: Priority) -> list[Held]:
        """Those of a class that have been here since before then."""
        return [held for held in self._held.values() if held.since < before and held.note.priority is priority]

    def _push(self, held: Held) -> None:
        heapq.heappush(self._ranks, held.rank)
        self._filled.set()
