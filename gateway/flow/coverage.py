"""Coverage: the one folder. It reads the journal on from its last row, joins receipts to endpoints, and keeps a book for each
alert. Deliver workers append and never count. Every process that shows figures folds for itself; the watch leader alone saves.

Saving goes in rounds: every changed book first, then the id index with the number of the row the round has reached. So a restart
reads on from that one number, and a book that is not open misses nothing before it. A rebuild gives the same numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from structlog.stdlib import BoundLogger

from gateway.channel import Clock
from gateway.errors import Deposed, Unstorable
from gateway.flow.correlation import Correlation
from gateway.flow.office import Office
from gateway.flow.pulse import Pulse
from gateway.flow.records import planned_in
from gateway.model.alert import AlertState
from gateway.model.coverage import Evidence
from gateway.model.journal import NEVER, Attempts, Statements
from gateway.model.receipt import Level
from gateway.model.time import Instant
from gateway.ports.store import AlertRow, JournalRow, Ordinals, Store, Transaction
from gateway.rules.folding import Book
from gateway.telemetry import Metrics

Told = tuple[int, int, Instant, str, dict[str, Any]]

PAGE = 500
ROWS = 64
"""Journal rows read at once: bounds memory while catching up."""

ROUND = 60_000
"""Milliseconds between rounds of saving."""

BREATH = 0.05
"""Seconds between two folds at least: what comes in meanwhile is folded together, and hand-overs go first."""

LOOK_AROUND = 0.25
"""Seconds between two looks at what other processes have written."""

PATIENCE = 60_000
"""Milliseconds after which a receipt without a match is counted."""

IDLE = 600_000
"""Milliseconds after which the book of an ended alert is closed."""


@dataclass(slots=True)
class Account:
    """An alert's open book. `version` rises with every change; `saved` is the version on disk."""

    alert: int
    book: Book
    live: bool
    version: int = 0
    saved: int = 0
    touched_at: Instant = 0


@dataclass(slots=True)
class Ledger:
    """What the folder knows: open accounts, and which roster a dispatch speaks of (0 = of none that counts)."""

    accounts: dict[int, Account] = field(default_factory=dict)
    rosters: dict[int, int] = field(default_factory=dict)


