"""What the tests of the store share: a store, and rows to put into it.

A test of what every store promises takes the fixture `store_url` (tests/conftest.py) and runs once on each engine; one of
what SQLite alone does takes a folder.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psycopg
from sqlalchemy.engine import make_url

from gateway.channel import Clock
from gateway.model.alert import AlertState
from gateway.model.dispatch import Cause, Priority
from gateway.model.journal import ATTEMPT, Attempts
from gateway.model.roster import NOBODY, Roster, RosterLeaf
from gateway.model.time import Instant
from gateway.ports.store import AlertRow, NewBatch, Transaction
from gateway.store import SqlStore, migrate
from gateway.testing.clock import ManualClock

NOW: Instant = 1_784_701_800_000
LATER = NOW + 3_600_000


def url_of(folder: Path) -> str:
    """The store of a data folder."""
    return f"sqlite:///{folder / 'tongluo.db'}"


@cache
def empty_store() -> bytes:
    """A store without a row, made once: migrating takes longer than most tests."""
    with TemporaryDirectory() as folder:
        migrate(url_of(Path(folder)))
        return (Path(folder) / "tongluo.db").read_bytes()


def new_store(folder: Path) -> str:
    """URL of the store in `folder`, new or as it was left."""
    if not (folder / "tongluo.db").exists():
        (folder / "tongluo.db").write_bytes(empty_store())
    return url_of(folder)


@asynccontextmanager
async def opened(where: Path | str, clock: Clock | None = None) -> AsyncIterator[SqlStore]:
    """The store at a URL, or in a folder, where it is made if there is none."""
    url = await asyncio.to_thread(new_store, where) if isinstance(where, Path) else where
    store = SqlStore(url, clock or ManualClock())
    try:
        yield store
    finally:
        await store.aclose()


def as_a_stranger(url: str, query: str) -> list[tuple[Any, ...]]:
    """What somebody else's connection reads from (or, without rows, writes to) the same database."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(make_url(url).database or "")) as file, file:
            return file.execute(query).fetchall()
    with psycopg.connect(url) as server:
        cursor = server.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def alert_row(identifier: str = "A-1", **changes: Any) -> AlertRow:
    """A released alert."""
    values: dict[str, Any] = {
        "id": f"id-{identifier}",
        "sender": "met@example",
        "identifier": identifier,
        "sent": NOW,
        "status": "Actual",
        "msg_type": "Alert",
        "dialect": "cap-1.2",
        "source": "met",
        "grade": 3,
        "event": "暴雨",
        "event_code": "11B03",
        "headline": "暴雨橙色预警",
        "state": AlertState.RELEASED,
        "fingerprint": "f",
        "sha256": "s",
        "raw": b"<alert/>",
        "received_at": NOW,
        "expires_at": LATER,
        "accepted_by": "met",
        "via": "http",
        "released_at": NOW,
    }
    return AlertRow(**(values | changes))


def keep(tx: Transaction, identifier: str = "A-1", **changes: Any) -> int:
    """Insert an alert; returns its number."""
    return tx.alerts.insert(alert_row(identifier, **changes), [], {})


def open_dispatch(tx: Transaction, alert: int, *, roster: int = 0, **changes: Any) -> int:
    """Open a dispatch of `alert` over its own roster (or another's)."""
    values: dict[str, Any] = {
        "cause": Cause.RELEASE,
        "priority": Priority.ORANGE,
        "due_at": NOW,
        "expires_at": LATER,
        "targets": {},
    }
    return tx.dispatches.open(alert, roster or alert, **(values | changes))


def new_batch(first: int = 0, count: int = 4, **changes: Any) -> NewBatch:
    """A batch of the channel sms."""
    values: dict[str, Any] = {"channel": "sms", "variant": 0, "priority": Priority.ORANGE, "expires_at": LATER}
    return NewBatch(**(values | changes), first=first, count=count)


def attempts(*batches: int) -> Attempts:
    """Attempt records, one for each of these batch numbers."""
    block = np.zeros(len(batches), ATTEMPT)
    block["batch"] = batches
    return block


def small_roster(endpoints: int = 4) -> Roster:
    """One village; every second endpoint a person's, the others devices that cover five people."""
    persons = np.arange(0, endpoints, 2)
    devices = np.arange(1, endpoints, 2)
    person = np.full(endpoints, NOBODY, np.int32)
    person[persons] = np.arange(len(persons))
    return Roster(
        leaves=(RosterLeaf("210423100201", "南山村", 10_000_000),),
        channels=("sms", "speakers"),
        person_leaf=np.zeros(len(persons), np.int32),
        person_weight=np.ones(len(persons), np.int32),
        endpoint_person=person,
        endpoint_channel=(np.arange(endpoints) % 2).astype(np.int16),
        endpoint_leaf=np.zeros(endpoints, np.int32),
        catch_endpoint=devices.astype(np.int32),
        catch_leaf=np.zeros(len(devices), np.int32),
        catch_people=np.full(len(devices), 5, np.int32),
    )
