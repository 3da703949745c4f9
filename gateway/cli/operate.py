"""Commands of the operator: `channels`, `check`, `keys`, `link`, `rebuild`, `backup`, `deadletters`."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import structlog
import typer

from gateway.app import ADMIN
from gateway.app.channels import configured
from gateway.app.gateway import locked, open_gateway
from gateway.cli.serve import CONFIG, DATA, default_config
from gateway.clock import SystemClock
from gateway.errors import ConfigError, TongluoError
from gateway.flow.coverage import Folder
from gateway.model.time import rfc3339
from gateway.ports.desk import Principal, Role
from gateway.settings import read_settings
from gateway.store import SqlStore, StoreKeys, backup, migrate
from gateway.telemetry import Metrics, configure_logging

T = TypeVar("T")
UNMATCHED_FOR = 72 * 3_600_000
JSON = typer.Option(False, "--json", help="Print JSON.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("channels")(channels)
    app.command("check")(check)
    app.command("link")(link)
    app.command("rebuild")(rebuild)
    app.command("backup")(backup_store)
    keys = typer.Typer(help="API keys.", no_args_is_help=True)
    keys.command("create")(keys_create)
    keys.command("list")(keys_list)
    keys.command("revoke")(keys_revoke)
    app.add_typer(keys, name="keys")
    letters = typer.Typer(help="Batches that were given up.", no_args_is_help=True)
    letters.command("list")(dead_list)
    letters.command("show")(dead_show)
    letters.command("replay")(dead_replay)
    app.add_typer(letters, name="deadletters")


def channels(config: Path | None = CONFIG, as_json: bool = JSON) -> None:
    """The configured channels: type, abilities, what they prove."""
    path = default_config(config)
    for entry in configured(read_settings(path).channels):
        abilities = [name for name in ("probe", "recall", "callback") if hasattr(entry.factory, name)]
        shown = {"channel": entry.name, "type": entry.type, "abilities": abilities, "sink": entry.config.sink}
        plain = f"{entry.name}\t{entry.type}\t{', '.join(abilities)}"
        print(json.dumps(shown, ensure_ascii=False) if as_json else plain)


def check(config: Path | None = CONFIG) -> None:
    """Check the configuration and whether every far side answers."""
    configure_logging()
    path = default_config(config)
    settings = read_settings(path)

    async def probe() -> bool:
        with tempfile.TemporaryDirectory(prefix="tongluo-check-") as folder:
            async with open_gateway(settings, Path(folder), config=path, port=0) as gateway:
                return all([await _probed(name, courier.channel) for name, courier in gateway.couriers.items()])

    print(f"✓ {path or 'defaults'}: 配置可用 configuration fits")
    if not asyncio.run(probe()):
        raise typer.Exit(1)


async def _probed(name: str, channel: Any) -> bool:
    if not hasattr(channel, "probe"):
        print(f"– {name}: 不能探测 cannot be probed")
        return True
    try:
        async with asyncio.timeout(10):
            await channel.probe()
    except (TongluoError, TimeoutError) as error:
        print(f"✕ {name}: {error or 'no answer within 10 s'}")
        return False
    print(f"✓ {name}")
    return True


def keys_create(
    name: str = typer.Argument(help="Whose key it is."),
    source: str = typer.Option("", help="The source it posts for."),
    role: list[str] = typer.Option([], help="source, author, reviewer, approver, admin, viewer. May be repeated."),
    sandbox: bool = typer.Option(False, help="Whatever it posts has status Test."),
    data: Path = DATA,
    as_json: bool = JSON,
) -> None:
    """Make a key. It is shown once."""
    try:
        roles = frozenset(Role(each) for each in role) or frozenset({Role.SOURCE if source else Role.VIEWER})
    except ValueError as error:
        raise typer.BadParameter(f"{error}; known are {', '.join(each.value for each in Role)}") from error
    if source:
        roles |= {Role.SOURCE}
    who = Principal(name, name, roles, source, (), sandbox)
    id, key = _with_keys(data, lambda keys: keys.create(who))
    print(json.dumps({"id": id, "key": key}) if as_json else f"{id}\n{key}")


def keys_list(data: Path = DATA, as_json: bool = JSON) -> None:
    """All keys, without their secrets."""
    for row in _with_keys(data, lambda keys: keys.all()):
        shown = {name: row[name] for name in ("id", "name", "source", "roles", "sandbox")}
        shown |= {"created_at": rfc3339(row["created_at"]), "revoked": row["ended_at"] is not None}
        print(json.dumps(shown, ensure_ascii=False) if as_json else "\t".join(map(str, shown.values())))


def keys_revoke(id: str = typer.Argument(help="The key's id."), data: Path = DATA) -> None:
    """End a key; takes effect within five seconds."""
    if not _with_keys(data, lambda keys: keys.revoke(id)):
        raise TongluoError(f"没有这个有效的密钥 / there is no such key in force: {id}")


def link(
    data: Path = DATA,
    url: str = typer.Option("http://127.0.0.1:8080", "--url", envvar="TONGLUO_URL", help="The gateway."),
) -> None:
    """A one-time link that signs a browser in as administrator; good for 15 minutes."""
    ticket = _with_keys(data, lambda keys: keys.ticket(ADMIN))
    print(f"{url}/sign-in?ticket={ticket}")


def rebuild(alert: str = typer.Argument(help="The alert's id."), data: Path = DATA) -> None:
    """Throw an alert's folds away and fold the journal anew. Stop the gateway for it."""

    async def work(store: SqlStore) -> None:
        row = await store.read(lambda tx: tx.alerts.by_id(alert))
        if row is None:
            raise TongluoError(f"没有这条预警 / there is no alert {alert}")
        folder = Folder(store, SystemClock(), Metrics(), structlog.get_logger("rebuild"), unmatched_for=UNMATCHED_FOR)
        await folder.catch_up()
        await folder.rebuild(row.n)
        account = await folder.account(row.n)
        if account is not None:
            account.book.advance(SystemClock().now())
            account.book.refresh()
            figures = account.book.region().share
            print(f"有回执/估计/可能 receipted/estimated/possible: {figures.lo} {figures.est} {figures.hi}")
        await folder.save()

    with locked(data):
        _with_store(data, work)


