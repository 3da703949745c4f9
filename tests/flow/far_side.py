"""A channel of the tests' own with its far side: it keeps what it was handed, and behaves as it is told.

What it took and what it truthfully said stay here over restarts of the gateway: this is the truth that the ledger is held against.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from gateway.channel import (
    Batch,
    ChannelConfig,
    Clock,
    Endpoint,
    Instant,
    Level,
    Reason,
    Receipt,
    Rejected,
    Report,
    Throttled,
    Traits,
    Unavailable,
)


class Taken(NamedTuple):
    """One message that the far side took."""

    key: str
    alert: str
    dispatch: str
    address: str
    ordinal: int
    far_id: str
    at: Instant
    text: str


@dataclass(slots=True)
class FarSide:
    """The operator behind a channel. `manner` says how the next sends go:

    answer; half (takes all, answers for every second); mute (takes all, answers for none); refuse (final failures); busy (asks for
    patience); gone (is not there); never (rejects the batch); bug (takes half, then raises what no channel should); hold (takes all
    and does not answer until told); stuck (takes nothing until told).
    """

    clock: Clock
    manner: str = "answer"
    taken: list[Taken] = field(default_factory=list)
    sends: list[Batch] = field(default_factory=list)
    said: dict[tuple[str, int], set[Level]] = field(default_factory=dict)
    watcher: Callable[[Batch], None] = lambda batch: None
    held: int = 0
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    refused: set[tuple[str, int]] = field(default_factory=set)
    ids: count[int] = field(default_factory=lambda: count(1))

    def take(self, batch: Batch, endpoints: Sequence[Endpoint]) -> dict[int, Taken]:
        """Keep messages; returns them by ordinal."""
        fresh = {
            one.ordinal: Taken(
                batch.key(one), batch.alert, batch.dispatch, one.address, one.ordinal, f"F{next(self.ids)}",
                self.clock.now(), batch.message.text,
            )
            for one in endpoints
        }  # fmt: skip
        self.taken += fresh.values()
        return fresh

    def say(self, message: Taken, level: Level, reason: Reason = Reason.NONE, *, by_key: bool = False) -> Receipt:
        """A true statement about a message, as a receipt that comes later."""
        self.said.setdefault((message.dispatch, message.ordinal), set()).add(level)
        far_id, key = ("", message.key) if by_key else (message.far_id, "")
        return Receipt(level, far_id=far_id, key=key, reason=reason, event_at=self.clock.now())

    def answers(self, messages: Sequence[Taken]) -> list[Receipt]:
        """What `send` answers for messages that were taken."""
        for message in messages:
            self.said.setdefault((message.dispatch, message.ordinal), set()).add(Level.ACCEPTED)
        return [Receipt(Level.ACCEPTED, message.ordinal, message.far_id) for message in messages]

    def times(self) -> Counter[str]:
        """How often each key was taken."""
        return Counter(message.key for message in self.taken)

    @property
    def duplicates(self) -> int:
        """Messages taken more than once."""
        return sum(times - 1 for times in self.times().values())

    @property
    def addresses(self) -> list[str]:
        """Who was called, sorted."""
        return sorted(message.address for message in self.taken)


class Line:
    """The channel: one send after another to its far side."""

    class Config(ChannelConfig):
        """No settings of its own."""

    def __init__(self, far: FarSide, traits: Traits) -> None:
        self.far, self.traits = far, traits
        self.report: Report | None = None

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        """See `gateway.channel.Channel`."""
        far, everyone = self.far, list(batch.endpoints)
        far.watcher(batch)
        far.sends.append(batch)
        match far.manner:
            case "busy":
                raise Throttled(0.0)
            case "gone":
                raise Unavailable("nobody there")
            case "never":
                raise Rejected("no such sender")
            case "refuse":
                far.refused |= {(batch.dispatch, one.ordinal) for one in everyone}
                return [Receipt(Level.FAILED, one.ordinal, reason=Reason.INVALID_ADDRESS) for one in everyone]
            case "bug":
                far.take(batch, everyone[::2])
                raise ZeroDivisionError
            case "stuck":
                await self._told_to_go()
        took = far.take(batch, everyone)
        match far.manner:
            case "mute":
                return []
            case "half":
                return far.answers([took[one.ordinal] for one in everyone[::2]])
            case "hold":
                await self._told_to_go()
        return far.answers(list(took.values()))

    async def _told_to_go(self) -> None:
        self.far.held += 1
        try:
            await self.far.let_go.wait()
        finally:
            self.far.held -= 1
