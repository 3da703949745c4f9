"""Pages: what the works of one commit append to the journal, gathered into its one row."""

from __future__ import annotations

import numpy as np

from gateway.model.journal import Attempts, Statements


class Pages:
    """Journal blocks that the works of one commit have appended: they become one row."""

    def __init__(self) -> None:
        self._attempts: list[Attempts] = []
        self._statements: list[Statements] = []

    @property
    def empty(self) -> bool:
        """Whether nothing was appended."""
        return not self._attempts and not self._statements

    def append(self, attempts: Attempts | None, statements: Statements | None) -> None:
        """Add blocks; empty ones are left out."""
        if attempts is not None and len(attempts):
            self._attempts.append(attempts)
        if statements is not None and len(statements):
            self._statements.append(statements)

    def mark(self) -> tuple[int, int]:
        """A place to cut back to."""
        return len(self._attempts), len(self._statements)

    def cut(self, mark: tuple[int, int]) -> None:
        """Forget what was appended after `mark`: its work was rolled back."""
        del self._attempts[mark[0] :]
        del self._statements[mark[1] :]

    def blocks(self) -> dict[str, bytes | None]:
        """The two binary columns of the row."""
        return {
            "attempts": np.concatenate(self._attempts).tobytes() if self._attempts else None,
            "statements": np.concatenate(self._statements).tobytes() if self._statements else None,
        }
