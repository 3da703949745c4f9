"""What the story asks of a store about alerts, their references and their ends. Part of `gateway.ports.store`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from gateway.model.alert import AlertState
from gateway.model.time import Instant
from gateway.ports.rows import AlertRow, ReferenceRow


class Alerts(Protocol):
    """Alerts, their references and their ends."""

    def insert(
        self, row: AlertRow, references: Sequence[tuple[str, str, Instant | None]], regions: Mapping[str, bool]
    ) -> int:
        """Keep a new alert; returns its number. `regions`: codes it targets whole (True), and those that hold them (False)."""
        ...

    def by_identity(self, sender: str, identifier: str, sent: Instant) -> AlertRow | None: ...
    def by_id(self, id: str) -> AlertRow | None: ...
    def by_number(self, n: int) -> AlertRow | None: ...
    def named(self, identifiers: Iterable[str]) -> list[AlertRow]:
        """Alerts with one of these identifiers, whoever sent them."""
        ...

    def references(self, alert: int) -> list[ReferenceRow]: ...
    def referring(self, identifier: str) -> list[ReferenceRow]:
        """References that stored alerts make to this identifier."""
        ...

    def set_state(
        self,
        n: int,
        state: AlertState,
        *,
        why: str = "",
        released_at: Instant | None = None,
        ended_at: Instant | None = None,
        ended_by: int = 0,
    ) -> None: ...
    def ended_by(self, n: int) -> list[AlertRow]:
        """The alerts that alert `n` superseded or cancelled."""
        ...

    def overdue(self, now: Instant) -> list[AlertRow]:
        """Released alerts whose time is over."""
        ...

    def page(self, filters: Mapping[str, Any], before: int | None, limit: int) -> list[AlertRow]:
        """Alerts newest first, below number `before`; canaries are left out. Filters: states, identifier, sender, sent, since,
        region (a code) with holders (the codes of the regions that hold it)."""
        ...

    def attachments(self, n: int) -> list[dict[str, Any]]:
        """`{name, sha256, size}` of the files that came with an alert."""
        ...

    def set_plan(self, n: int, plan: Mapping[str, Any]) -> None: ...
    def set_kind(self, n: int, kind: str) -> None: ...
    def add_findings(self, n: int, findings: Sequence[Mapping[str, Any]]) -> None:
        """Note what became known about an alert after it was accepted, such as a missing translation."""
        ...

    def attach(self, n: int, name: str, content: bytes) -> None: ...
    def forget(self, via: str, before: Instant) -> int:
        """Strike out alerts that came in by `via` before then, with everything that was made of them but the journal; how many."""
        ...

    def released(self) -> list[AlertRow]:
        """Alerts in state released."""
        ...
