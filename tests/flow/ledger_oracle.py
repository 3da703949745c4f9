"""What the ledger ought to say of an alert, reckoned from the journal's records one by one, and by the pure evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
from core import Core
from coverage_rosters import Night, Statement
from coverage_worlds import Scenario

from gateway.flow.coverage import cutoff_of
from gateway.model.coverage import RegionCoverage
from gateway.model.journal import ACCEPTED
from gateway.model.receipt import Level
from gateway.model.time import Instant
from gateway.rules.evaluating import evaluate
from gateway.rules.folding import Book

Figures = tuple[float | None, ...]
"""lo, est, hi, answered, leaves reached."""


async def night_of(it: Core, id: str) -> Night:
    """Everything that was planned for an alert and said about it, from roster, outbox and journal alone."""

    def read(tx: Any) -> Night:
        row = tx.alerts.by_id(id)
        roster, header = tx.rosters.get(row.n)
        mine = [dispatch.n for dispatch in tx.dispatches.of_alert(row.n) if dispatch.roster == row.n]
        planned = {ordinal for whole in tx.outbox.planned(row.n) for ordinal in whole.tolist()}
        said = statements(tx, mine)
        channels = {name: figures(evidence) for name, evidence in header["evidence"].items()}
        night = Night(
            roster, channels, sorted(planned), said, [], row.released_at, cutoff_of(row), bool(header["domains"])
        )
        night.towns = ["town0", "town1"]
        return night

    night = await it.read(read)
    assert isinstance(night, Night)
    return night


def statements(tx: Any, mine: list[int]) -> list[Statement]:
    """(ordinal, level, event_at, received_at) of every record that speaks of these dispatches, by far id if need be."""
    records = [record for row in tx.journal.after(0, 100_000) for record in row.statements]
    bearers = {
        record["far"].item(): (record["dispatch"].item(), record["ordinal"].item())
        for record in records
        if record["kind"] == ACCEPTED and record["far"]
    }
    said: list[Statement] = []
    for record in records:
        dispatch, ordinal = record["dispatch"].item(), record["ordinal"].item()
        if ordinal < 0:
            dispatch, ordinal = bearers.get(record["far"].item(), (0, -1))
        if dispatch in mine and ordinal >= 0:
            said.append((ordinal, record["level"].item(), record["event_at"].item(), record["received_at"].item()))
    return said


def figures(evidence: dict[str, Any]) -> Scenario:
    """A channel's evidence as scenarios write it."""
    plain = {
        name: str(evidence[name]) for name in ("hear_lo", "hear_est", "hear_hi", "reach_lo", "reach_est", "reach_hi")
    }
    return plain | {
        "kind": evidence["kind"],
        "count_level": Level(evidence["count_level"]).label,
        "q_unknown": str(evidence["q"]),
        "failure_domain": evidence["failure_domain"],
    }


async def evaluated(it: Core, id: str, now: Instant) -> Figures:
    """The pure evaluation of what the journal holds."""
    scenario = (await night_of(it, id)).scenario(as_of=f"{now}/1000")
    found = evaluate(scenario)["results"][0]["result"]["regions"]["all"]
    return tuple(found[name] for name in ("lo", "est", "hi", "answered", "leaves_reached"))


def shown(coverage: RegionCoverage) -> Figures:
    """The live fold's figures in the same shape."""
    said = (*coverage.share, coverage.answered)
    return (*(None if figure is None else float(figure) for figure in said), coverage.leaves_reached)


async def live(it: Core, id: str) -> Figures:
    """What the live fold says now."""
    return shown(await it.coverage(id))


async def afresh(it: Core, id: str) -> Figures:
    """A fresh fold of the journal."""
    account = await it.account(id)
    book = await it.folder.book_as_known(account.alert, None)
    assert book is not None
    return at(book, it.clock.now())


def at(book: Book, now: Instant) -> Figures:
    """A book's figures at `now`."""
    book.advance(now)
    book.refresh()
    return shown(book.region())


async def assert_ledger_is_right(it: Core, id: str) -> Figures:
    """The live fold, a fresh fold and the pure evaluation say the same, bit for bit. Returns the figures."""
    figures_now = await live(it, id)
    assert figures_now == await afresh(it, id)
    assert figures_now == await evaluated(it, id, it.clock.now())
    return figures_now


async def assert_no_overclaim(it: Core, id: str) -> None:
    """No level in the book that the far side has not truthfully told."""
    account = await it.account(id)
    dispatches = {
        d.id for d in await it.read(lambda tx: tx.dispatches.of_alert(account.alert)) if d.roster == account.alert
    }
    told: dict[int, set[int]] = {}
    for far in it.far.values():
        for (dispatch, ordinal), levels in far.said.items():
            if dispatch in dispatches:
                told.setdefault(ordinal, set()).update(levels)
    never = np.iinfo(np.int64).max
    for ordinal, times in enumerate(account.book.times.T):
        claimed = {level for level in range(Level.SENT, len(Level)) if times[level] < never}
        assert claimed <= told.get(ordinal, set()), f"endpoint {ordinal}: {claimed} claimed, {told.get(ordinal)} told"
