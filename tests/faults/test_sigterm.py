"""SIGTERM under load, five times on one data folder: it ends within ten seconds with exit 0, and nothing is lost or sent twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest
from program import drained, gathered, under_load
from test_crash import verdict_on

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

ROUNDS = 5


async def test_an_orderly_end_loses_nothing_and_sends_nothing_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = Random(3)
    async with under_load(tmp_path, 3, faults="slow=0.05") as (program, clients, sms):
        for _ in range(ROUNDS):
            await program.launch()
            await program.wait_until_ready()
            await clients.answered(chance.randint(1, 40))
            assert await program.terminate() == 0, await program.log_tail()
        await program.launch()
        await program.wait_until_ready()
        await drained(program, clients, sms)
        assert await program.terminate() == 0
        verdict = await verdict_on(program, gathered(clients, sms))
        log = await asyncio.to_thread((tmp_path / "log").read_text)
    with capsys.disabled():
        print(f"\n{ROUNDS} orderly ends: {len(clients.evidence.acked)} messages, {len(sms.received)} SMS, {verdict}")
    assert verdict.faults == {}
    assert verdict.duplicates == 0
    assert "Traceback" not in log
