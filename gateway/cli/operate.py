"""Commands of the operator: `channels`, `check`, `keys`, `link`, `rebuild`, `deadletters`."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import structlog
import typer

from gateway.app import ADMIN
from gateway.app.channels import configured
from gateway.app.gateway import locked, open_gateway
from gateway.app.reach import queue_answers, store_answers
from gateway.channel import Clock
from gateway.cli.serve import CONFIG, DATA, default_config
from gateway.cli.storing import configured_store, with_store
from gateway.clock import SystemClock
from gateway.errors import TongluoError
from gateway.flow.coverage import Folder
from gateway.flow.office import TERM, WATCH, Alone, Elected, Office
from gateway.model.ids import new_id
from gateway.model.time import rfc3339
from gateway.ports.desk import Principal, Role
from gateway.ports.store import BatchRow, StrayRow
from gateway.settings import QueueSettings, Settings, StoreSettings, read_settings, seconds
from gateway.store import SqlStore, SqlTransaction, StoreKeys
from gateway.store.connection import is_embedded
from gateway.telemetry import Metrics, configure_logging

T = TypeVar("T")
UNMATCHED_FOR = 72 * 3_600_000
LOG = structlog.get_logger("operate")
LETTER = typer.Argument(help="The batch's number, or m and the message's.")
JSON = typer.Option(False, "--json", help="Print JSON.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("channels")(channels)
    app.command("check")(check)
    app.command("link")(link)
    app.command("rebuild")(rebuild)
    keys = typer.Typer(help="API keys.", no_args_is_help=True)
    keys.command("create")(keys_create)
    keys.command("list")(keys_list)
    keys.command("revoke")(keys_revoke)
    app.add_typer(keys, name="keys")
    letters = typer.Typer(
        help="Batches that were given up, and queue messages that nobody could read.", no_args_is_help=True
    )
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
    settings = _probing(read_settings(path))

    async def probe() -> bool:
        with tempfile.TemporaryDirectory(prefix="tongluo-check-") as folder:
            async with open_gateway(settings, Path(folder), config=path, port=0) as gateway:
                return all([await _probed(name, courier.channel) for name, courier in gateway.couriers.items()])

    print(f"✓ {path or 'defaults'}: 配置可用 configuration fits")
    shared = asyncio.run(_shared_parts(read_settings(path)))
    if not (asyncio.run(probe()) and shared):
        raise typer.Exit(1)


async def _shared_parts(settings: Settings) -> bool:
    """Whether the store and the broker that several processes share answer; nothing is changed in them."""
    well = True
    for name, embedded, answers in (
        ("store", settings.store.embedded, store_answers),
        ("queue", settings.queue.embedded, queue_answers),
    ):
        fault = "" if embedded else await answers(settings)
        print(f"✕ {name}: {fault}" if fault else f"✓ {name}")
        well = well and not fault
    return well


def _probing(settings: Settings) -> Settings:
    """The same channels on a store and a queue of their own, with no inbox: what is asked for is whether far sides answer, and
    no message may be taken in or sent for that."""
    sources = tuple(source.model_copy(update={"inbox": ""}) for source in settings.sources)
    return settings.model_copy(update={"store": StoreSettings(), "queue": QueueSettings(), "sources": sources})


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
    expires: str = typer.Option("", help="How long it is good for, e.g. 90d. Default: until it is revoked."),
    config: Path | None = CONFIG,
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
    try:
        until = SystemClock().now() + seconds(expires) * 1000 if expires else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    id, key = _with_keys(config, data, lambda keys: keys.create(who, expires_at=until))
    print(json.dumps({"id": id, "key": key}) if as_json else f"{id}\n{key}")


def keys_list(config: Path | None = CONFIG, data: Path = DATA, as_json: bool = JSON) -> None:
    """All keys, without their secrets."""
    for row in _with_keys(config, data, lambda keys: keys.all()):
        shown = {name: row[name] for name in ("id", "name", "source", "roles", "sandbox")}
        shown |= {"created_at": rfc3339(row["created_at"]), "revoked": row["ended_at"] is not None}
        print(json.dumps(shown, ensure_ascii=False) if as_json else "\t".join(map(str, shown.values())))


def keys_revoke(
    id: str = typer.Argument(help="The key's id."), config: Path | None = CONFIG, data: Path = DATA
) -> None:
    """End a key; takes effect within five seconds."""
    if not _with_keys(config, data, lambda keys: keys.revoke(id)):
        raise TongluoError(f"没有这个有效的密钥 / there is no such key in force: {id}")


def link(
    config: Path | None = CONFIG,
    data: Path = DATA,
    url: str = typer.Option("http://127.0.0.1:8080", "--url", envvar="TONGLUO_URL", help="The gateway."),
) -> None:
    """A one-time link that signs a browser in as administrator; good for 15 minutes."""
    ticket = _with_keys(config, data, lambda keys: keys.ticket(ADMIN))
    print(f"{url}/sign-in?ticket={ticket}")


def rebuild(
    alert: str = typer.Argument(help="The alert's id."), config: Path | None = CONFIG, data: Path = DATA
) -> None:
    """Throw an alert's folds away and fold the journal anew. Stop the gateway for it, or what has the role watch."""

    async def work(store: SqlStore, clock: Clock) -> None:
        row = await store.read(lambda tx: tx.alerts.by_id(alert))
        if row is None:
            raise TongluoError(f"没有这条预警 / there is no alert {alert}")
        async with _watching(store, clock) as office:
            folder = Folder(store, clock, office, Metrics(), LOG, unmatched_for=UNMATCHED_FOR)
            await folder.catch_up()
            await folder.rebuild(row.n)
            account = await folder.account(row.n)
            if account is not None:
                account.book.advance(clock.now())
                account.book.refresh()
                figures = account.book.region().share
                print(f"有回执/估计/可能 receipted/estimated/possible: {figures.lo} {figures.est} {figures.hi}")
            await folder.save()

    with locked(data) if is_embedded(configured_store(config, data)) else nullcontext():
        with_store(config, data, work)


