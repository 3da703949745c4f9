"""Reference data at start: files that have changed are read, checked whole and put into the store; the store's rows become the
tree, the named areas and the directory's columns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from structlog.stdlib import BoundLogger

from gateway.app.files import resolved
from gateway.channel import Clock
from gateway.errors import ConfigError
from gateway.model.directory import DirectoryColumns, columns
from gateway.model.region import DirectoryRow, NamedArea
from gateway.model.time import moment
from gateway.ports.store import Turn
from gateway.reference.areas import read_areas
from gateway.reference.directory import read_directory
from gateway.reference.regions import read_regions
from gateway.rules.tree import Tree
from gateway.settings import Settings
from gateway.store import SqlStore, SqlTransaction


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Regions, named areas and directory in force."""

    tree: Tree
    areas: dict[str, NamedArea]
    directory: DirectoryColumns


async def refresh(
    store: SqlStore, settings: Settings, config: Path | None, clock: Clock, log: BoundLogger
) -> Reference:
    """Import the configured files that have changed, then read everything in force. Raises ConfigError at the first bad row."""
    for kind, names in (
        ("regions", settings.regions.files),
        ("areas", settings.areas.files),
        ("directory", settings.directory.files),
    ):
        for name in names:
            path = await asyncio.to_thread(resolved, name, config)
            await import_file(store, kind, path, clock, log, as_name=name)
    today = moment(clock.now(), settings.zone).date().isoformat()
    return await store.read(lambda tx: _in_force(tx, today))


async def import_file(
    store: SqlStore, kind: str, path: Path, clock: Clock, log: BoundLogger, as_name: str = ""
) -> int | None:
    """Put a file of `kind` into the store under `as_name`; None if it is there already. Nothing is half imported."""
    name = as_name or str(path)
    try:
        digest = await asyncio.to_thread(lambda: sha256(path.read_bytes()).hexdigest())
    except OSError as error:
        what = f"the {kind} file cannot be read: {error.strerror}."
        raise ConfigError(str(path), what, "Correct its name in the settings.") from error
    if (await store.read(lambda tx: tx.directory.imported(kind))).get(name) == digest:
        return None
    known = await store.read(lambda tx: tx.directory.regions())
    tree = Tree(known)
    now = clock.now()
    if kind == "regions":
        regions = (await asyncio.to_thread(read_regions, path, None, known)).sound()
        await store.write(lambda tx: tx.directory.replace_regions(name, regions, digest, now), turn=Turn.REFERENCE)
        count = len(regions)
    elif kind == "areas":
        areas = (await asyncio.to_thread(read_areas, path, None, tree)).sound()
        await store.write(lambda tx: tx.directory.replace_areas(name, areas, digest, now), turn=Turn.REFERENCE)
        count = len(areas)
    else:
        rows = (await asyncio.to_thread(read_directory, path, None, tree)).sound()
        await store.write(lambda tx: tx.directory.replace_endpoints(name, rows, digest, now), turn=Turn.REFERENCE)
        count = len(rows)
    log.info("reference_imported", kind=kind, file=name, rows=count)
    return count


def _in_force(tx: SqlTransaction, today: str) -> Reference:
    tree = Tree(tx.directory.regions(), today=today)
    areas = {area.id: area for area in tx.directory.areas()}
    return Reference(tree, areas, _directory(tx))


def _directory(tx: SqlTransaction) -> DirectoryColumns:
    """The directory in columns, each endpoint under its number in the store."""
    numbers: list[int] = []

    def rows() -> Iterator[DirectoryRow]:
        for number, row in tx.directory.endpoints():
            numbers.append(number)
            yield row

    held = columns(rows())
    return replace(held, id=np.array(numbers, np.int64))
