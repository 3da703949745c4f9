"""Commands of the store itself: `migrate`, `backup`, `restore`; and how the other commands find and open the configured store."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import typer
from sqlalchemy.engine import URL

from gateway.app.gateway import locked, store_url
from gateway.channel import Clock
from gateway.cli.serve import CONFIG, DATA, default_config
from gateway.clock import SystemClock
from gateway.errors import ConfigError
from gateway.model.time import Instant
from gateway.settings import read_settings
from gateway.store import SqlStore, SqlTransaction, migrate
from gateway.store.connection import file_of, is_embedded, parsed
from gateway.store.handover import at_work, back_up, hand_over, restore
from gateway.store.schema import shown

T = TypeVar("T")

BACKUP = "backup"
"""The audit's word for a backup that was made: the metric `backup_last_success_timestamp_seconds` is read from it."""

TELL_EVERY = 2.0
"""Seconds between two lines about a copy that takes long."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("migrate")(migrate_store)
    app.command("backup")(backup_store)
    app.command("restore")(restore_store)


def migrate_store(
    config: Path | None = CONFIG,
    data: Path = DATA,
    source: str = typer.Option(
        "", "--from", help="Hand this store over: sqlite:///PATH or postgresql://USER@HOST/DB (password: ~/.pgpass)."
    ),
) -> None:
    """Bring the configured store to this version's schema; with --from, fill it with what another store holds."""
    target, old = configured_store(config, data), parsed(source) if source else None
    folders = [data] if old or is_embedded(target) else []
    if old and (path := file_of(old)) is not None:
        folders.append(path.parent)
    with _for_us_alone(*folders):
        before, after = migrate(target)
        print(f"{shown(target)}: {before or '空 empty'} -> {after}")
        if old:
            _arrived(_taken_over(old, target, data))


def backup_store(
    target: Path = typer.Argument(help="Where to write the copy: one SQLite file, whatever the store."),
    config: Path | None = CONFIG,
    data: Path = DATA,
) -> None:
    """Copy the configured store while it is in use. The file holds addresses and keys' digests: only its owner may read it."""
    source = configured_store(config, data)
    path = file_of(source)
    if path is not None and not path.exists():
        raise ConfigError(
            str(path), "there is no store.", "Name its settings with --config, or its folder with --data."
        )
    if target.exists():
        raise ConfigError(str(target), "it is there already.", "Choose another name.")
    back_up(source, target, Progress())
    asyncio.run(_at(source, lambda store, clock: store.write(partial(_note_backup, target, clock.now()))))
    print(f"{shown(source)} -> {target}")


def restore_store(
    file: Path = typer.Argument(help="A file that `tongluo backup` wrote."),
    config: Path | None = CONFIG,
    data: Path = DATA,
) -> None:
    """Fill the configured store, which must be empty, from a backup; the file is checked first and not changed."""
    target = configured_store(config, data)
    with _for_us_alone(data):
        _arrived(restore(file, target, data, Progress()))


def configured_store(config: Path | None, data: Path) -> URL:
    """Where the store of these settings and this data folder is. Raises ConfigError."""
    return store_url(read_settings(default_config(config)), data)


def with_store(config: Path | None, data: Path, work: Callable[[SqlStore, Clock], Awaitable[T]]) -> T:
    """Work on the configured store by its clock, beside running gateways or without one."""
    url = configured_store(config, data)
    if (path := file_of(url)) is not None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    migrate(url)
    return asyncio.run(_at(url, work))


async def _at(url: URL, work: Callable[[SqlStore, Clock], Awaitable[T]]) -> T:
    clock = SystemClock()
    store = SqlStore(url, clock)
    try:
        if not is_embedded(url):
            clock.sync(*await store.read(lambda tx: tx.time()))
        return await work(store, clock)
    finally:
        await store.aclose()


def _note_backup(target: Path, now: Instant, tx: SqlTransaction) -> None:
    tx.chronicle.audit("operator", BACKUP, now, note=str(target))


class Progress:
    """Says on standard error how far a copy is, if it takes long."""

    def __init__(self) -> None:
        self._said_at = time.monotonic()

    def __call__(self, table: str, done: int, total: int) -> None:
        if time.monotonic() - self._said_at >= TELL_EVERY:
            self._said_at = time.monotonic()
            print(f"{table}: {done} / {total}", file=sys.stderr, flush=True)


def _taken_over(source: URL, target: URL, data: Path) -> Mapping[str, int]:
    """Hand `source` over. A file is left as it is, whatever its schema, so that the way back stays open."""
    if (path := file_of(source)) is not None:
        return restore(path, target, data, Progress())
    if busy := at_work(source):
        what = f"{len(busy)} processes are at work on it."
        raise ConfigError(shown(source), what, "Stop them; 15 seconds later it counts as idle.")
    return hand_over(source, target, Progress())


@contextmanager
def _for_us_alone(*folders: Path) -> Iterator[None]:
    """Hold these data folders: no gateway runs on them. What is made now, only its owner may read."""
    os.umask(0o077)
    with ExitStack() as stack:
        for folder in {folder.resolve() for folder in folders}:
            stack.enter_context(locked(folder))
        yield


def _arrived(counts: Mapping[str, int]) -> None:
    print(f"已交接 handed over: {sum(counts.values())} 行 rows, {sum(map(bool, counts.values()))} 张表 tables")
