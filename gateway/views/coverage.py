"""Coverage of an alert as pages and API show it: a region and its children, the curve, the channels."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.channel import Clock
from gateway.flow.coverage import Account, Folder, cutoff_of
from gateway.flow.preview import proving
from gateway.flow.world import World
from gateway.model.alert import Grade
from gateway.model.region import Region
from gateway.model.time import Instant, rfc3339
from gateway.ports.desk import Json
from gateway.ports.store import AlertRow
from gateway.rules.divisions import significant
from gateway.rules.enrolling import blind_spots
from gateway.rules.folding import Book
from gateway.rules.measuring import gap_people, status
from gateway.rules.reviewing import channel_summary, curve, quality, time_to
from gateway.views.goals import goal_for

KEPT = 32
CURVE_FOR = 5_000
"""Milliseconds that a curve of a large alert is kept: folding it anew takes time."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where the leaves of a roster stand in the tree: leaf numbers by the significant code of every region that holds any."""

    leaves: Mapping[str, NDArray[np.int64]]
    top: str
    blind: frozenset[int]


class CoverageViews:
    """Looks into the folder's books."""

    def __init__(self, folder: Folder, world: World, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self.world = world
        self._layouts: OrderedDict[int, Layout] = OrderedDict()
        self._curves: OrderedDict[tuple[int, str], tuple[int, Instant, Json]] = OrderedDict()

    async def coverage(
        self, row: AlertRow, region: str, depth: int, as_of: Instant | None, known_at: Instant | None
    ) -> Json | None:
        """See `ports.desk.Reads.coverage`; None where nobody was enlisted (yet)."""
        now = self._clock.now()
        account = await self._folder.account(row.n)
        if account is None:
            return self._nothing(row, region, now)
        book = await self._book(account, row, as_of, known_at, now)
        layout = self._layout(row.n, book)
        here = self.world.tree.find(region) if region else None
        code = significant(here.code) if here else layout.top
        if region and here is None:
            return None
        shown = self._region(row, book, layout, code)
        return self._frame(row, now, as_of, known_at, shown["goal"]) | {
            "region": shown["region"],
            "children": [each["region"] for each in self._below(row, book, layout, code, depth)],
            "flags": _flags(book),
        }

    async def summary(self, row: AlertRow) -> Json | None:
        """The triple of the whole alert: what lists show."""
        account = await self._folder.account(row.n)
        if account is None:
            return None
        book = self._fresh(account)
        layout = self._layout(row.n, book)
        region = self._region(row, book, layout, layout.top)["region"]
        return {name: region[name] for name in ("lo", "est", "hi", "goal_bp", "status", "gap_people", "target")}

    async def curve(self, row: AlertRow, region: str) -> Json | None:
        """See `ports.desk.Reads.curve`."""
        account = await self._folder.account(row.n)
        if account is None:
            return {
                "t": [],
                "lo": [],
                "est": [],
                "hi": [],
                "goal_bp": goal_for(self.world, region, Grade(row.grade)).goal_bp,
                "deadline_s": 0,
            }
        book, now = self._fresh(account), self._clock.now()
        layout = self._layout(row.n, book)
        code = significant(region) if region else layout.top
        kept = self._curves.get((row.n, code))
        if kept and (kept[0] == account.version or now - kept[1] < CURVE_FOR):
            return kept[2]
        goal = goal_for(self.world, code, Grade(row.grade))
        until = min(now, book.cutoff)
        drawn = await asyncio.to_thread(curve, _copy(book), layout.leaves.get(code, np.zeros(0, np.int64)), 400, until)
        shown = {
            "t": drawn.t,
            "lo": drawn.lo,
            "est": drawn.est,
            "hi": drawn.hi,
            "goal_bp": goal.goal_bp,
            "deadline_s": goal.within,
        }
        self._curves[row.n, code] = (account.version, now, shown)
        while len(self._curves) > KEPT:
            self._curves.popitem(last=False)
        return shown

    async def channels(self, row: AlertRow) -> list[Json]:
        """Each channel's endpoints by what became of them."""
        account = await self._folder.account(row.n)
        if account is None:
            return []
        return [
            {
                "channel": each.channel,
                "kind": each.kind,
                "targets": each.targets,
                "handed": each.handed,
                "receipts": each.receipts,
                "levels": dict(each.levels),
                "pending": each.pending,
                "failed": dict(each.failed),
                "late": each.late,
                "p50_s": each.p50_s,
                "p90_s": each.p90_s,
            }
            for each in channel_summary(self._fresh(account))
        ]

    def changed(self, row: AlertRow, account: Account, region: str, before: Mapping[str, Json]) -> list[Json]:
        """The region and its children whose numbers differ from `before` (by id)."""
        book = self._fresh(account)
        layout = self._layout(row.n, book)
        code = significant(region) if region else layout.top
        shown = [self._region(row, book, layout, code), *self._below(row, book, layout, code, 1)]
        return [each["region"] for each in shown if before.get(each["region"]["id"]) != each["region"]]

    def counties(self, row: AlertRow, account: Account) -> list[Json]:
        """Every county that the alert targets: what Prometheus is told."""
        book = self._fresh(account)
        layout = self._layout(row.n, book)
        codes = {
            significant(county.code)
            for leaf in book.roster.leaves
            if (county := self.world.tree.county_of(leaf.code)) is not None
        }
        return [self._region(row, book, layout, code)["region"] for code in sorted(codes)]

    def _fresh(self, account: Account) -> Book:
        account.book.advance(self._clock.now())
        account.book.refresh()
        return account.book

    async def _book(
        self, account: Account, row: AlertRow, as_of: Instant | None, known_at: Instant | None, now: Instant
    ) -> Book:
        book = self._fresh(account)
        if known_at is not None:
            book = await self._folder.book_as_known(row.n, known_at) or book
            book.advance(known_at)
            book.refresh()
        return book if as_of is None else await asyncio.to_thread(book.as_of, as_of)

    def _layout(self, alert: int, book: Book) -> Layout:
        if alert not in self._layouts:
            self._layouts[alert] = _layout(book, self.world)
            while len(self._layouts) > KEPT:
                self._layouts.popitem(last=False)
        return self._layouts[alert]

    def _below(self, row: AlertRow, book: Book, layout: Layout, code: str, depth: int) -> list[dict[str, Any]]:
        if depth < 1:
            return []
        found = []
        for child in self.world.tree.children(code) if code else self.world.tree.roots:
            own = significant(child.code)
            if own in layout.leaves:
                found.append(self._region(row, book, layout, own))
                found += self._below(row, book, layout, own, depth - 1)
        return found

    def _region(self, row: AlertRow, book: Book, layout: Layout, code: str) -> dict[str, Any]:
        region, grade = self.world.tree.find(code) if code else None, Grade(row.grade)
        leaves = layout.leaves.get(code, np.zeros(0, np.int64))
        goal = goal_for(self.world, code, grade)
        figures = book.region(leaves)
        value = figures.answered if goal.basis == "answered" else getattr(figures.share, goal.basis)
        lacking = 0 if figures.target is None else gap_people(figures.target, value or 0.0, goal.goal_bp / 10_000)
        shown = {
            "id": region.code if region else code,
            "name": region.name if region else "",
            "level": region.level.label if region else "",
            "target": figures.target,
            "lo": figures.share.lo,
            "est": figures.share.est,
            "hi": figures.share.hi,
            "people": None if figures.target is None else figures.people._asdict(),
            "answered": figures.answered,
            "goal_bp": goal.goal_bp,
            "basis": goal.basis,
            "status": status(figures.share, goal.goal_bp, goal.basis, figures.answered).value,
            "gap_people": lacking,
            "time_to_goal_s": self._time_to_goal(book, leaves, figures.share.lo, goal.goal_bp),
            "leaves_total": figures.leaves_total,
            "leaves_reached": figures.leaves_reached,
            "blind_spots": sum(number in layout.blind for number in leaves.tolist()),
            "flags": _region_flags(book, leaves),
        }
        return {"region": shown, "goal": goal}

    def _time_to_goal(self, book: Book, leaves: NDArray[np.int64], lo: float | None, goal_bp: int) -> float | None:
        """Seconds until the receipted share met the goal; computed only once it has."""
        if lo is None or lo * 10_000 < goal_bp - 1e-5:
            return None
        return time_to(book, [goal_bp / 10_000], leaves)[0]

    def _frame(self, row: AlertRow, now: Instant, as_of: Instant | None, known_at: Instant | None, goal: Any) -> Json:
        released_at = row.released_at or row.received_at
        cutoff = cutoff_of(row)
        return {
            "as_of": rfc3339(now if as_of is None else as_of),
            "known_at": rfc3339(now if known_at is None else known_at),
            "released_at": rfc3339(released_at),
            "deadline_at": rfc3339(released_at + goal.within * 1000),
            "cutoff": rfc3339(cutoff) if cutoff is not None else None,
        }

    def _nothing(self, row: AlertRow, region: str, now: Instant) -> Json:
        """Nobody was enlisted: no number, never 0 %."""
        found: Region | None = self.world.tree.find(region) if region else None
        goal = goal_for(self.world, found.code if found else "", Grade(row.grade))
        nobody: Json = {
            "id": found.code if found else "",
            "name": found.name if found else "",
            "level": found.level.label if found else "",
            "people": None,
            "goal_bp": goal.goal_bp,
            "basis": goal.basis,
            "status": "no_target",
            "gap_people": 0,
            "leaves_total": 0,
            "leaves_reached": 0,
            "blind_spots": 0,
            "flags": [],
        }
        nobody |= dict.fromkeys(("target", "lo", "est", "hi", "answered", "time_to_goal_s"))
        return self._frame(row, now, None, None, goal) | {"region": nobody, "children": [], "flags": []}


def _layout(book: Book, world: World) -> Layout:
    numbers: dict[str, list[int]] = {}
    tree = world.tree
    for number, leaf in enumerate(book.roster.leaves):
        for region in tree.chain(leaf.code):
            numbers.setdefault(significant(region.code), []).append(number)
    whole = len(book.roster.leaves)
    tops = [code for code, held in numbers.items() if len(held) == whole]
    top = max(tops, key=len, default="")
    leaves = {code: np.array(held, np.int64) for code, held in numbers.items()}
    if not top:
        leaves[""] = np.arange(whole)
    return Layout(leaves, top, frozenset(blind_spots(book.roster, proving(world))))


def _flags(book: Book) -> list[Json]:
    found = quality(book)
    flags: list[Json] = [
        {"code": code, "count": count}
        for code, count in (
            ("out_of_target", found.out_of_target),
            ("late", found.late),
            ("conflicts", found.conflicts),
            ("unknown_units", found.unknown),
        )
        if count
    ]
    if found.register_exceeds_population:
        flags.append({"code": "register_exceeds_population", "regions": list(found.register_exceeds_population)})
    if found.population_unknown:
        flags.append({"code": "population_unknown", "regions": list(found.population_unknown)})
    return flags


def _region_flags(book: Book, leaves: NDArray[np.int64]) -> list[str]:
    mine = [book.roster.leaves[number] for number in leaves.tolist()[:2000]]
    flags = []
    if any(leaf.micro_people is None for leaf in mine):
        flags.append("population_unknown")
    if any(leaf.registered for leaf in mine):
        flags.append("registered")
    if any(leaf.pseudo for leaf in mine):
        flags.append("unplaced")
    return flags


def _copy(book: Book) -> Book:
    """A book that another thread may read while the folder goes on."""
    return Book.restore(book.roster, book.evidence, book.snapshot(), book.domains)
