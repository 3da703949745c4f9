"""Systems that post without end, and repeat 429, 503, time-outs and broken connections with the same bytes: docs/api.md's rule."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Protocol

import aiohttp
from checker import Evidence
from letters import HAMLET, Letter, now

REDS = 0.01
"""Share of the warnings that are red."""

AGAIN = (429, 503)


class Gateways(Protocol):
    """Where to post: whatever is up, none for the moment."""

    key: str

    @property
    def doors(self) -> Sequence[str]: ...


@dataclass(slots=True)
class Clients:
    """`people`: addresses by village. `evidence` is what they know; `waits` what each answer for good took since its first try."""

    gateways: Gateways
    chance: Random
    people: Mapping[str, frozenset[str]] = field(default_factory=lambda: HAMLET)
    pause: float = 0.01
    evidence: Evidence = field(default_factory=Evidence)
    statuses: Counter[int] = field(default_factory=Counter)
    answers: list[tuple[float, float, int]] = field(default_factory=list)
    posting: bool = True
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    def begin(self, clients: int) -> None:
        """So many of them begin to post; the first also cancels what it posted."""
        self.tasks = [asyncio.create_task(self.run(cancels=number == 0)) for number in range(clients)]

    def letter(self, region: str, grade: str = "orange", minutes: int = 24 * 60) -> Letter:
        """A new warning for a village."""
        letter = Letter(f"A-{next(self.numbers)}", now(), region, grade=grade, minutes=minutes)
        self.evidence.wanted[letter.identifier] = self.people[region]
        return letter

    def cancel_of(self, letter: Letter) -> Letter:
        """The Cancel of a warning, for the same people."""
        cancel = Letter(f"C-{next(self.numbers)}", now(), letter.region, letter)
        self.evidence.wanted[cancel.identifier] = self.people[letter.region]
        self.evidence.cancelled[letter.identifier] = cancel.identifier
        return cancel

    async def answered(self, more: int, patience: float = 10) -> None:
        """Wait until so many more messages have been answered, but not for ever."""
        goal = len(self.evidence.acked) + more
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while len(self.evidence.acked) < goal:
                    await asyncio.sleep(0.005)

    async def run(self, cancels: bool) -> None:
        """One client. It ends when nobody posts any more and all of its own is answered."""
        async with session() as http:
            while self.posting:
                grade = "red" if self.chance.random() < REDS else self.chance.choice(["orange", "blue"])
                letter = self.letter(self.chance.choice(list(HAMLET)), grade)
                await self.insist(http, letter)
                if cancels:
                    await self.insist(http, self.cancel_of(letter))
                await asyncio.sleep(self.pause)

    async def insist(self, http: aiohttp.ClientSession, letter: Letter) -> float:
        """Post until it is answered for good; returns the seconds from the first try on."""
        raw, began = letter.raw, time.monotonic()
        while not await self.post(http, letter.identifier, raw):
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def post(self, http: aiohttp.ClientSession, identifier: str, raw: bytes) -> bool:
        """Post once, at any door; whether it was answered for good."""
        doors, began = self.gateways.doors, time.monotonic()
        if not doors:
            return False
        headers = {"Authorization": f"Bearer {self.gateways.key}", "Content-Type": "application/cap+xml"}
        try:
            async with http.post(f"{self.chance.choice(doors)}/api/v1/alerts", data=raw, headers=headers) as answer:
                body = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
        self.statuses[answer.status] += 1
        self.answers.append((began, time.monotonic() - began, answer.status))
        if answer.status in AGAIN:
            assert answer.headers["Retry-After"]
            return False
        assert answer.status in (200, 202), body
        self.evidence.acked.setdefault(identifier, set()).add(body["id"])
        return True

    async def everything_answered(self, patience: float) -> None:
        """Nobody posts any more: wait until all is answered. Raises what befell a client."""
        self.posting = False
        async with asyncio.timeout(patience):
            await asyncio.gather(*self.tasks)

    def slowest(self, since: float) -> tuple[float, float, int]:
        """Of the answers to what was posted since then: median and 99th percentile of their seconds, and how many."""
        took = sorted(seconds for began, seconds, _ in self.answers if began >= since) or [0.0]
        return took[len(took) // 2], took[int(len(took) * 0.99)], len(took)


def session() -> aiohttp.ClientSession:
    """A client's HTTP session."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))
