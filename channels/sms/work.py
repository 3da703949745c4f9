"""What is to be sent and what became of it: one `Work` per `send` or `recall`, and the backlog from which connections draw.

A work writes its own PDUs in bulk and is told every answer by index, so that there is no task, future or queue entry per
recipient. It ends when every PDU is answered, missed, or was never sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol

from gateway.channel import Reason

FIRST_REST, LONGEST_REST = 0.2, 5.0
"""Seconds of rest after the first refusal for haste; it doubles up to the longest."""
PATIENCE = 3
"""Refusals for haste in a row after which waiting messages are handed back to the gateway."""

Answer = tuple[int, int, str]
"""Index of a PDU, the command_status of its answer, the message id in it."""


class Work(ABC):
    """A number of PDUs that go out in order; `await ended` returns when nothing more will be learnt."""

    def __init__(self, count: int) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count = count
        self._next = 0
        self._open = count
        if not count:
            self.ended.set_result(None)

    @property
    def started(self) -> bool:
        """Whether anything went on the wire."""
        return self._next > 0

    @property
    def waiting(self) -> bool:
        """Whether there is anything left to put on the wire."""
        return self._next < self._count

    def take(self, room: int) -> range:
        """The indexes of up to `room` PDUs that are about to be written."""
        first = self._next
        self._next = min(first + room, self._count)
        return range(first, self._next)

    @abstractmethod
    def pdus(self, indexes: range, sequence: int) -> list[bytes]:
        """The PDUs of these indexes, with sequence numbers from `sequence` on."""

    def answered(self, answers: Sequence[Answer]) -> None:
        """The centre answered these PDUs."""
        self._keep(answers)
        self._close(len(answers))

    def missed(self, index: int) -> None:
        """Nobody knows what became of PDU `index`."""
        self._lose(index)
        self._close(1)

    def give_back(self, reason: Reason) -> None:
        """What was not yet written will not be."""
        left = range(self._next, self._count)
        self._next = self._count
        self._refund(left, reason)
        self._close(len(left))

    def _close(self, count: int) -> None:
        self._open -= count
        if not self._open and not self.ended.done():
            self.ended.set_result(None)

    @abstractmethod
    def _keep(self, answers: Sequence[Answer]) -> None:
        """Note what the centre answered."""

    @abstractmethod
    def _lose(self, index: int) -> None:
        """Note that the answer to PDU `index` is lost."""

    @abstractmethod
    def _refund(self, indexes: range, reason: Reason) -> None:
        """Note that these PDUs were certainly not sent."""


class Pace:
    """How hastily we may go on after the centre asked for patience: rest, then one message, then the whole window."""

    def __init__(self) -> None:
        self._step = 0
        self.until = 0.0

    def room(self, now: float, room: int, outstanding: int) -> int:
        """How many messages may be written now, of the `room` there is in the window."""
        if now < self.until:
            return 0
        return room if not self._step else min(room, 1 if not outstanding else 0)

    def refused(self, now: float) -> bool:
        """The centre asked for patience. Returns whether it did so too often to go on waiting for it."""
        if now >= self.until:
            self._step += 1
            rest = min(FIRST_REST * 2 ** (self._step - 1), LONGEST_REST)
            self.until = now + rest * random.uniform(0.75, 1.0)
        return self._step >= PATIENCE

    def accepted(self) -> None:
        """The centre took something."""
        self._step = 0

    def left(self, now: float) -> float:
        """Seconds of rest that are left."""
        return max(0.0, self.until - now)


class Line(Protocol):
    """A bound connection, as the backlog knows it."""

    def fill(self) -> None:
        """Draw work from the backlog while there is room."""
        ...


class Backlog:
    """The works that wait for room in a window, first come first served, and the connections that draw from them."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.pace = Pace()
        self._works: deque[Work] = deque()

    def put(self, work: Work, first: bool = False) -> None:
        """Queue a work and let the connections draw from it."""
        if work.waiting:
            (self._works.appendleft if first else self._works.append)(work)
        for line in self.lines:
            line.fill()

    def drop(self, work: Work) -> None:
        """Nobody waits for this work any more: nothing more of it is written."""
        with contextlib.suppress(ValueError):
            self._works.remove(work)
        work.give_back(Reason.UNKNOWN)

    def take(self, room: int) -> Iterator[tuple[Work, range]]:
        """Up to `room` PDUs to be written now."""
        while room and self._works:
            work = self._works[0]
            indexes = work.take(room)
            if not work.waiting:
                self._works.popleft()
            if indexes:
                room -= len(indexes)
                yield work, indexes

    def join(self, line: Line) -> None:
        """A connection is bound."""
        self.lines.append(line)
        line.fill()

    def leave(self, line: Line) -> None:
        """A connection is gone; with the last one, what waits goes back to the gateway."""
        if line in self.lines:
            self.lines.remove(line)
        if not self.lines:
            self.give_back(Reason.UNAVAILABLE)

    def give_back(self, reason: Reason) -> None:
        """Nothing that waits will be written."""
        while self._works:
            self._works.popleft().give_back(reason)