class Folder:
    """Folds the journal into books. `account` gives an alert's current book; `news` waits for a change."""

    def __init__(
        self, store: Store, clock: Clock, office: Office, metrics: Metrics, log: BoundLogger, *, unmatched_for: int
    ) -> None:
        self._store, self._clock, self._office, self._metrics, self._log = store, clock, office, metrics, log
        self._unmatched_for = unmatched_for
        self._ledger = Ledger()
        self._correlation = Correlation()
        self._counted_until: Instant = 0
        self._saved_at: Instant = clock.now()
        self._saved_seq = 0
        self._appended = asyncio.Event()
        self._news = asyncio.Condition()
        self._opening, self._folding = asyncio.Lock(), asyncio.Lock()
        self._event = 0
        self._names: dict[int, str] = {}
        self.pulses: defaultdict[str, Pulse] = defaultdict(Pulse)
        self.seq = 0

    def appended(self) -> None:
        """Say that the journal has grown."""
        self._appended.set()

    async def run(self) -> None:
        """Fold until cancelled, after `catch_up`; then save."""
        try:
            while True:
                try:
                    await self.fold()
                    if self._clock.now() - self._saved_at >= ROUND:
                        await self._round()
                except Unstorable as error:
                    self._log.warning("folding_waits", why=str(error))
                    await asyncio.sleep(1)
                await self._rest()
        finally:
            with contextlib.suppress(Unstorable):  # who is told to end ends, whatever the store says
                await asyncio.shield(self._round())

    async def _round(self) -> None:
        self.close_idle()
        if self._office.held:
            with contextlib.suppress(Deposed):
                await self.save()
        self._saved_at = self._clock.now()

    async def catch_up(self) -> None:
        """Take up where the last round of saving left off, and fold what has come since."""
        saved = await self._store.read(lambda tx: tx.snapshots.get(0))
        if saved is not None:
            self.seq, self._correlation = saved[0], Correlation.restore(saved[1])
        self._saved_seq = self.seq
        self._event = await self._store.read(lambda tx: tx.chronicle.last_event())
        for row in await self._store.read(lambda tx: tx.alerts.released()):
            await self.account(row.n)
        await self.fold()

    async def fold(self) -> None:
        """Take in what the store has got since: ends of alerts, and every row of the journal."""
        while await self._fold_some():
            pass
        await self._give_up()

    async def _fold_some(self) -> bool:
        async with self._folding:
            told, rows = await self._store.read(self._since)
            await self._notice_ends(told)
            for row in rows:
                await self._fold(row)
                self.seq = row.seq
            await self._tell()
        return bool(told or rows)

    def _since(self, tx: Transaction) -> tuple[list[Told], list[JournalRow]]:
        return tx.chronicle.told(0, self._event, PAGE), tx.journal.after(self.seq, ROWS)

    async def _rows_after(self, seq: int) -> list[JournalRow]:
        return await self._store.read(lambda tx: tx.journal.after(seq, ROWS))

    async def account(self, alert: int) -> Account | None:
        """The account of an alert, opened from its snapshot if need be; None if it has no roster yet."""
        async with self._opening:
            if alert not in self._ledger.accounts:
                opened = await self._store.read(lambda tx: _open(tx, alert))
                if opened is None:
                    return None
                self._ledger.accounts[alert] = opened
            account = self._ledger.accounts[alert]
            account.touched_at = self._clock.now()
            return account

    async def levels(self, alert: int, ordinals: Ordinals) -> list[Level]:
        """How far each of these endpoints is proven; SENT where nothing is known."""
        account = await self.account(alert)
        return _levels(account.book if account else None, ordinals)

    async def levels_by_the_journal(self, alert: int, ordinals: Ordinals) -> list[Level]:
        """The same, for a process that does not fold: read from the journal."""
        return _levels(await self.book_as_known(alert, None), ordinals)

    async def rebuild(self, alert: int) -> None:
        """Throw the folds of an alert away and read the journal again from its release on."""
        account = await self.account(alert)
        if account is None:
            return
        async with self._folding:
            account.book = await self.book_as_known(alert, None) or account.book
            account.version += 1
            await self._tell()
            await self._save_book(account, self.seq, self._clock.now())

    async def book_as_known(self, alert: int, known_at: Instant | None) -> Book | None:
        """A fresh book of an alert from the journal alone, with what had come in by `known_at` (None = all)."""
        fresh, row = await self._store.read(lambda tx: (_open(tx, alert, saved=False), tx.alerts.by_number(alert)))
        if fresh is None or row is None:
            return None
        mine = [
            dispatch.n
            for dispatch in await self._store.read(lambda tx: tx.dispatches.of_alert(alert))
            if dispatch.roster == alert
        ]
        correlation, seq = Correlation(), await self._store.read(lambda tx: tx.journal.since(row.received_at))
        while rows := await self._rows_after(seq):
            for page in rows:
                statements = page.statements
                if known_at is not None:
                    statements = statements[statements["received_at"] <= known_at]
                joined = correlation.join(statements)
                _merge(fresh.book, joined[np.isin(joined["dispatch"], mine)])
            seq = rows[-1].seq
        return fresh.book

    async def news(self, alert: int, version: int, patience: float) -> int:
        """Wait until the alert's numbers are newer than `version`, at most `patience` seconds; returns the version now."""
        async with self._news:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._news.wait_for(lambda: self.version(alert) != version)
        return self.version(alert)

    def version(self, alert: int) -> int:
        """Rises with every change of the alert's numbers."""
        account = self._ledger.accounts.get(alert)
        return account.version if account else 0

    @property
    def accounts(self) -> Mapping[int, Account]:
        """All open accounts by alert number."""
        return self._ledger.accounts

    async def save(self) -> None:
        """One round: changed books, then the id index with the row it stands at."""
        now, seq = self._clock.now(), self.seq
        for account in list(self._ledger.accounts.values()):
            if account.version != account.saved:
                await self._save_book(account, seq, now)
        if seq != self._saved_seq:
            index = self._correlation.snapshot()
            await self._office.write(lambda tx: tx.snapshots.put(0, seq, now, index))
        self._saved_at, self._saved_seq = now, seq

    async def _save_book(self, account: Account, seq: int, now: Instant) -> None:
        version, book = account.version, account.book.snapshot()
        await self._office.write(lambda tx: tx.snapshots.put(account.alert, seq, now, book))
        account.saved = version

    def close_idle(self) -> None:
        """Books of ended alerts that nobody asks for; the leader has saved them long since."""
        now = self._clock.now()
        for account in list(self._ledger.accounts.values()):
            unsaved = self._office.held and account.version != account.saved
            if not account.live and not unsaved and now - account.touched_at > IDLE:
                del self._ledger.accounts[account.alert]

    async def _notice_ends(self, told: Sequence[Told]) -> None:
        """An alert whose state has changed may have another cut-off."""
        for alert in {alert for _, alert, _, name, _ in told if name == "alert"} & self._ledger.accounts.keys():
            await self._recut(self._ledger.accounts[alert])
        self._event = told[-1][0] if told else self._event

    async def _recut(self, account: Account) -> None:
        row = await self._store.read(lambda tx: tx.alerts.by_number(account.alert))
        if row is not None:
            account.book.recut(cutoff_of(row))
            account.live = row.state.active
            account.version += 1

    async def _plan(self, planned: Attempts) -> None:
        """Endpoints that have been put into batches may count from now on."""
        rosters = await self._rosters_of(planned["dispatch"])
        for roster in np.unique(rosters[rosters > 0]).tolist():
            account = await self.account(roster)
            if account is not None:
                for first, count in planned[rosters == roster][["first", "count"]].tolist():
                    account.book.plan(np.arange(first, first + count, dtype=np.int32))
                account.version += 1

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_AROUND):
                await self._appended.wait()
                await asyncio.sleep(BREATH)
        self._appended.clear()

    async def _fold(self, row: JournalRow) -> None:
        """Take a row in, whole or not at all: who is interrupted reads it again, and finds the same receipts waiting."""
        await self._feel(row.statements)
        waiting, planned = self._correlation.waiting, planned_in(row.attempts)
        if len(planned):
            await self._plan(planned)
        try:
            await self._merge_row(self._correlation.join(row.statements))
        except BaseException:
            self._correlation.waiting = waiting
            raise

    async def _feel(self, statements: Statements) -> None:
        for number in np.unique(statements["channel"]).tolist():
            self.pulses[await self._name(number)].take(statements[statements["channel"] == number])

    async def _merge_row(self, joined: Statements) -> None:
        if not len(joined):
            return
        rosters = await self._rosters_of(joined["dispatch"])
        for roster in np.unique(rosters[rosters > 0]).tolist():
            account = await self.account(roster)
            if account is not None:
                _merge(account.book, joined[rosters == roster])
                if self._office.held:
                    await self._time(account.book, joined[rosters == roster])
                account.version += 1

    async def _time(self, book: Book, statements: Statements) -> None:
        """Tell how long proof of delivery took, channel by channel; a receipt that comes twice is told twice."""
        proven = statements[statements["level"] >= Level.DELIVERED]
        took = (np.minimum(proven["event_at"], proven["received_at"]) - book.released_at) / 1000
        for number in np.unique(proven["channel"]).tolist():
            name = await self._name(number)
            self._metrics.delivery.add(name, np.maximum(took[proven["channel"] == number], 0))

    async def _name(self, number: int) -> str:
        if number not in self._names:
            self._names = await self._store.read(lambda tx: tx.journal.channel_names())
        return self._names[number]

    async def _rosters_of(self, dispatches: Ordinals) -> Ordinals:
        """The roster that each statement's dispatch speaks of; 0 where it does not count for coverage."""
        numbers, place = np.unique(dispatches, return_inverse=True)
        unknown = [n for n in numbers.tolist() if n not in self._ledger.rosters]
        if unknown:
            for dispatch in await self._store.read(lambda tx: [tx.dispatches.get(n) for n in unknown]):
                self._ledger.rosters[dispatch.n] = dispatch.roster if dispatch.roster == dispatch.alert else 0
        return np.array([self._ledger.rosters[n] for n in numbers.tolist()], np.int32)[place]

    async def _give_up(self) -> None:
        """Count receipts that have waited long for their id; forget those that have waited too long."""
        now = self._clock.now()
        waiting = self._correlation.waiting
        overdue = (waiting["received_at"] >= self._counted_until) & (waiting["received_at"] < now - PATIENCE)
        if overdue.any() and self._office.held:
            for number, count in Counter(waiting["channel"][overdue].tolist()).items():
                name = await self._name(number)
                self._metrics.unmatched_receipts.labels(name).inc(count)
                self._log.warning("receipts_unmatched", channel=name, count=count)
        self._counted_until = max(self._counted_until, now - PATIENCE)
        self._correlation.forget(now - self._unmatched_for)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