def backup_store(target: Path = typer.Argument(help="Where to write the copy."), data: Path = DATA) -> None:
    """Copy the embedded store while it is in use."""
    source = data / "tongluo.db"
    if not source.exists():
        raise ConfigError(str(source), "there is no store.", "Name the data folder with --data.")
    if target.exists():
        raise ConfigError(str(target), "it is there already.", "Choose another name.")
    backup(source, target)
    print(f"{source} -> {target}")


def dead_list(data: Path = DATA, as_json: bool = JSON) -> None:
    """Batches that were given up, newest first."""

    async def work(store: SqlStore) -> list[Any]:
        return await store.read(lambda tx: tx.outbox.dead(500))

    for row in _with_store(data, work):
        shown = {
            "batch": row.n,
            "channel": row.channel,
            "endpoints": len(row.ordinals),
            "attempts": row.attempts,
            "reason": row.reason,
        }
        print(json.dumps(shown) if as_json else "\t".join(map(str, shown.values())))


def dead_show(batch: int = typer.Argument(help="The batch's number."), data: Path = DATA) -> None:
    """One given-up batch: its alert, words and masked endpoints."""

    async def work(store: SqlStore) -> dict[str, Any]:
        def read(tx: Any) -> dict[str, Any]:
            row = tx.outbox.get(batch)
            dispatch = tx.dispatches.get(row.dispatch)
            alert = tx.alerts.by_number(dispatch.alert)
            words = tx.dispatches.message(row.dispatch, row.channel, row.variant)
            return {
                "batch": row.n,
                "state": row.state.value,
                "channel": row.channel,
                "reason": row.reason,
                "attempts": row.attempts,
                "endpoints": len(row.ordinals),
                "alert": alert.id,
                "headline": alert.headline,
                "expires_at": rfc3339(row.expires_at),
                "text": words.text,
            }

        return await store.read(read)

    print(json.dumps(_with_store(data, work), ensure_ascii=False, indent=2))


def dead_replay(batch: int = typer.Argument(help="The batch's number."), data: Path = DATA) -> None:
    """Put a given-up batch back to work; a running gateway takes it within a second or two."""
    now = SystemClock().now()

    async def work(store: SqlStore) -> bool:
        return await store.write(lambda tx: tx.outbox.revive(batch, now))

    if not _with_store(data, work):
        raise TongluoError(f"没有这个死信批次 / batch {batch} is not among the dead letters")


def _with_keys(data: Path, work: Callable[[StoreKeys], Awaitable[T]]) -> T:
    async def on_store(store: SqlStore) -> T:
        return await work(StoreKeys(store, SystemClock()))

    return _with_store(data, on_store)


def _with_store(data: Path, work: Callable[[SqlStore], Awaitable[T]]) -> T:
    """Work on the store of a data folder, beside a running gateway or without one."""

    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    url = f"sqlite:///{data / 'tongluo.db'}"

    async def run() -> T:
        await asyncio.to_thread(migrate, url)
        store = SqlStore(url, SystemClock())
        try:
            return await work(store)
        finally:
            await store.aclose()

    return asyncio.run(run())
