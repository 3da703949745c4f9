"""A disk that is full: nothing is promised, no half row stays, what is there can be read, and room brings it back to work.

The limit is the kernel's own (RLIMIT_FSIZE): a file may not grow beyond it, and a write fails as on a full disk. It holds for a
whole process, so the test runs in one of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio, json, resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from store_kit import attempts, keep, opened
from gateway.errors import Unstorable

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


async def post(store, name):
    def work(tx):
        tx.journal.append(attempts=attempts(len(name)))
        return keep(tx, name, raw=b"x" * 20_000)
    try:
        await store.write(work)
    except Unstorable as error:
        return str(error)
    return ""


async def main(folder):
    async with opened(folder) as store:
        answers = {"before": await post(store, "before")}
        limit(max(path.stat().st_size for path in folder.iterdir()) + 60_000)
        answers |= {f"full-{n}": await post(store, f"full-{n}") for n in range(8)}
        healthy = store.healthy
        readable = len(await store.read(lambda tx: tx.alerts.released()))
        limit(resource.RLIM_INFINITY)
        answers |= {f"after-{n}": await post(store, f"after-{n}") for n in range(3)}
        kept = sorted(row.identifier for row in await store.read(lambda tx: tx.alerts.released()))
        blocks = sum(len(row.attempts) for row in await store.read(lambda tx: tx.journal.after(0, 99)))
        sound = await store.read(lambda tx: tx.connection.exec_driver_sql("pragma integrity_check").scalar())
    print(json.dumps([answers, healthy, readable, kept, blocks, sound, store.healthy]))


asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_full_disk_promises_nothing_and_passes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(Path(__file__).parent)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    answers, healthy, readable, kept, blocks, sound, healthy_again = json.loads(ran.stdout)
    stored = sorted(name for name, fault in answers.items() if not fault)
    full = {name: fault for name, fault in answers.items() if fault}
    assert len(full) >= 2, answers
    assert all(name.startswith("full-") for name in full), answers
    assert all("full" in fault or "I/O" in fault for fault in full.values()), full
    assert answers["full-7"], "it stays full until there is room"
    assert not healthy
    assert readable == len(stored) - 3, "what is there can be read all the while"
    assert kept == stored, "nothing of what was refused, all of what was promised"
    assert blocks == len(stored)
    assert sound == "ok"
    assert healthy_again
