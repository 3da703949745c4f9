"""The gateway in one process, ended at random moments under load, again and again on one data folder: kill -9 and SIGTERM by turns,
some of them while it starts; and then the checker.

`duplicates_total` dies with its process, so what was sent twice is held against the attempts in the journal, which every life
appends to before it sends. The longer form has FAULT_ROUNDS kills; the others of the twelve are in test_fleet.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from typing import Any

import pytest
from clients import Clients
from nursery import Nursery
from program import Program, drained, gathered, under_load, verdict_on
from rounds import ROUNDS, SEED, Say, rule_of_three
from witness import Witness

KILLS = ROUNDS // 2
WINDOW = 4 * 6
"""Endpoints in flight at most: `parallel` of the channel x the largest batch here."""

pytest_plugins = ("lending",)
pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(120 + 20 * ROUNDS),
    pytest.mark.asyncio(loop_scope="session"),
]


async def one_life(program: Program, clients: Clients, chance: Random) -> None:
    """Start it and kill it at a random moment: one time in six while it starts, else after so many answers and a moment more."""
    await program.launch()
    if chance.random() < 1 / 6:
        await asyncio.sleep(chance.uniform(0, 1.5))
    else:
        await program.wait_until_ready()
        await clients.answered(chance.randint(0, 40))
        await asyncio.sleep(chance.uniform(0, 0.05))
    await program.kill()


async def one_orderly_life(program: Program, clients: Clients, chance: Random) -> None:
    """Start it, and end it with SIGTERM in mid-work."""
    await program.launch()
    await program.wait_until_ready()
    await clients.answered(chance.randint(1, 40))
    assert await program.terminate() == 0, (await program.log())[-3000:]


async def sent_again_by(life: Coroutine[Any, Any, None], sms: Witness) -> int:
    """Live a life; returns how many messages of it had come before. What lies in the socket of the dead is read first."""
    before = len(sms.received)
    await life
    while sms.lines:
        await asyncio.sleep(0.01)
    return sms.sent_again(before)


async def test_nothing_accepted_is_lost_however_it_ends(tmp_path: Path, nursery: Nursery, say: Say) -> None:
    """F1, F21."""
    chance, repeated, orderly = Random(SEED), [0], KILLS // 2
    faults = "slow=0.03,early=0.05,double=0.05,unordered"
    async with under_load(tmp_path, nursery, 7, faults=faults) as (program, clients, sms):
        for number in range(KILLS):
            repeated.append(await sent_again_by(one_life(program, clients, chance), sms))
            if number % 2:
                repeated.append(await sent_again_by(one_orderly_life(program, clients, chance), sms))
        before = len(sms.received)
        await program.launch()
        await program.wait_until_ready()
        await drained(program, clients, sms, 60 + ROUNDS)
        repeated.append(sms.sent_again(before))
        assert await program.terminate() == 0, (await program.log())[-3000:]
        assert await asyncio.to_thread(program.integrity) == "ok"
        verdict, ready = await verdict_on(program, gathered(clients, sms)), sorted(program.ready)
        say(
            f"{KILLS} kills -9 and {orderly} SIGTERM: {len(clients.evidence.wanted)} messages posted, "
            f"{len(clients.evidence.acked)} acknowledged (answers {dict(sorted(clients.statuses.items()))}), "
            f"{len(sms.received)} SMS, {verdict.duplicates} of them twice (at most {max(repeated)} in one life, window "
            f"{WINDOW}); {verdict.faults or 'lost 0, unexpected 0, overclaimed 0, underclaimed 0'}; ready again after "
            f"{ready[len(ready) // 2]:.1f} s (p95 {ready[int(len(ready) * 0.95) - 1]:.1f} s); {rule_of_three(KILLS)}"
        )
        assert "Traceback" not in await program.log()
    assert verdict.faults == {}
    assert sum(repeated) == verdict.duplicates
    assert max(repeated) <= WINDOW, "no more is sent twice after a kill than was in flight"
    assert len(clients.evidence.acked) > KILLS


async def test_an_orderly_end_sends_nothing_twice(tmp_path: Path, nursery: Nursery, say: Say) -> None:
    """F21: SIGTERM in mid-work lets what is on the wire end."""
    chance, rounds = Random(3), max(3, ROUNDS // 4)
    async with under_load(tmp_path, nursery, 3, faults="slow=0.05") as (program, clients, sms):
        for _ in range(rounds):
            await one_orderly_life(program, clients, chance)
        await program.launch()
        await program.wait_until_ready()
        await drained(program, clients, sms)
        assert await program.terminate() == 0
        verdict = await verdict_on(program, gathered(clients, sms))
        say(f"{rounds} orderly ends: {len(clients.evidence.acked)} messages, {len(sms.received)} SMS, {verdict}")
        assert "Traceback" not in await program.log()
    assert verdict.faults == {}
    assert verdict.duplicates == 0
