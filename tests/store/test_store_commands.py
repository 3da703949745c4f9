"""The store's commands: `migrate`, `backup`, `restore`, and those that look into it, on either database as the settings name it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filled import fill, rows_of
from store_kit import NOW, as_a_stranger, keep, new_batch, new_store, open_dispatch, opened
from typer.testing import CliRunner, Result

from gateway.app.gateway import locked
from gateway.cli import app
from gateway.errors import TongluoError
from gateway.flow.office import WATCH
from gateway.model.dispatch import Message, WorkState
from gateway.ports.rows import ProcessRow
from gateway.store import SqlTransaction, migrate

Tongluo = Callable[..., Result]


@pytest.fixture
def tongluo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tongluo]:
    """Runs a command in an empty folder, on its `data`."""
    monkeypatch.chdir(tmp_path)
    usual = os.umask(0o022)
    os.umask(usual)

    def run(*words: str, url: str = "", fails: bool = False) -> Result:
        named = {"TONGLUO_STORE__URL": url} if url else {}
        result = CliRunner().invoke(app, [*words, "--data", "data"], env=named)
        if not fails and result.exception is not None:
            raise result.exception
        return result

    yield run
    os.umask(usual)


def refusal(result: Result) -> str:
    """What a command says that is refused."""
    assert isinstance(result.exception, TongluoError), result.output
    return str(result.exception)


def change(url: str, work: Callable[[SqlTransaction], Any]) -> Any:
    async def write() -> Any:
        async with opened(url) as store:
            return await store.write(work)

    return asyncio.run(write())


@pytest.fixture
def old(tmp_path: Path) -> str:
    """URL of a store with rows, in a data folder of its own."""
    (tmp_path / "old").mkdir()
    url = new_store(tmp_path / "old")
    change(url, fill)
    return url


def test_migrate_says_the_revision_before_and_after(tongluo: Tongluo, tmp_path: Path, postgres: str) -> None:
    for url, name in (("", "sqlite:///data/tongluo.db"), (postgres, postgres)):
        first, again = tongluo("migrate", url=url).output, tongluo("migrate", url=url).output
        assert first.startswith(f"{name}: 空 empty -> 0")
        newest = first.split("-> ")[1].strip()
        assert again.strip() == f"{name}: {newest} -> {newest}"
    assert (tmp_path / "data" / "tongluo.db").stat().st_mode & 0o777 == 0o600


def test_a_store_is_handed_over_to_another_database_and_back(tongluo: Tongluo, old: str, postgres: str) -> None:
    held = rows_of(old)
    said = tongluo("migrate", "--from", old, url=postgres).output
    assert f"handed over: {sum(map(len, held.values()))} 行 rows" in said
    assert rows_of(postgres) == held
    tongluo("migrate", "--from", postgres)
    assert rows_of("sqlite:///data/tongluo.db") == held
    assert "is not empty" in refusal(tongluo("migrate", "--from", old, url=postgres, fails=True))


def test_a_store_at_work_is_not_handed_over(tongluo: Tongluo, tmp_path: Path, old: str, postgres: str) -> None:
    with locked(tmp_path / "old"):
        assert "another Tongluo is running" in refusal(tongluo("migrate", "--from", old, url=postgres, fails=True))
    tongluo("migrate", "--from", old, url=postgres)
    change(postgres, lambda tx: tx.processes.tell(ProcessRow("w-9", ("web",), "", tx.time()[0])))
    assert "1 processes are at work on it" in refusal(tongluo("migrate", "--from", postgres, fails=True))
    as_a_stranger(postgres, "UPDATE process SET at = at - 16000")
    tongluo("migrate", "--from", postgres)


def test_a_running_gateways_folder_is_not_restored_into(tongluo: Tongluo, tmp_path: Path, old: str) -> None:
    with locked(tmp_path / "data"):
        for words in (["restore", str(tmp_path / "old" / "tongluo.db")], ["migrate", "--from", old], ["migrate"]):
            assert "another Tongluo is running" in refusal(tongluo(*words, fails=True))


def test_a_backup_is_noted_in_the_audit_and_restored_whole(tongluo: Tongluo, tmp_path: Path, store_url: str) -> None:
    change(store_url, fill)
    tongluo("backup", "b.db", url=store_url)
    last = rows_of(store_url)["audit"][-1]
    assert (last["who"], last["what"], last["note"]) == ("operator", "backup", "b.db")
    assert abs(last["at"] - change(store_url, lambda tx: tx.time()[0])) < 600_000
    assert "it is there already" in refusal(tongluo("backup", "b.db", url=store_url, fails=True))
    fresh = f"sqlite:///{tmp_path / 'new' / 'tongluo.db'}"
    tongluo("restore", "b.db", url=fresh)
    held = rows_of(store_url)
    del held["audit"][-1]
    assert rows_of(fresh) == held
    assert "is not empty" in refusal(tongluo("restore", "b.db", url=fresh, fails=True))


def test_a_store_that_is_not_there_makes_no_backup(tongluo: Tongluo, tmp_path: Path) -> None:
    assert "there is no store" in refusal(tongluo("backup", "b.db", fails=True))
    nowhere = "postgresql://gw@127.0.0.1:1/none"
    assert "cannot be copied" in refusal(tongluo("backup", "b.db", url=nowhere, fails=True))
    assert not (tmp_path / "b.db").exists()


def test_a_configuration_file_names_the_store(tongluo: Tongluo, tmp_path: Path, postgres: str) -> None:
    (tmp_path / "password").write_text("geheim\n")
    (tmp_path / "t.yaml").write_text(f"store: {{url: '{postgres}', password_file: '{tmp_path / 'password'}'}}\n")
    made = CliRunner().invoke(app, ["keys", "create", "w", "--json", "--data", "data", "--config", "t.yaml"])
    key = json.loads(made.output)
    assert json.loads(tongluo("keys", "list", "--json", url=postgres).output)["id"] == key["id"]
    tongluo("keys", "revoke", key["id"], url=postgres)
    assert json.loads(tongluo("keys", "list", "--json", url=postgres).output)["revoked"]
    assert "/sign-in?ticket=" in tongluo("link", url=postgres).output
    assert not (tmp_path / "data" / "tongluo.db").exists()


def give_up(tx: SqlTransaction) -> None:
    """One batch that is given up, one message that nobody could read."""
    alert = tx.alerts.by_identity("met@example", "A-1", NOW)
    assert alert is not None
    dispatch = open_dispatch(tx, alert.n)
    tx.dispatches.put_message(dispatch, "sms", 0, Message("zh-CN", "大雨"), [])
    tx.outbox.add(dispatch, [new_batch()], NOW)
    batch = tx.outbox.of_dispatch(dispatch)[-1].n
    tx.outbox.begin(batch, "w", 1, NOW, 10)
    tx.outbox.close(batch, "w", WorkState.DEAD, "rejected")


def test_dead_letters_are_batches_and_messages(tongluo: Tongluo, store_url: str) -> None:
    change(store_url, fill)
    change(store_url, give_up)
    listed = [json.loads(line) for line in tongluo("deadletters", "list", "--json", url=store_url).output.splitlines()]
    batch, message = listed[0]["batch"], listed[1]["message"]
    assert (listed[0]["reason"], message, listed[1]["reason"]) == ("rejected", "m1", "no JSON")
    shown = json.loads(tongluo("deadletters", "show", str(batch), url=store_url).output)
    assert (shown["text"], shown["headline"]) == ("大雨", "暴雨橙色预警")
    assert json.loads(tongluo("deadletters", "show", "m1", url=store_url).output)["body"] == "\\xff{"
    tongluo("deadletters", "replay", str(batch), url=store_url)
    tongluo("deadletters", "replay", "m1", url=store_url)
    assert rows_of(store_url)["stray"][0]["replay"] is True
    assert {row["state"] for row in rows_of(store_url)["batch"]} == {"pending"}
    for unknown in ("m9", "99"):
        for verb in ("show", "replay"):
            assert "not among the dead" in refusal(tongluo("deadletters", verb, unknown, url=store_url, fails=True))
    assert tongluo("deadletters", "show", "x7", url=store_url, fails=True).exit_code == 2


def test_rebuild_waits_for_nobody_who_leads(tongluo: Tongluo, postgres: str) -> None:
    migrate(postgres)
    change(postgres, keep)
    change(postgres, lambda tx: tx.leases.take(WATCH, "w-1", *lease(tx)))
    assert "watch leader is at work" in refusal(tongluo("rebuild", "id-A-1", url=postgres, fails=True))
    change(postgres, lambda tx: tx.leases.give_up(WATCH, "w-1"))
    assert tongluo("rebuild", "id-A-1", url=postgres).exit_code == 0
    [office] = rows_of(postgres)["lease"]
    assert (office["until"], office["token"]) == (0, 2), "taken for the work, and given up"
    assert "there is no alert" in refusal(tongluo("rebuild", "id-A-9", url=postgres, fails=True))


def lease(tx: SqlTransaction) -> tuple[int, int]:
    now, _ = tx.time()
    return now, now + 60_000


def test_rebuild_leaves_a_running_gateways_store_alone(tongluo: Tongluo, tmp_path: Path) -> None:
    with locked(tmp_path / "data"):
        assert "another Tongluo is running" in refusal(tongluo("rebuild", "id-A-1", fails=True))