@asynccontextmanager
async def _watching(store: SqlStore, clock: Clock) -> AsyncIterator[Office]:
    """The watch office, ours until the block ends: nobody else folds meanwhile. Raises TongluoError if a leader holds it."""
    if is_embedded(store.url):
        yield Alone(store)
        return
    owner = new_id()
    if await store.write(lambda tx: tx.leases.take(WATCH, owner, clock.now(), clock.now() + TERM)) is None:
        what = "有进程正在值守, 请先停掉 watch 角色 / a watch leader is at work: stop what has the role watch"
        raise TongluoError(f"{what}; {TERM // 1000} 秒后可用 its lease ends within {TERM // 1000} s.")
    office = Elected(WATCH, store, clock, owner, LOG)
    keeping = asyncio.create_task(office.run())
    try:
        while not office.held and not keeping.done():
            await asyncio.sleep(0.01)
        yield office
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def dead_list(config: Path | None = CONFIG, data: Path = DATA, as_json: bool = JSON) -> None:
    """Batches that were given up (by number) and messages that nobody could read (m and a number), newest first."""

    def read(tx: SqlTransaction) -> tuple[list[BatchRow], list[StrayRow]]:
        return tx.outbox.dead(500), tx.strays.page(500)

    batches, strays = with_store(config, data, lambda store, _: store.read(read))
    for shown in [*map(_batch_line, batches), *map(_stray_line, strays)]:
        print(json.dumps(shown, ensure_ascii=False) if as_json else "\t".join(map(str, shown.values())))


def _batch_line(row: BatchRow) -> dict[str, Any]:
    return {
        "batch": row.n,
        "channel": row.channel,
        "endpoints": len(row.ordinals),
        "attempts": row.attempts,
        "reason": row.reason,
    }


def _stray_line(row: StrayRow) -> dict[str, Any]:
    return {
        "message": f"m{row.n}",
        "route": row.route,
        "bytes": len(row.body),
        "at": rfc3339(row.at),
        "reason": row.reason,
        "replay": row.replay,
    }


def dead_show(letter: str = LETTER, config: Path | None = CONFIG, data: Path = DATA) -> None:
    """One dead letter: a given-up batch with its alert and words, or an unreadable message with what it holds."""
    is_stray, number = _which(letter)

    def read(tx: SqlTransaction) -> dict[str, Any] | None:
        return _stray_shown(tx, number) if is_stray else _batch_shown(tx, number)

    shown = with_store(config, data, lambda store, _: store.read(read))
    if shown is None:
        raise _no_letter(letter)
    print(json.dumps(shown, ensure_ascii=False, indent=2))


def _batch_shown(tx: SqlTransaction, number: int) -> dict[str, Any] | None:
    row = tx.outbox.find(number)
    if row is None:
        return None
    alert = tx.alerts.by_number(tx.dispatches.get(row.dispatch).alert)
    words = tx.dispatches.message(row.dispatch, row.channel, row.variant)
    return _batch_line(row) | {
        "state": row.state.value,
        "alert": alert.id if alert else "",
        "headline": alert.headline if alert else "",
        "expires_at": rfc3339(row.expires_at),
        "text": words.text,
    }


def _stray_shown(tx: SqlTransaction, number: int) -> dict[str, Any] | None:
    row = tx.strays.get(number)
    return None if row is None else _stray_line(row) | {"body": row.body.decode("utf-8", "backslashreplace")}


def dead_replay(letter: str = LETTER, config: Path | None = CONFIG, data: Path = DATA) -> None:
    """Put a given-up batch back to work, or an unreadable message back on its queue; running gateways do it within seconds."""
    is_stray, number = _which(letter)

    async def ask(store: SqlStore, clock: Clock) -> bool:
        now = clock.now()
        return await store.write(lambda tx: tx.strays.ask_replay(number) if is_stray else tx.outbox.revive(number, now))

    if not with_store(config, data, ask):
        raise _no_letter(letter)


def _which(letter: str) -> tuple[bool, int]:
    """(whether it is a message, its number) of `17` or `m17`."""
    digits = letter.removeprefix("m")
    if not (digits.isascii() and digits.isdigit()):
        raise typer.BadParameter(f"{letter!r} is neither a batch such as 17 nor a message such as m17")
    return letter.startswith("m"), int(digits)


def _no_letter(letter: str) -> TongluoError:
    return TongluoError(f"没有这个死信 / {letter} is not among the dead letters")


def _with_keys(config: Path | None, data: Path, work: Callable[[StoreKeys], Awaitable[T]]) -> T:
    return with_store(config, data, lambda store, clock: work(StoreKeys(store, clock)))
