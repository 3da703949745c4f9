"""kill -9 of the running gateway at random moments under load, again and again on one data folder, and then the checker.

FAULT_ROUNDS kills (12 unless said otherwise, `make faults` = 200), some of them while it starts. `duplicates_total` dies with its
process, so what was sent twice is held against the attempts in the journal, which every life appends to before it sends.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from random import Random

import pytest
from checker import Evidence, Verdict, examine, rule_of_three
from program import Clients, Program, drained, gathered, under_load
from store_kit import url_of

from channels.sms.simulator import SmsCentre
from gateway.store import SqlStore
from gateway.testing.clock import ManualClock

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "12"))
WINDOW = 4 * 6
"""Endpoints in flight at most: `parallel` of the channel x the largest batch here."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60 + 20 * ROUNDS)]


async def verdict_on(program: Program, evidence: Evidence) -> Verdict:
    """The checker's word on the folder that the program left."""
    store = SqlStore(url_of(program.data), ManualClock())
    try:
        return await examine(store, evidence)
    finally:
        await store.aclose()


async def one_life(program: Program, clients: Clients, chance: Random) -> None:
    """Start it and kill it at a random moment: one time in six while it starts, else after so many answers and a moment more."""
    await program.launch()
    if chance.random() < 1 / 6:
        await asyncio.sleep(chance.uniform(0, 3))
    else:
        await program.wait_until_ready()
        await clients.answered(chance.randint(0, 40))
        await asyncio.sleep(chance.uniform(0, 0.05))
    await program.kill()


async def test_nothing_accepted_is_lost_by_kill_9(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = Random(int(os.environ.get("FAULT_SEED", "20260722")))
    repeated: list[int] = []
    async with under_load(tmp_path, 7, faults="slow=0.03,early=0.05,double=0.05,unordered") as (program, clients, sms):
        for _ in range(ROUNDS):
            before = len(sms.received)
            await one_life(program, clients, chance)
            repeated.append(sent_again(sms, before))
        before = len(sms.received)
        await program.launch()
        await program.wait_until_ready()
        await drained(program, clients, sms, 60 + ROUNDS)
        repeated.append(sent_again(sms, before))
        assert await program.terminate() == 0, await program.log_tail()
        assert await asyncio.to_thread(program.integrity) == "ok"
        verdict = await verdict_on(program, gathered(clients, sms))
        report(capsys, program, clients, sms, verdict, repeated)
    assert verdict.faults == {}
    assert max(repeated) <= WINDOW, "no more is sent twice after a kill than was in flight"
    assert len(clients.evidence.acked) > ROUNDS


def sent_again(sms: SmsCentre, before: int) -> int:
    """Messages of the last life whose key an earlier life had sent."""
    known = {item["key"] for item in sms.received[:before]}
    return sum(item["key"] in known for item in sms.received[before:])


def report(
    capsys: pytest.CaptureFixture[str],
    program: Program,
    clients: Clients,
    sms: SmsCentre,
    verdict: Verdict,
    repeated: list[int],
) -> None:
    """Print the figures."""
    ready = sorted(program.ready)
    with capsys.disabled():
        print(
            f"\n{ROUNDS} kills: {len(clients.evidence.wanted)} messages posted, {len(clients.evidence.acked)} acknowledged "
            f"(answers {dict(sorted(clients.statuses.items()))}), {len(sms.received)} SMS, {verdict.duplicates} of them twice "
            f"(at most {max(repeated)} after one kill, window {WINDOW}); "
            f"{verdict.faults or 'lost 0, unexpected 0, overclaimed 0, underclaimed 0'}; ready again after "
            f"{ready[len(ready) // 2]:.1f} s (p95 {ready[int(len(ready) * 0.95) - 1]:.1f} s); {rule_of_three(ROUNDS)}"
        )
