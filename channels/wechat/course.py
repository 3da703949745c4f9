"""The course of one `send`: what has become of each follower so far, and whether it makes sense to go on.

Workers take followers from `todo`. What concerns everybody ends the course; whoever was not written to by then is said to be
so, for another attempt.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.channel import ChannelError, Endpoint, Level, Misconfigured, Reason, Receipt, Rejected, Throttled


class Course:
    """Receipts so far, and what halted the course."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self.todo = iter(endpoints)
        self.halted: ChannelError | None = None
        self._endpoints = endpoints
        self._receipts: list[Receipt] = []
        self._settled: set[int] = set()

    def accepted(self, endpoint: Endpoint, far_id: str) -> None:
        """The platform took the message."""
        self._enter(Receipt(Level.ACCEPTED, endpoint.ordinal, far_id))

    def failed(self, endpoint: Endpoint, reason: Reason) -> None:
        """The platform refused this follower."""
        self._enter(Receipt(Level.FAILED, endpoint.ordinal, reason=reason))

    def unknown(self, endpoint: Endpoint) -> None:
        """The message may have been taken; nobody can tell. No receipt: it will be tried again under the same key."""
        self._settled.add(endpoint.ordinal)

    def halt(self, error: ChannelError) -> None:
        """Stop writing; the first cause counts. The follower at hand was not taken and stays unsettled."""
        self.halted = self.halted or error

    def close(self) -> list[Receipt]:
        """One receipt per follower whose outcome is known. Raises what halted the course if none was settled."""
        if self.halted and not self._settled:
            raise self.halted
        reason = _reason_of(self.halted)
        left = [endpoint.ordinal for endpoint in self._endpoints if endpoint.ordinal not in self._settled]
        return self._receipts + [Receipt(Level.FAILED, ordinal, reason=reason) for ordinal in left]

    def _enter(self, receipt: Receipt) -> None:
        self._settled.add(receipt.endpoint)
        self._receipts.append(receipt)


def _reason_of(error: ChannelError | None) -> Reason:
    if isinstance(error, Throttled):
        return Reason.THROTTLED
    if isinstance(error, Misconfigured):
        return Reason.MISCONFIGURED
    if isinstance(error, Rejected):
        return Reason.REJECTED
    return Reason.UNAVAILABLE if error else Reason.TIMEOUT
