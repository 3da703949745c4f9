"""The store's engine: one writer thread with group commit, a few reader threads, over SQLAlchemy's synchronous Core.

Why threads and not an async driver: a commit is an fsync that blocks wherever it runs, many requests share one, and the same code
serves SQLite and PostgreSQL. `gateway.app` opens a `SqlStore`; everybody else sees `gateway.ports.store.Store`.

Many processes may share a PostgreSQL store. Three rules keep them from each other's way: what must not happen twice at a time takes
a turn before anything else (`Turn`); what others read on from their last row (journal, events) is written last, behind one lock, so
that it appears in the order of its numbers; and a work that lost a race is run again.
"""

from __future__ import annotations

import asyncio
import queue
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from gateway.channel import Clock
from gateway.errors import Unstorable
from gateway.ports.store import Turn
from gateway.store.connection import READERS, connect, is_embedded, lost_race, parsed, plain
from gateway.store.pages import Pages
from gateway.store.transaction import SqlTransaction

T = TypeVar("T")

GROUP = 256
"""Works that may share one commit."""

RACES = 5
"""How often a group that lost a race is run again."""

AGAIN = 0.05
"""Seconds until then at most, the first time."""

OWN_FAULT = (IntegrityError, DataError, ProgrammingError)
"""Errors of the database that one work brings upon itself; any other ends the whole group."""

LOCKS = 0x746F6E67
"""Our family of PostgreSQL's advisory locks (its second number is a `Turn`, or 0 for what is read in order)."""


@dataclass(slots=True)
class Job:
    """One caller's work, waiting for the writer."""

    work: Callable[[SqlTransaction], Any]
    turn: Turn | None = None
    future: Future[Any] = field(default_factory=Future)
    result: Any = None
    error: BaseException | None = None


class SqlStore:
    """`gateway.ports.store.Store` over SQL. Open it inside a running loop, close it with `aclose`."""

    def __init__(self, url: str | URL, clock: Clock) -> None:
        self.url = parsed(url) if isinstance(url, str) else url
        self._clock = clock
        self._writer = connect(self.url, readonly=False)
        self._reader = connect(self.url, readonly=True)
        self._shared = not is_embedded(self.url)
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._thread = threading.Thread(target=self._serve, name="store-write", daemon=True)
        self._channel_numbers: dict[str, int] = {}
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self.healthy = True
        self.committed: Callable[[], None] = lambda: None
        self._thread.start()

    async def write(self, work: Callable[[SqlTransaction], T], *, turn: Turn | None = None) -> T:
        """See `ports.store.Store.write`. A caller that is cancelled does not undo a work already queued."""
        if self._closed:
            raise Unstorable("the store is closed")
        job = Job(work, turn)
        self._jobs.put(job)
        result: T = await asyncio.shield(asyncio.wrap_future(job.future))
        return result

    async def read(self, work: Callable[[SqlTransaction], T]) -> T:
        """See `ports.store.Store.read`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, work)

    async def aclose(self) -> None:
        """Finish what is queued, then close every connection."""
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._threads.shutdown(wait=True)
        self._writer.dispose()
        self._reader.dispose()

    def _read(self, work: Callable[[SqlTransaction], T]) -> T:
        try:
            with self._reader.begin() as connection:
                return work(SqlTransaction(connection, Pages(), self._channel_numbers))
        except DBAPIError as error:
            raise Unstorable(plain(error)) from error

    def _serve(self) -> None:
        while True:
            group = self._next_group()
            if group:
                self._commit([job for job in group if job is not None])
            if None in group:
                return

    def _next_group(self) -> list[Job | None]:
        group: list[Job | None] = [self._jobs.get()]
        while len(group) < GROUP and group[-1] is not None:
            try:
                group.append(self._jobs.get_nowait())
            except queue.Empty:
                break
        return group

    def _commit(self, group: list[Job]) -> None:
        if not group:
            return
        try:
            self._transact(group)
        except Exception as error:
            self.healthy = False
            self._channel_numbers.clear()
            for job in group:
                job.error = job.error or Unstorable(plain(error))
        else:
            self.healthy = True
            self._loop.call_soon_threadsafe(self._tell)
        for job in group:
            _settle(job)

    def _tell(self) -> None:
        """`committed` is whatever the app wants to know of a commit; it runs in the loop."""
        self.committed()

    def _transact(self, group: list[Job]) -> None:
        """Run the group in one transaction; from the beginning again if another process was in its way."""
        for race in range(RACES + 1):
            try:
                with self._writer.connect() as connection, connection.begin():
                    self._run(connection, group)
                return
            except DBAPIError as error:
                self._channel_numbers.clear()
                if not lost_race(error) or race == RACES:
                    raise
                time.sleep(random.uniform(0, AGAIN * (race + 1)))

    def _run(self, connection: Connection, group: list[Job]) -> None:
        for turn in sorted({job.turn for job in group if job.turn is not None}):
            self._lock(connection, turn)
        pages = Pages()
        for job in group:
            job.result = job.error = None
            self._run_one(connection, job, pages)
        if not pages.empty:
            self._lock(connection, 0)
            pages.write(connection, self._clock.now())

    def _run_one(self, connection: Connection, job: Job, pages: Pages) -> None:
        """One work in its savepoint. A row that another process has put there first is seen by the second try."""
        for last in (not self._shared, True):
            mark = pages.mark()
            savepoint = connection.begin_nested()
            try:
                job.result = job.work(SqlTransaction(connection, pages, self._channel_numbers))
            except Exception as error:
                if isinstance(error, DBAPIError) and not isinstance(error, OWN_FAULT):
                    raise
                savepoint.rollback()
                pages.cut(mark)
                self._channel_numbers.clear()
                if last or not isinstance(error, IntegrityError):
                    job.error = error
                    return
            else:
                savepoint.commit()
                return

    def _lock(self, connection: Connection, turn: int) -> None:
        if self._shared:
            connection.execute(ADVISORY_LOCK, {"family": LOCKS, "turn": int(turn)})


ADVISORY_LOCK = text("SELECT pg_advisory_xact_lock(:family, :turn)")


def _settle(job: Job) -> None:
    if job.future.cancelled():
        return
    if job.error is None:
        job.future.set_result(job.result)
    else:
        job.future.set_exception(job.error)
