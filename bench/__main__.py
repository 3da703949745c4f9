"""`make bench`: POST to first hand-off, and recipients per second through SMPP with receipts in random order, beside the bare loop
of the same simulator. Prints a table and writes bench/out/bench.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.rig import Running, alert, far_side, gateway
from bench.smpp_bare import bare
from channels.sms.simulator import SmsCentre

POST = {"Content-Type": "application/cap+xml"}


class Stamps(list[dict[str, Any]]):
    """A simulator's `received` that notes when each item came."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = asyncio.Event()
        self.at = 0.0

    def append(self, item: dict[str, Any]) -> None:
        """Note the time of the first since it was last cleared."""
        super().append(item)
        if not self.arrived.is_set():
            self.at = time.perf_counter()
            self.arrived.set()


async def first_hand_off(rounds: int) -> dict[str, float]:
    """Milliseconds from the start of a POST (3 KB) to the first SMS at the far side, one alert at a time."""
    with tempfile.TemporaryDirectory() as folder:
        async with SmsCentre(delay=0.02) as centre:
            centre.received = stamps = Stamps()
            async with gateway(Path(folder), 100, 100, centre.settings()) as running, running.session() as http:
                taken = []
                for number in range(rounds):
                    stamps.arrived.clear()
                    body = alert(number, "219901001001", words=70)
                    began = time.perf_counter()
                    async with http.post(f"{running.url}/api/v1/alerts", data=body, headers=POST) as answer:
                        assert answer.status == 202, await answer.text()
                    await asyncio.wait_for(stamps.arrived.wait(), 10)
                    taken.append((stamps.at - began) * 1000)
    taken = sorted(taken[5:])
    return {"p50_ms": statistics.median(taken), "p99_ms": taken[int(len(taken) * 0.99) - 1], "rounds": len(taken)}


async def fan_out(recipients: int, villages: int) -> dict[str, float]:
    """One red alert to `recipients`, each with a receipt, in random order, until the last receipt is in the book."""
    with tempfile.TemporaryDirectory() as folder, far_side() as sms:
        async with gateway(Path(folder), recipients, villages, sms) as running, running.session() as http:
            idle = running.peak_memory()
            began = time.perf_counter()
            async with http.post(f"{running.url}/api/v1/alerts", data=alert(0), headers=POST) as answer:
                assert answer.status == 202, await answer.text()
                id = (await answer.json())["id"]
            while await _journalled(running, http) < recipients:
                if time.perf_counter() - began > 600:
                    raise SystemExit(f"after 600 s only {await _figures(running, http, id)}")
                await asyncio.sleep(0.05)
            while (await _figures(running, http, id))["receipts"] < recipients:
                await asyncio.sleep(0.05)
            spent = time.perf_counter() - began
            return {
                "recipients": recipients,
                "villages": villages,
                "seconds": spent,
                "recipients_per_s": recipients / spent,
                "peak_mib": running.peak_memory(),
                "idle_mib": idle,
            }


async def _journalled(running: Running, http: Any) -> int:
    """Receipts of delivery on disk so far."""
    async with http.get(f"{running.url}/metrics") as answer:
        text = await answer.text()
    rows = (
        line for line in text.splitlines() if line.startswith("tongluo_receipts_total") and 'level="delivered"' in line
    )
    return int(sum(float(row.rsplit(" ", 1)[1]) for row in rows))


async def _figures(running: Running, http: Any, id: str) -> dict[str, int]:
    async with http.get(f"{running.url}/api/v1/alerts/{id}/channels") as answer:
        rows = await answer.json()
    return rows[0] if rows else {"handed": 0, "receipts": 0}


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    options.add_argument("--recipients", type=int, nargs="*", default=[10_000, 100_000])
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--posts", type=int, default=200)
    chosen = options.parse_args()
    measured: dict[str, Any] = {"machine": _machine()}
    print(f"{measured['machine']}\n")
    print("POST to first hand-off ...", flush=True)
    measured["hand_off"] = hand_off = asyncio.run(first_hand_off(chosen.posts))
    print(
        f"  p50 {hand_off['p50_ms']:.1f} ms, p99 {hand_off['p99_ms']:.1f} ms over {hand_off['rounds']} alerts, one at a time"
    )
    print("bare SMPP loop against the same simulator ...", flush=True)
    measured["bare"] = speeds = [_bare(100_000) for _ in range(chosen.runs)]
    print(f"  {statistics.median(speeds):,.0f} recipients/s with receipts (median of {chosen.runs})")
    measured["fan_out"] = []
    for recipients in chosen.recipients:
        print(f"{recipients:,} SMS recipients with receipts in random order, durable ...", flush=True)
        runs = [asyncio.run(fan_out(recipients, max(100, recipients // 60))) for _ in range(chosen.runs)]
        measured["fan_out"] += runs
        speed = statistics.median(run["recipients_per_s"] for run in runs)
        share = speed / statistics.median(speeds)
        peak, idle = max(run["peak_mib"] for run in runs), min(run["idle_mib"] for run in runs)
        print(f"  {speed:,.0f} recipients/s ({share:.0%} of the bare loop), peak {peak} MiB (idle {idle} MiB)")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "bench.json").write_text(json.dumps(measured, indent=2))


def _bare(recipients: int) -> float:
    with far_side() as sms:
        return recipients / bare(sms["port"], recipients, 500)


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?")
    return f"{os.cpu_count()} cores ({model}), {platform.system()} {platform.release()}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
