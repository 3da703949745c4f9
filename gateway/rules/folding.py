"""Folding: the live `Book` of one alert, the fold of its journal into coverage.

`flow/coverage` feeds it blocks of statements and asks it for shares; `reviewing` asks it for curves and channels. Its state is
the earliest effective time per level and endpoint, so that blocks may come in any order, twice, or again after a restart. Merging
only takes minima; counting happens once per `refresh`, for what changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.errors import ConfigError
from gateway.model.coverage import Evidence, Outcome, RegionCoverage, Told, Triple
from gateway.model.journal import NEVER
from gateway.model.receipt import Level
from gateway.model.roster import PPM, Roster
from gateway.model.time import Instant
from gateway.rules.measuring import aggregate, answered_share, measure
from gateway.rules.merging import LAST, LEVELS, answered, classify, effective, first_hand_over, latest
from gateway.rules.tallying import Tally, layers

Ordinals = NDArray[Any] | slice


class Book:
    """Coverage of one alert over its roster.

    times: int64[LEVELS, endpoints], milliseconds or NEVER. outcome: uint8[endpoints], as of the last `refresh`.
    shares: lo, est, hi, each float64[leaves], NaN where a leaf has no people. failure: int64[endpoints], time and reason of the
    latest failure, packed, or -1. unknown: statements that named no endpoint of the roster.
    """

    def __init__(
        self,
        roster: Roster,
        evidence: Mapping[str, Evidence],
        released_at: Instant,
        cutoff: Instant | None = None,
        domains: bool = False,
    ) -> None:
        """`evidence` by channel name; `cutoff` inclusive; `domains`: unknown outcomes of one failure domain combine by max."""
        missing = [name for name in roster.channels if name not in evidence]
        if missing:
            raise ConfigError(
                f"channels.{missing[0]}.evidence", "渠道没有证据参数 / no evidence figures for this channel"
            )
        self.roster, self.evidence, self.domains = roster, evidence, domains
        self.released_at, self.cutoff = released_at, LAST if cutoff is None else cutoff
        self.now: Instant = released_at
        self.tally = Tally(roster, [evidence[name] for name in roster.channels])
        self.unknown = 0
        self._open_endpoints()
        self._open_leaves()

    def _open_endpoints(self) -> None:
        endpoints = self.roster.endpoints
        self.times = np.full((LEVELS, endpoints), NEVER, dtype=np.int64)
        self.failure = np.full(endpoints, -1, dtype=np.int64)
        self.planned = np.zeros(endpoints, dtype=bool)
        self.outcome = np.zeros(endpoints, dtype=np.uint8)
        self._replied = np.zeros(endpoints, dtype=bool)
        self._changed = np.zeros(endpoints, dtype=bool)
        levels = np.array([self.evidence[name].count_level for name in self.roster.channels], dtype=np.int8)
        self.count_level = levels[self.roster.endpoint_channel]
        counted = [number for number, evidence in enumerate(self.tally.evidence) if evidence.kind == "counted"]
        self._counted = np.flatnonzero(np.isin(self.roster.endpoint_channel, counted))
        self.counts: dict[int, set[tuple[Instant, int, int]]] = {}

    def _open_leaves(self) -> None:
        leaves = len(self.roster.leaves)
        self.people = self.tally.micro_people / PPM
        self.shares = Triple(*(np.full(leaves, np.nan) for _ in range(3)))
        self.answered = np.full(leaves, np.nan)
        self.with_receipt = np.zeros(leaves, dtype=bool)

    @property
    def closed(self) -> bool:
        """Has the cutoff passed, so that what was never handed over never will be?"""
        return self.now > self.cutoff

    def plan(self, ordinals: Ordinals) -> None:
        """A dispatch now holds these endpoints: from here they are possible until they are told or fail."""
        self.planned[ordinals] = True
        self._changed[ordinals] = True

    def merge(
        self,
        ordinals: NDArray[Any],
        levels: NDArray[Any],
        event_at: NDArray[Any],
        received_at: NDArray[Any],
        reasons: NDArray[Any] | None = None,
    ) -> None:
        """Merge a block of statements, any number of times, in any order.

        Parallel columns as in `journal.STATEMENT`; `event_at` is NEVER where the far side gave none. A failure that will be
        tried again is not FAILED yet: leave it out.
        """
        known = (ordinals >= 0) & (ordinals < self.roster.endpoints) & (levels < LEVELS)
        if not known.all():
            self.unknown += int(len(known) - np.count_nonzero(known))
            ordinals, levels, event_at, received_at = (c[known] for c in (ordinals, levels, event_at, received_at))
            reasons = None if reasons is None else reasons[known]
        at = effective(self.released_at, event_at, received_at)
        place = levels.astype(np.int64) * self.roster.endpoints + ordinals
        np.minimum.at(self.times.reshape(-1), place, at)
        self.planned[ordinals] = True
        self._changed[ordinals] = True
        failed = levels == Level.FAILED
        if reasons is not None and failed.any():
            np.maximum.at(self.failure, ordinals[failed], at[failed] << 8 | reasons[failed].astype(np.int64))

    def count(self, ordinal: int, sent: int, ok: int, event_at: Instant, received_at: Instant) -> None:
        """A counting far side told how many it sent to and how many got it; the latest word by its time holds."""
        at = max(self.released_at, min(event_at, received_at))
        self.counts.setdefault(ordinal, set()).add((at, ok, sent))
        self.planned[ordinal] = True
        self._changed[ordinal] = True

    def advance(self, now: Instant) -> None:
        """Time has moved: after the cutoff, what was not handed over is no longer possible."""
        was, self.now = self.closed, now
        if self.closed != was:
            self._changed |= self.planned

    def recut(self, cutoff: Instant | None) -> None:
        """The alert was cancelled, superseded or has another expiry: judge every endpoint anew."""
        self.cutoff = LAST if cutoff is None else cutoff
        self._changed[:] = True

    def refresh(self) -> NDArray[np.int64]:
        """Count what changed and measure the leaves concerned. Returns their numbers (leaves with people only)."""
        changed = np.flatnonzero(self._changed)
        if len(changed):
            self._judge(changed)
        leaves = self.tally.take_dirty()
        if len(leaves):
            self._measure(leaves)
        return leaves

    def _judge(self, changed: NDArray[np.int64]) -> None:
        times = self.times[:, changed]
        outcome = classify(times, self.count_level[changed], self.planned[changed], self.cutoff, self.closed)
        moved = outcome != self.outcome[changed]
        if moved.any():
            self.tally.change(changed[moved], self.outcome[changed[moved]], outcome[moved])
            self.outcome[changed] = outcome
        replied = answered(times, self.cutoff)
        news = replied != self._replied[changed]
        if news.any():
            self.tally.answer(changed[news], replied[news].astype(np.int32) * 2 - 1)
            self._replied[changed] = replied
        if self._changed[self._counted].any():
            self.tally.tell(self._told())
        self._changed[changed] = False

    def _told(self) -> dict[tuple[str, int], Told]:
        """Columns of what counting far sides told, an area's people shared over its leaves."""
        told: dict[tuple[str, int], Told] = {}
        units = self._counted.tolist()
        for name in sorted({self._channel(ordinal) for ordinal in units}):
            areas = {ordinal: self._area(ordinal) for ordinal in units if self._channel(ordinal) == name}
            stacked = layers([area.tolist() for area in areas.values()])
            for (ordinal, area), layer in zip(areas.items(), stacked, strict=True):
                columns = told.setdefault((name, layer), self._silence())
                self._write(columns, ordinal, area)
        return told

    def _silence(self) -> Told:
        return Told(*(np.zeros(len(self.people), dtype=np.int64) for _ in Told._fields))

    def _write(self, columns: Told, ordinal: int, area: NDArray[np.int64]) -> None:
        """Enter one counted endpoint into its columns."""
        said = self.counts.get(ordinal, set())
        held = latest(said, self.cutoff)
        if held:
            columns.base[area] = self.tally.micro_people[area].sum()
            columns.ok[area], columns.sent[area] = held[1] * PPM, held[2] * PPM
            columns.own[area] = int(self.own_leaf(ordinal))
        elif not said:
            columns.pending[area] = int(self.outcome[ordinal] in (Outcome.PENDING, Outcome.HANDED))

    def _area(self, ordinal: int) -> NDArray[np.int64]:
        """Leaves with people that a counted endpoint covers."""
        leaves = self.tally.catch_leaf[self.tally.catchment(np.array([ordinal]))[1]].astype(np.int64)
        area: NDArray[np.int64] = leaves[self.tally.micro_people[leaves] > 0]
        return area

    def _channel(self, ordinal: int) -> str:
        return self.roster.channels[int(self.roster.endpoint_channel[ordinal])]

    def own_leaf(self, ordinal: int) -> bool:
        """Does this counted endpoint count one leaf alone?"""
        return bool(self.roster.endpoint_leaf[ordinal] >= 0) and len(self._area(ordinal)) == 1

    def _measure(self, leaves: NDArray[np.int64]) -> None:
        counts = self.tally.counts(leaves)
        for column, values in zip(self.shares, measure(counts, self.evidence, float, self.domains), strict=True):
            column[leaves] = values
        self.answered[leaves] = answered_share(counts)
        self.with_receipt[leaves] = counts.with_receipt()

    def region(self, leaves: NDArray[Any] | None = None) -> RegionCoverage:
        """Coverage of a set of leaf numbers (None: of all), as of the last `refresh`."""
        chosen = np.arange(len(self.people)) if leaves is None else leaves
        chosen = chosen[self.people[chosen] > 0]
        triple = Triple(*(bound[chosen] for bound in self.shares))
        return aggregate(self.people[chosen], triple, self.answered[chosen], self.with_receipt[chosen])

    def handed(self, ordinals: Ordinals) -> NDArray[np.bool_]:
        """bool: has each of these endpoints been handed over, whatever became of it?"""
        over: NDArray[np.bool_] = first_hand_over(self.times[:, ordinals]) < NEVER
        return over

    def as_of(self, at: Instant) -> Book:
        """The same alert as it stood at `at` by event time, with all that is known now and the plan of now; refreshed."""
        view = Book(self.roster, self.evidence, self.released_at, self.cutoff, self.domains)
        view.times = np.where(self.times <= at, self.times, NEVER)
        view.failure = np.where(self.failure >> 8 <= at, self.failure, -1)
        view.counts = {o: {count for count in said if count[0] <= at} for o, said in self.counts.items()}
        view.unknown = self.unknown
        view.plan(self.planned)
        view.advance(at)
        view.refresh()
        return view

    def snapshot(self) -> bytes:
        """All that a restart needs, beside the roster."""
        levels = np.flatnonzero((self.times < NEVER).any(axis=1))
        said = [(o, *count) for o, counts in self.counts.items() for count in counts]
        file = BytesIO()
        np.savez(
            file,
            moments=np.array([self.released_at, self.cutoff, self.now, self.unknown], dtype=np.int64),
            levels=levels,
            times=self.times[levels],
            failure=self.failure,
            planned=self.planned,
            counts=np.array(said, dtype=np.int64).reshape(-1, 4),
        )
        return file.getvalue()

    @classmethod
    def restore(cls, roster: Roster, evidence: Mapping[str, Evidence], data: bytes, domains: bool = False) -> Book:
        """The book of a `snapshot` of the same roster, refreshed. Raises ValueError if it belongs to another one."""
        with np.load(BytesIO(data), allow_pickle=False) as saved:
            if len(saved["planned"]) != roster.endpoints:
                raise ValueError(f"snapshot of {len(saved['planned'])} endpoints, roster of {roster.endpoints}")
            released_at, cutoff, now, unknown = (int(value) for value in saved["moments"])
            book = cls(roster, evidence, released_at, cutoff, domains)
            book.now, book.unknown = now, unknown
            book.times[saved["levels"]] = saved["times"]
            book.failure = saved["failure"]
            for ordinal, *count in saved["counts"].tolist():
                book.counts.setdefault(ordinal, set()).add((count[0], count[1], count[2]))
            book.plan(saved["planned"])
        book.refresh()
        return book
