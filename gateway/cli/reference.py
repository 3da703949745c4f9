"""Commands for reference data: `regions`, `directory` and `areas`, each with `check`, `import` and `export`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import structlog
import typer

from gateway.app.gateway import locked
from gateway.app.reference import import_file
from gateway.channel import Clock
from gateway.cli.serve import CONFIG, DATA
from gateway.cli.storing import with_store
from gateway.errors import TongluoError
from gateway.reference.areas import read_areas, write_areas
from gateway.reference.directory import read_directory, write_directory
from gateway.reference.regions import read_regions, write_regions
from gateway.reference.tables import Loaded
from gateway.rules.tree import Tree
from gateway.store import SqlStore, SqlTransaction

WRITERS: dict[str, Callable[[Any], Iterable[str]]] = {
    "regions": write_regions,
    "areas": write_areas,
    "directory": write_directory,
}
MAPPING = typer.Option(
    [], "--heading", help="A heading of your own: NAME=column, e.g. 手机号=address. May be repeated."
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for kind, says in (
        ("regions", "Divisions."),
        ("directory", "Endpoints and the people behind them."),
        ("areas", "Named areas."),
    ):
        group = typer.Typer(help=says, no_args_is_help=True)
        group.command("check")(_check(kind))
        group.command("import")(_import(kind))
        group.command("export")(_export(kind))
        app.add_typer(group, name=kind)


def read(kind: str, path: Path, mapping: dict[str, str] | None = None, tree: Tree | None = None) -> Loaded[Any]:
    """Read a file of `kind`."""
    if kind == "regions":
        return read_regions(path, mapping, tree or ())
    return read_areas(path, mapping, tree) if kind == "areas" else read_directory(path, mapping, tree)


def _check(kind: str) -> Callable[..., None]:
    def check(
        file: Path = typer.Argument(help=".csv (UTF-8, BOM, GB18030) or .xlsx"),
        heading: list[str] = MAPPING,
        as_json: bool = typer.Option(False, "--json", help="One JSON object per bad row."),
    ) -> None:
        """Read a file and name every bad row with its reason. Nothing is stored."""
        found = read(kind, file, _mapping(heading))
        for problem in found.problems:
            shown = {
                "line": problem.line,
                "column": problem.column,
                "value": problem.value,
                "zh": problem.zh,
                "en": problem.en,
            }
            plain = f"{file}:{problem.line}: {problem.column} {problem.value!r}: {problem.zh} / {problem.en}"
            print(json.dumps(shown, ensure_ascii=False) if as_json else plain)
        print(f"{len(found.rows)} 行可用 rows fit, {len(found.problems)} 处问题 problems")
        raise typer.Exit(0 if found.ok else 1)

    return check


def _import(kind: str) -> Callable[..., None]:
    def bring(
        file: Path = typer.Argument(help=".csv (UTF-8, BOM, GB18030) or .xlsx"),
        config: Path | None = CONFIG,
        data: Path = DATA,
        yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    ) -> None:
        """Replace the rows that this file brought before; shows the difference first. Stop the gateway for it."""

        async def work(store: SqlStore, clock: Clock) -> None:
            before = await store.read(lambda tx: rows_of(tx, kind))
            tree = Tree(await store.read(lambda tx: tx.directory.regions()))
            after = read(kind, file, None, None if kind == "regions" else tree).sound()
            added, changed = _difference(kind, before, after)
            print(f"新增 added {added}, 变更 changed {changed}, 文件共 rows {len(after)}")
            if not yes and not typer.confirm("导入 import?"):
                raise TongluoError("没有改动 / nothing was changed")
            await import_file(store, kind, file, clock, structlog.get_logger("import"))
            print("已导入 imported")

        with locked(data):
            with_store(config, data, work)

    return bring


def _export(kind: str) -> Callable[..., None]:
    def export(
        file: Path = typer.Argument(help="Where to write the CSV (UTF-8 with BOM)."),
        config: Path | None = CONFIG,
        data: Path = DATA,
    ) -> None:
        """Write what is in force as CSV; `import` reads it back unchanged."""

        async def work(store: SqlStore, clock: Clock) -> None:
            rows = await store.read(lambda tx: rows_of(tx, kind))
            await asyncio.to_thread(file.write_text, "".join(WRITERS[kind](rows)), encoding="utf-8", newline="")
            print(f"{len(rows)} 行 rows -> {file}")

        with locked(data):
            with_store(config, data, work)

    return export


def rows_of(tx: SqlTransaction, kind: str) -> list[Any]:
    """What is in force of `kind`."""
    if kind == "regions":
        return tx.directory.regions()
    return tx.directory.areas() if kind == "areas" else [row for _, row in tx.directory.endpoints()]


def _difference(kind: str, before: Sequence[Any], after: Sequence[Any]) -> tuple[int, int]:
    key = {"regions": "code", "areas": "id", "directory": "endpoint"}[kind]
    known = {getattr(row, key): row for row in before}
    added = sum(getattr(row, key) not in known for row in after)
    return added, sum(getattr(row, key) in known and known[getattr(row, key)] != row for row in after)


def _mapping(headings: Sequence[str]) -> dict[str, str] | None:
    pairs = [heading.partition("=") for heading in headings]
    if any(not sign for _, sign, _ in pairs):
        raise typer.BadParameter("write --heading as NAME=column")
    return {name: column for name, _, column in pairs} or None