def _levels(book: Book | None, ordinals: Ordinals) -> list[Level]:
    if book is None:
        return [Level.SENT] * len(ordinals)
    known = book.times[:, ordinals] < NEVER
    return [_furthest([level for level in Level if told[level]]) for told in known.T]


def _furthest(levels: Sequence[Level]) -> Level:
    best = max(levels, default=Level.SENT)
    return Level.FAILED if Level.FAILED in levels and best < Level.DELIVERED else best


def cutoff_of(row: AlertRow) -> Instant | None:
    """coverage.md §1.4: the earliest of expiry and the alert's end by a successor."""
    ended = row.ended_at if row.state in (AlertState.CANCELLED, AlertState.SUPERSEDED) else None
    return row.expires_at if ended is None else min(row.expires_at, ended)


def _open(tx: Transaction, alert: int, *, saved: bool = True) -> Account | None:
    frozen, row = tx.rosters.get(alert), tx.alerts.by_number(alert)
    if frozen is None or row is None or row.released_at is None:
        return None
    roster, header = frozen
    evidence = {name: _evidence(values) for name, values in header["evidence"].items()}
    domains = bool(header["domains"])
    snapshot = tx.snapshots.get(alert) if saved else None
    if snapshot is None:
        book = Book(roster, evidence, row.released_at, cutoff_of(row), domains)
    else:
        book = Book.restore(roster, evidence, snapshot[1], domains)
        book.recut(cutoff_of(row))
    for planned in tx.outbox.planned(alert):
        book.plan(planned)
    return Account(alert, book, row.state.active)


def _evidence(values: dict[str, Any]) -> Evidence:
    return Evidence(**(values | {"count_level": Level(values["count_level"])}))


def _merge(book: Book, statements: Statements) -> None:
    if len(statements):
        book.merge(
            statements["ordinal"],
            statements["level"],
            statements["event_at"],
            statements["received_at"],
            statements["reason"],
        )
