"""Duties: which roles a process may have with which store and queue, and with which words the others are refused."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from gateway.app.duties import ALL, Duty, refuse_mismatch
from gateway.errors import ConfigError
from gateway.settings import Settings

POSTGRES, RABBIT = "postgresql://gw@127.0.0.1:1/gw", "amqp://gw@127.0.0.1:1/"
SOME = [frozenset(some) for size in (1, 2, 3) for some in itertools.combinations(Duty, size)]


def configured(store: str = "", queue: str = "embedded:") -> Settings:
    return Settings.model_validate({"store": {"url": store}, "queue": {"url": queue}})


def refused(settings: Settings, duties: frozenset[Duty]) -> str:
    with pytest.raises(ConfigError) as error:
        refuse_mismatch(settings, duties)
    return str(error.value)


@pytest.mark.parametrize("duties", SOME, ids=lambda duties: "-".join(sorted(duties)))
def test_a_part_of_the_roles_needs_a_store_and_a_queue_that_can_be_shared(duties: frozenset[Duty]) -> None:
    roles = ", ".join(sorted(duties))
    assert refused(configured(), duties) == (
        f"--role: a process with the roles {roles} alone needs store.url: postgresql://... and queue.url: amqp://.... "
        "Set them, or leave --role out: one process does everything."
    )
    assert f"{roles} alone needs queue.url: amqp://... Set" in refused(configured(POSTGRES), duties).replace(
        "....", "..."
    )
    assert f"{roles} alone needs store.url: postgresql://... Set" in refused(configured("", RABBIT), duties).replace(
        "....", "..."
    )
    refuse_mismatch(configured(POSTGRES, RABBIT), duties)


def test_one_process_that_does_everything_works_with_all_but_a_shared_store_on_a_queue_of_its_own() -> None:
    for settings in (
        configured(),
        configured("", RABBIT),
        configured(POSTGRES, RABBIT),
        configured("sqlite:////tmp/x"),
    ):
        refuse_mismatch(settings, ALL)
    why = refused(configured(POSTGRES), ALL)
    assert why.startswith(
        "queue.url: several processes could share this store, and the embedded queue serves only one."
    )
    assert why.endswith("Set queue.url: amqp://..., or use a store of this machine (sqlite:///...).")


async def tongluo(folder: Path, *arguments: str) -> tuple[int | None, str, str]:
    """Run the command line in an empty folder: (exit status, what it printed, its errors)."""
    program = Path(sys.executable).with_name("tongluo")
    process = await asyncio.create_subprocess_exec(program, *arguments, cwd=folder, stdout=PIPE, stderr=PIPE)
    try:
        printed, errors = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, printed.decode(), errors.decode()


async def test_a_role_without_the_servers_it_needs_ends_with_one_plain_sentence(tmp_path: Path) -> None:
    status, printed, errors = await tongluo(tmp_path, "run", "--role", "deliver")
    assert (status, printed) == (1, "")
    assert len(errors.strip().splitlines()) == 1
    assert (
        "a process with the roles deliver alone needs store.url: postgresql://... and queue.url: amqp://..." in errors
    )
    assert "Traceback" not in errors
    assert os.listdir(tmp_path) == [], "nothing was begun"


async def test_an_unknown_role_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    status, _, errors = await tongluo(tmp_path, "run", "--role", "deliver,sing")
    assert status == 2
    assert "unknown role sing" in errors
    assert "intake, deliver" in errors
