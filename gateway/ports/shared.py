"""What processes that share a store ask of it about each other. Part of `gateway.ports.store`."""

from __future__ import annotations

from typing import Protocol

from gateway.model.time import Instant
from gateway.ports.rows import ProcessRow, StrayRow


class Leases(Protocol):
    """Offices that one process of all holds at a time, with a fencing token that rises at every change of hands."""

    def take(self, office: str, owner: str, now: Instant, until: Instant) -> int | None:
        """Take the office if it is free, or keep it; its token, or None if somebody else holds it."""
        ...

    def holds(self, office: str, owner: str, token: int) -> bool:
        """Whether it is still in these hands; nobody can take it before this transaction ends."""
        ...

    def give_up(self, office: str, owner: str) -> None: ...


class Processes(Protocol):
    """The processes of this deployment, as they tell of themselves every few seconds."""

    def tell(self, row: ProcessRow) -> None: ...
    def since(self, at: Instant) -> list[ProcessRow]:
        """Those that have told since then."""
        ...

    def forget(self, owner: str = "", before: Instant = 0) -> None:
        """Strike out one that ends, or all that have been silent since `before`."""
        ...


class Paces(Protocol):
    """The pace of a channel, kept by all its workers together."""

    def reserve(self, channel: str, now_us: int, cost_us: int) -> int:
        """Take the channel's next free stretch of `cost_us` microseconds; returns when it begins (now or later). A negative cost
        gives one back."""
        ...


class Strays(Protocol):
    """Queue messages that nobody could read, kept for people to look at."""

    def keep(self, route: str, reason: str, body: bytes, at: Instant) -> int: ...
    def page(self, limit: int) -> list[StrayRow]:
        """Newest first."""
        ...

    def counts(self) -> dict[str, int]:
        """How many, by the channel that their route names."""
        ...

    def get(self, n: int) -> StrayRow | None: ...
    def ask_replay(self, n: int) -> bool:
        """Let it be published again as it was. False = there is no such message."""
        ...

    def to_replay(self, limit: int) -> list[StrayRow]: ...
    def drop(self, n: int) -> None: ...
