"""In which order endpoints become batches of at most 500: by class, then expiry, every channel in its turn.

`fanout` draws from `batches` in steps and, after a crash, goes on from where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.model.dispatch import Priority
from gateway.model.time import Instant

MAX_BATCH = 500


@dataclass(frozen=True, slots=True)
class Stretch:
    """`count` endpoints of one channel and variant, standing together in a roster from ordinal `first`."""

    channel: int
    variant: int
    first: int
    count: int
    priority: Priority
    expires_at: Instant
    max_batch: int = MAX_BATCH


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """One batch to be: `count` endpoints from ordinal `first`, all of one channel and variant."""

    channel: int
    variant: int
    first: int
    count: int
    priority: Priority
    expires_at: Instant


@dataclass(slots=True)
class _Cursor:
    stretch: Stretch
    done: int = 0

    def take(self) -> BatchPlan:
        stretch, first = self.stretch, self.stretch.first + self.done
        count = min(max(min(stretch.max_batch, MAX_BATCH), 1), stretch.count - self.done)
        self.done += count
        return BatchPlan(stretch.channel, stretch.variant, first, count, stretch.priority, stretch.expires_at)


def batches(stretches: Sequence[Stretch], planned_to: int = 0) -> Iterator[BatchPlan]:
    """All batches by class, then expiry; within these one of each stretch in turn, so that no channel waits for another's.

    The order depends on `stretches` alone: planning that was interrupted after `planned_to` batches goes on from there.
    """
    made = 0
    for group in _groups(stretches):
        waiting = [_Cursor(stretch) for stretch in group]
        while waiting:
            for cursor in waiting:
                plan = cursor.take()
                made += 1
                if made > planned_to:
                    yield plan
            waiting = [cursor for cursor in waiting if cursor.done < cursor.stretch.count]


def _groups(stretches: Sequence[Stretch]) -> Iterator[list[Stretch]]:
    """Stretches of the same class and expiry together, the most urgent first; empty ones left out."""
    grouped: dict[tuple[Priority, Instant], list[Stretch]] = {}
    for stretch in stretches:
        if stretch.count > 0:
            grouped.setdefault((stretch.priority, stretch.expires_at), []).append(stretch)
    return (grouped[key] for key in sorted(grouped))
