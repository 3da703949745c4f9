"""Who asks, what they may do, and what the API and the pages may read. `gateway.web` is written against this page
alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from gateway.model.alert import AlertState, CancelKind, Finding
from gateway.model.time import Instant

Json = dict[str, Any]
"""A JSON object, as the API writes it."""


class Role(StrEnum):
    """What a key or a session may do. `source` posts; the others are people."""

    SOURCE = "source"
    AUTHOR = "author"
    REVIEWER = "reviewer"
    APPROVER = "approver"
    ADMIN = "admin"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a key or a signed-in session. `source` = the configured source it posts for, or "" for none.

    `regions` are the code prefixes it may see and act on (() = all); a `sandbox` principal posts status Test
    whatever the XML says.
    """

    id: str
    name: str
    roles: frozenset[Role]
    source: str = ""
    regions: tuple[str, ...] = ()
    sandbox: bool = False

    def may(self, *roles: Role) -> bool:
        """Whether it has one of `roles`; an admin has them all."""
        return Role.ADMIN in self.roles or bool(self.roles.intersection(roles))


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came beside the XML in a ZIP: kept with its hash, shown to the reviewer, never sent out."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a message that is on disk. `created` is False for a repetition of what we had already."""

    id: str
    identifier: str
    state: AlertState
    created: bool
    fingerprint: str
    warnings: tuple[Finding, ...] = ()


class Desk(Protocol):
    """What people and systems may do to alerts. Every method raises `Refused` (with HTTP status) or `Unstorable`."""

    async def accept(
        self, raw: bytes, by: Principal, *, attachments: Sequence[Attachment] = (), via: str = "http"
    ) -> Accepted:
        """Take one message in; returns only after the commit is on disk."""
        ...

    async def preview(self, raw: bytes, by: Principal) -> Json:
        """Check, target and render without storing: `{would, why, findings, regions, people, endpoints,
        texts, ...}`."""
        ...

    async def approve(self, alert: str, by: Principal, note: str = "") -> Json:
        """Release a held alert. Role approver."""
        ...

    async def reject(self, alert: str, by: Principal, note: str = "") -> Json:
        """Refuse a held alert for good. Role approver or reviewer."""
        ...

    async def stop(self, alert: str, by: Principal, note: str = "") -> Json:
        """Stop what has not been sent yet; tells nobody. Role approver."""
        ...

    async def cancel(self, alert: str, by: Principal, kind: CancelKind, note: str = "") -> Json:
        """End a released alert and tell those it may have reached. Role approver; one person is enough."""
        ...

    async def replay(self, letter: str, by: Principal) -> Json:
        """Put a dead letter back to work. Role approver, without limits of region."""
        ...


class Keys(Protocol):
    """Who is who."""

    async def principal(self, key: str) -> Principal | None:
        """The owner of an API key, None if unknown or revoked."""
        ...

    async def sign_in(self, ticket: str) -> tuple[str, Principal] | None:
        """Spend a one-time link: (session token, who), None if unknown, used or older than its time."""
        ...

    async def session(self, token: str) -> Principal | None:
        """Who a session cookie belongs to."""
        ...

    async def sign_out(self, token: str) -> None:
        """Forget a session."""
        ...


