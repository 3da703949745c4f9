"""Which endpoint a far side's id belongs to. Both sides may come first, from any connection, before or after a restart:
everything is kept as sorted columns and joined when the other half appears.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gateway.model.journal import ACCEPTED, STATEMENT, Statements
from gateway.model.time import Instant


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Bindings sorted by far id."""

    far: NDArray[np.uint64]
    dispatch: NDArray[np.int32]
    ordinal: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.far)

    def merged(self, other: Run) -> Run:
        """Both as one run."""
        far = np.concatenate((self.far, other.far))
        order = np.argsort(far, kind="stable")
        dispatch = np.concatenate((self.dispatch, other.dispatch))[order]
        return Run(far[order], dispatch, np.concatenate((self.ordinal, other.ordinal))[order])


@dataclass(slots=True)
class Correlation:
    """The far-id index, and the receipts that still wait for their id. A fold of the journal."""

    runs: list[Run] = field(default_factory=list)
    waiting: Statements = field(default_factory=lambda: np.zeros(0, STATEMENT))

    def join(self, statements: Statements) -> Statements:
        """Take a block in; return every statement, old or new, that is now known by dispatch and ordinal."""
        known = statements["ordinal"] >= 0
        self._bind(statements[(statements["kind"] == ACCEPTED) & (statements["far"] != 0)])
        named_by_id = statements[~known & (statements["far"] != 0)]
        pending = np.concatenate((self.waiting, named_by_id)) if len(named_by_id) else self.waiting
        if not len(pending):
            return statements[known]
        found = self._resolve(pending)
        self.waiting = pending[~found]
        return np.concatenate((statements[known], pending[found]))

    def snapshot(self) -> bytes:
        """All of it, for `restore`."""
        whole = Run(np.zeros(0, np.uint64), np.zeros(0, np.int32), np.zeros(0, np.int32))
        for run in self.runs:
            whole = whole.merged(run)
        buffer = io.BytesIO()
        np.savez(buffer, far=whole.far, dispatch=whole.dispatch, ordinal=whole.ordinal, waiting=self.waiting)
        return buffer.getvalue()

    @classmethod
    def restore(cls, saved: bytes) -> Correlation:
        """What `snapshot` gave."""
        with np.load(io.BytesIO(saved), allow_pickle=False) as kept:
            run = Run(kept["far"], kept["dispatch"], kept["ordinal"])
            return cls([run] if len(run) else [], kept["waiting"])

    def forget(self, before: Instant) -> Statements:
        """Give up receipts that came before `before` and were never matched; returns them."""
        old = self.waiting["received_at"] < before
        given_up: Statements = self.waiting[old]
        self.waiting = self.waiting[~old]
        return given_up

    def _bind(self, accepted: Statements) -> None:
        if not len(accepted):
            return
        order = np.argsort(accepted["far"], kind="stable")
        run = Run(accepted["far"][order], accepted["dispatch"][order], accepted["ordinal"][order])
        while self.runs and len(self.runs[-1]) <= 2 * len(run):
            run = self.runs.pop().merged(run)
        self.runs.append(run)

    def _resolve(self, pending: Statements) -> NDArray[np.bool_]:
        """Write dispatch and ordinal into the rows of `pending` whose id is known; say which. The newest to bear an id has it."""
        found = np.zeros(len(pending), np.bool_)
        for run in reversed(self.runs):
            place = np.maximum(np.searchsorted(run.far, pending["far"], side="right") - 1, 0)
            hit = (run.far[place] == pending["far"]) & ~found
            pending["dispatch"][hit] = run.dispatch[place[hit]]
            pending["ordinal"][hit] = run.ordinal[place[hit]]
            found |= hit
        return found
