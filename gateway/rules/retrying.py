"""When to try again, and when to leave a far side in peace: back-off with full jitter, and a circuit breaker.

`delivery` calls both. Pure: the clock and the dice are handed in; a `Breaker` is a value and every step gives the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import NamedTuple

from gateway.errors import Rejected, Throttled, Unavailable
from gateway.model.dispatch import WorkState
from gateway.model.receipt import TEMPORARY, Reason
from gateway.model.time import Instant


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in ms: 0 to `base` after the first attempt, the upper end doubling up to `cap` (full jitter)."""

    base: int = 1_000
    cap: int = 60_000

    def delay(self, attempt: int, rng: Random) -> int:
        """A delay after attempt number `attempt` (from 1)."""
        return int(rng.uniform(0, min(self.cap, self.base * 2 ** min(max(attempt, 1) - 1, 32))))


FAULT = Backoff()
"""After what may be our own fault or an unknown outcome."""
OUTAGE = Backoff(cap=8_000)
"""After a far side that is not there: the breaker keeps it in peace, so that batches are back within 10 s of its return."""


class Next(NamedTuple):
    """`state` PENDING: due at `due`. EXPIRED: it would be due after the expiry. DEAD: to the dead letters."""

    state: WorkState
    due: Instant | None = None


def next_attempt(
    attempt: int, failure: BaseException | Reason, *, attempts: int, now: Instant, rng: Random, expires_at: Instant
) -> Next:
    """What follows attempt number `attempt` (from 1) that ended in `failure`: an exception of `send` or a receipt's reason.

    An outage ends with the expiry only, never in the dead letters: `attempts` counts what may be the message's own fault. A
    `Throttled` far side is asked again after the time it named.
    """
    if not temporary(failure):
        return Next(WorkState.DEAD)
    if not outage(failure) and attempt >= attempts:
        return Next(WorkState.DEAD)
    due = now + _asked(failure) + (OUTAGE if outage(failure) else FAULT).delay(attempt, rng)
    return Next(WorkState.PENDING, due) if due < expires_at else Next(WorkState.EXPIRED)


def temporary(failure: BaseException | Reason) -> bool:
    """Whether trying again may help. An exception that no channel should raise is a bug, and treated as passing."""
    return failure in TEMPORARY if isinstance(failure, Reason) else not isinstance(failure, Rejected)


def outage(failure: BaseException | Reason) -> bool:
    """Whether the far side was not there or asked for patience, so that the message itself is not to blame."""
    return (
        failure in (Reason.UNAVAILABLE, Reason.THROTTLED)
        if isinstance(failure, Reason)
        else isinstance(failure, Unavailable)
    )


def _asked(failure: BaseException | Reason) -> int:
    return int(max(failure.after, 0) * 1000) if isinstance(failure, Throttled) else 0


@dataclass(frozen=True, slots=True)
class Breaker:
    """The circuit breaker of one channel. While open, one probe per `probe_every` ms leaves; one success closes it.

    failures: outages in a row; threshold: how many of them open it; opened: since when it is open; probed: when the last probe
    left; probing: its answer may still come; quiet_until: before that nothing leaves, because the far side asked so.
    """

    threshold: int = 5
    probe_every: int = 1_000
    failures: int = 0
    opened: Instant | None = None
    probed: Instant | None = None
    probing: bool = False
    quiet_until: Instant = 0

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        if self.opened is None:
            return "closed"
        return "half-open" if self.probing else "open"

    def due(self, now: Instant) -> Instant:
        """When the next send may leave: `now`, or later. A probe that never answers does not keep the next one back."""
        last = self.opened if self.probed is None else self.probed
        after_probe = 0 if last is None else last + self.probe_every
        return max(now, self.quiet_until, after_probe)

    def allows(self, now: Instant) -> bool:
        """Whether a send may leave at `now`; call `sending` if it does."""
        return self.due(now) <= now

    def sending(self, now: Instant) -> Breaker:
        """A send leaves: while open it is the probe."""
        return self if self.opened is None else replace(self, probed=now, probing=True)

    def succeeded(self) -> Breaker:
        """The far side answered, be it with refusals: it is there."""
        return Breaker(self.threshold, self.probe_every)

    def failed(self, now: Instant) -> Breaker:
        """The far side was not there."""
        failures = self.failures + 1
        opened = now if self.opened is None and failures >= self.threshold else self.opened
        return replace(self, failures=failures, opened=opened, probing=False)

    def throttled(self, now: Instant, after: float) -> Breaker:
        """The far side is there and asks for `after` seconds of patience."""
        return replace(self.succeeded(), quiet_until=now + int(max(after, 0) * 1000))
