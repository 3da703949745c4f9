"""The course of one `send`: what has become of each endpoint so far, and whether it makes sense to go on.

Workers of the channel take endpoints from `todo` and enter a verdict for each. A far side that is down, that asks for
patience or that refuses our credentials ends the course; whoever was not asked by then is said to be so, truthfully.
"""

from __future__ import annotations

from collections.abc import Sequence

from channels.webhook.answer import PASSING, Verdict
from gateway.channel import (
    ChannelError,
    Endpoint,
    Level,
    Misconfigured,
    Reason,
    Receipt,
    Throttled,
    Unavailable,
)

PATIENCE_WITH_FAULTS = 8
"""Passing faults in a row, before anything was taken, that make the whole far side count as unavailable."""


class Course:
    """`shared` = all endpoints are asked at one URL, so that what it says of itself holds for all of them."""

    def __init__(self, endpoints: Sequence[Endpoint], taken: Level, *, shared: bool) -> None:
        self.todo = iter(endpoints)
        self.halted: ChannelError | None = None
        self._endpoints, self._taken, self._shared = endpoints, taken, shared
        self._receipts: list[Receipt] = []
        self._asked: set[int] = set()
        self._settled = False
        self._faults = 0

    def unknown(self, endpoint: Endpoint) -> None:
        """The request may have been taken; nobody can tell. No receipt: it will be tried again under the same key."""
        self._asked.add(endpoint.ordinal)
        self._settled = True

    def enter(self, endpoint: Endpoint, verdict: Verdict) -> None:
        """What the far side said about `endpoint`."""
        self._asked.add(endpoint.ordinal)
        if verdict.reason is Reason.NONE:
            self._settled = True
            self._receipts.append(Receipt(self._taken, endpoint.ordinal, verdict.far_id))
            return
        self._receipts.append(Receipt(Level.FAILED, endpoint.ordinal, reason=verdict.reason))
        if self._shared:
            self._consider(verdict)

    def halt(self, error: ChannelError) -> None:
        """Stop asking; the first cause counts."""
        self.halted = self.halted or error

    def close(self) -> list[Receipt]:
        """One receipt per endpoint whose outcome is known. Raises what halted the course if nothing was settled."""
        if self.halted and not self._settled:
            raise self.halted
        reason = _reason_of(self.halted)
        left = [endpoint.ordinal for endpoint in self._endpoints if endpoint.ordinal not in self._asked]
        return self._receipts + [Receipt(Level.FAILED, ordinal, reason=reason) for ordinal in left]

    def _consider(self, verdict: Verdict) -> None:
        if verdict.reason is Reason.THROTTLED:
            self.halt(Throttled(verdict.after or 1.0, verdict.detail))
        elif verdict.reason is Reason.MISCONFIGURED:
            self.halt(Misconfigured(verdict.detail))
        elif verdict.reason in PASSING:
            self._faults += 1
            if self._faults >= min(PATIENCE_WITH_FAULTS, len(self._endpoints)) and not self._settled:
                self.halt(Unavailable(verdict.detail))
        else:
            self._settled = True


def _reason_of(error: ChannelError | None) -> Reason:
    if isinstance(error, Throttled):
        return Reason.THROTTLED
    if isinstance(error, Misconfigured):
        return Reason.MISCONFIGURED
    return Reason.UNAVAILABLE if error else Reason.TIMEOUT
