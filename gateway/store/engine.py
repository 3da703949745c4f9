"""The store's engine: one writer thread with group commit, a few reader threads, over SQLAlchemy's synchronous Core.

Why threads and not an async driver: a commit is an fsync that blocks wherever it runs, many requests share one, and the same code
serves SQLite and PostgreSQL. `gateway.app` opens a `SqlStore`; everybody else sees `gateway.ports.store.Store`.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, insert
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.pool import QueuePool

from gateway.channel import Clock
from gateway.errors import Unstorable
from gateway.store import tables
from gateway.store.pages import Pages
from gateway.store.transaction import SqlTransaction

T = TypeVar("T")

GROUP = 256
"""Works that may share one commit."""

READERS = 4

OWN_FAULT = (IntegrityError, DataError, ProgrammingError)
"""Errors of the database that one work brings upon itself; any other ends the whole group."""


@dataclass(slots=True)
class Job:
    """One caller's work, waiting for the writer."""

    work: Callable[[SqlTransaction], Any]
    future: Future[Any] = field(default_factory=Future)
    result: Any = None
    error: BaseException | None = None


def connect(url: URL, *, readonly: bool) -> Engine:
    """An engine for `url`. SQLite: write-ahead log, an fsync per commit, and transactions that begin where we say."""
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(
        url,
        connect_args={"check_same_thread": False},
        poolclass=QueuePool,
        pool_size=READERS if readonly else 1,
        max_overflow=0,
    )

    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "busy_timeout=5000",
            "foreign_keys=ON",
            "cache_size=-16000",
        ):
            connection.execute(f"PRAGMA {pragma}")
        if readonly:
            connection.execute("PRAGMA query_only=ON")

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    return engine


class SqlStore:
    """`gateway.ports.store.Store` over SQL. Open it inside a running loop, close it with `aclose`."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = make_url(url)
        self._clock = clock
        self._writer = connect(self._url, readonly=False)
        self._reader = connect(self._url, readonly=True)
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._thread = threading.Thread(target=self._serve, name="store-write", daemon=True)
        self._channel_numbers: dict[str, int] = {}
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self.healthy = True
        self.committed: Callable[[], None] = lambda: None
        self._thread.start()

    async def write(self, work: Callable[[SqlTransaction], T]) -> T:
        """See `ports.store.Store.write`. A caller that is cancelled does not undo a work already queued."""
        if self._closed:
            raise Unstorable("the store is closed")
        job = Job(work)
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
            with self._writer.connect() as connection, connection.begin():
                self._run(connection, group)
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

    def _run(self, connection: Connection, group: list[Job]) -> None:
        pages = Pages()
        for job in group:
            mark = pages.mark()
            savepoint = connection.begin_nested()
            try:
                job.result = job.work(SqlTransaction(connection, pages, self._channel_numbers))
            except Exception as error:
                if isinstance(error, DBAPIError) and not isinstance(error, OWN_FAULT):
                    raise
                job.error = error
                savepoint.rollback()
                pages.cut(mark)
                self._channel_numbers.clear()
            else:
                savepoint.commit()
        if not pages.empty:
            connection.execute(insert(tables.journal).values(at=self._clock.now(), **pages.blocks()))


def _settle(job: Job) -> None:
    if job.future.cancelled():
        return
    if job.error is None:
        job.future.set_result(job.result)
    else:
        job.future.set_exception(job.error)


def plain(error: BaseException) -> str:
    """What an error of the database says, in one line."""
    cause = getattr(error, "orig", None) or error
    return next(iter(str(cause).splitlines()), type(cause).__name__)
