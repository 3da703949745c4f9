"""The operator's policy as plain values: who may post what, by which channels, when loud, and the goals.

`gateway.settings` reads them from YAML; the rules of floor 1 apply them.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.alert import Grade


@dataclass(frozen=True, slots=True)
class Source:
    """An authority (发布单位). Deny by default: `regions` are code prefixes, `events` patterns such as `11B*`.

    `default_language` stands in for an info without one; `zone` (IANA name) reads times without an offset, "" = refuse them;
    `needs_approval` are the grades that wait for a person; `methods` says whether a message that names methods restricts
    the channels (`restrict`) or only hints; `aliases` are other senders that are this authority.
    """

    name: str
    regions: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    grades: tuple[Grade, ...] = ()
    senders: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    needs_approval: tuple[Grade, ...] = ()
    signature: str = "none"
    strict: bool = False
    methods: str = "restrict"
    default_language: str = "zh-CN"
    zone: str = ""
    inbox: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """What quiet hours let sound: every condition that is not empty must hold."""

    grades: tuple[Grade, ...] = ()
    events: tuple[str, ...] = ()
    urgency: str = ""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end` (minutes of the local day, may wrap midnight) audible channels speak only for `audible_if`."""

    start: int
    end: int
    audible_if: tuple[Moment, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanRule:
    """One line of `plan:`. Empty conditions match everything; the first rule that matches wins.

    `hours` = (from, to) minutes of the local day or None; `channels` are configured names or types, `*` = all;
    `after` seconds delays the dispatch.
    """

    name: str
    channels: tuple[str, ...]
    grades: tuple[Grade, ...] = ()
    events: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    hours: tuple[int, int] | None = None
    audiences: tuple[str, ...] = ()
    after: int = 0


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal of coverage.md §1.1: `metric` (coverage, territory, officers, readiness, ...) on `basis` (lo, est, answered).

    `at_least_bp` in basis points, `within` seconds (0 = by the grade's default), `region` "" = everywhere, `grades` () = all;
    `plan_text` is the plan's own sentence.
    """

    metric: str
    at_least_bp: int
    region: str = ""
    basis: str = "est"
    within: int = 0
    grades: tuple[Grade, ...] = ()
    plan_text: str = ""


GRADE_DEADLINE = {Grade.RED: 600, Grade.ORANGE: 900, Grade.YELLOW: 1800, Grade.BLUE: 3600, Grade.UNKNOWN: 3600}
"""Default time goals in seconds (coverage.md §1.8)."""


@dataclass(frozen=True, slots=True)
class ChannelProfile:
    """What planning needs to know of a configured channel: its type, media, whether it makes noise, and its language rule.

    `kind` is the evidence kind (addressed, device, area, counted); `audible` channels obey quiet hours; `sink` is where Test
    and System go (None = they go nowhere); `methods` are the national method names it serves.
    """

    name: str
    type: str
    kind: str
    audible: bool
    sink: str | None = None
    max_batch: int = 500
    max_chars: int = 0
    media: str = "text"
    methods: tuple[str, ...] = ()