class Reads(Protocol):
    """Read models for the API and the pages; shapes as in docs/api.md. `None` = no such alert (or not yours to see)."""

    async def alerts(self, by: Principal, filters: Mapping[str, str], limit: int, cursor: str) -> Json:
        """`{items: [{id, identifier, sender, sent, headline, event, event_code, grade, status, msg_type,
        state, source, received_at,
        released_at, expires_at, ended_at, regions: [code], warnings: n, coverage: {lo, est, hi, goal_bp,
        status, gap_people} | null}], next}`.

        Filters: state (a state or `active`), region, since, identifier, sender, sent.
        """
        ...

    async def alert(self, by: Principal, alert: str) -> Json | None:
        """One item as above plus `cap` (CAP as JSON), `findings`, `chain` [{id, msg_type, state, sent,
        headline}], `plan`
        ({rule, first, reserve, quieted}), `attachments` [{name, sha256, size}], `audit` [{at, who, what,
        note}], `flags`."""
        ...

    async def raw(self, by: Principal, alert: str) -> bytes | None:
        """The bytes received."""
        ...

    async def coverage(
        self, by: Principal, alert: str, region: str, depth: int, as_of: Instant | None, known_at: Instant | None
    ) -> Json | None:
        """`{as_of, known_at, released_at, deadline_at, cutoff, region: R, children: [R]}` where R = `{id,
        name, level, target, lo, est, hi,
        people: {lo, est, hi}, answered, goal_bp, basis, status, gap_people, time_to_goal_s, leaves_total,
        leaves_reached, blind_spots,
        flags: []}`; `region` "" = the smallest region that holds all targets."""
        ...

    async def curve(self, by: Principal, alert: str, region: str) -> Json | None:
        """`{t: [s], lo: [], est: [], hi: [], goal_bp, deadline_s}`, at most 400 points."""
        ...

    async def channels_of(self, by: Principal, alert: str) -> list[Json] | None:
        """`[{channel, type, kind, targets, handed, receipts, pending, failed: {reason: n}, late, p50_s,
        p90_s, state, oldest_pending_s}]`."""
        ...

    async def deliveries(
        self, by: Principal, alert: str, filters: Mapping[str, str], limit: int, cursor: str
    ) -> Json | None:
        """`{items: [{endpoint, unit, channel, region, state, level, reason, attempts, times: {sent, accepted,
        delivered, read, ack, failed}}], next}`;
        `unit` is the masked address. Filters: region, channel, state."""
        ...

    async def log(self, by: Principal, alert: str, limit: int, cursor: str) -> Json | None:
        """`{items: [{id, at, level, code, args}], next}`: what happened, newest first."""
        ...

    async def channels(self, by: Principal) -> list[Json]:
        """`[{channel, type, kind, proves, abilities, state: ok|slow|stalled|down, since, oldest_pending_s,
        pending, sink, online_ratio, detail}]`."""
        ...

    async def dead_letters(self, by: Principal) -> list[Json]:
        """`[{id, kind: batch|message, channel, endpoints, attempts, reason, at, alert, headline, replaying}]`, newest first; for
        whoever has no limits of region."""
        ...

    async def regions(self, by: Principal, parent: str) -> list[Json]:
        """Children of `parent` ("" = roots): `[{id, name, level, population, lat, lon, children: n}]`."""
        ...

    async def readiness(self, by: Principal) -> Json:
        """`{k1, k2, people, blind_spots: [{id, name, people}], counties: [{id, name, k1, k2}], sample: bool}`."""
        ...

    async def ready(self) -> Json:
        """`{ready: bool, parts: {store: {ok, detail}, queue: ..., speech: ..., channels: {...}}}` for /readyz."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """One frame of an event stream. `id` = row id of the last durable event, so that a client may resume."""

    id: int
    name: str
    payload: Json = field(default_factory=dict)


class Feed(Protocol):
    """Live frames for the pages."""

    def follow(self, by: Principal, alert: str, region: str, depth: int, after: int) -> AsyncIterator[Event]:
        """Frames of one alert ("" = of the whole gateway): the durable events since row `after`, one full
        `coverage` and one
        full `curve` frame, then what changes: `coverage` {as_of, changed: [{id, lo, est, hi, status,
        gap_people, people}]} at most once
        a second, `curve` {t, lo, est, hi}, `channel`, `alert`, `log`. Coalesces for slow readers; never an
        unbounded queue."""
        ...


class Callbacks(Protocol):
    """Channels that listen for their far side at `/callbacks/<name>`."""

    async def callback(
        self, name: str, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes, str, Mapping[str, str]] | None:
        """(status, body, content type, headers), or None if no such channel listens."""
        ...
