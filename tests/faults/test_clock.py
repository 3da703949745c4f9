"""The wall clock is set an hour ahead, and an hour back, under a running gateway: nothing expires early, nothing is sent twice, and
no time is negative. libfaketime reads its offset from a file and fakes the wall clock alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from random import Random

import pytest
from clients import Clients, session
from installed import program
from program import COMMAND, configure, key_of
from rounds import Say
from test_disk import House
from witness import Witness

from gateway.testing.hamlet import BEIHE, JIANNONG, NANSHAN

pytest_plugins = ("lending",)
pytestmark = [pytest.mark.faults, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

LIBRARY = "libfaketimeMT.so.1"


def faked(offset: Path) -> dict[str, str]:
    """The environment of a process whose wall clock is off by what stands in a file. Skips without the library."""
    program("faketime", "faketime")
    found = next(Path("/usr/lib").rglob(LIBRARY), None)
    if found is None:
        pytest.skip("faketime is not installed")
    return {
        **os.environ,
        "LD_PRELOAD": str(found),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


async def test_steps_of_the_wall_clock_change_nothing(tmp_path: Path, say: Say) -> None:
    """F20. Each alert waits at a channel that is away while the clock steps; it is good for ten minutes."""
    offset = tmp_path / "offset"
    await asyncio.to_thread(offset.write_text, "+0\n")
    async with Witness(delay=0.05) as sms:
        await asyncio.to_thread(configure, tmp_path, {"sms": sms.settings()})
        with (tmp_path / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway", *COMMAND,
                cwd=tmp_path, env=faked(offset), stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert process.stdout is not None
        try:
            url = (await asyncio.wait_for(process.stdout.readline(), 120)).decode().split()[1]
            one = House(tmp_path, url, await key_of(tmp_path / "data"))
            clients, skews = Clients(one, Random(1)), []
            async with session() as http:
                for step, region in (("+0", NANSHAN), ("+3600", BEIHE), ("-3600", JIANNONG)):
                    sms.set_faults("throttle")
                    await clients.insist(http, clients.letter(region, minutes=10))
                    await asyncio.to_thread(offset.write_text, f"{step}\n")
                    await asyncio.sleep(2)
                    sms.set_faults("")
                    goal = len(sms.received) + len(clients.people[region])
                    async with asyncio.timeout(40):
                        while len(sms.received) < goal or not sms.quiet:
                            await asyncio.sleep(0.05)
                    async with http.get(f"{url}/metrics") as answer:
                        told = await answer.text()
                    skews.append(round(value(told, "tongluo_clock_skew_seconds")))
            counts, sums = value(told, "tongluo_delivery_seconds_count"), value(told, "tongluo_delivery_seconds_sum")
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 30)
    keys = [got.key for got in sms.got()]
    say(
        f"skew told {skews} s; {len(keys)} SMS, {len(keys) - len(set(keys))} twice; {counts:.0f} deliveries in {sums:.1f} s in all"
    )
    assert skews == [0, 3600, -3600]
    assert len(keys) == len(set(keys)) == 13
    assert 0 <= sums < 600


def value(metrics: str, series: str) -> float:
    """The sum of a metric's samples."""
    return sum(float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line.startswith(series))
