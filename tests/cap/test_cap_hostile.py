"""The hostile corpus: each message refused for its own reason, at the price of little memory; figures are printed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hostile_corpus import CORPUS

ALLOWED_GROWTH = 32 * 1024  # KiB


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, Any]]:
    script = Path(__file__).with_name("hostile_corpus.py")
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, script],
        cwd=root,
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    for row in rows:
        print(
            f"{row['name']:42} {row['bytes'] / 1e6:6.2f} MB {row['ms']:7.1f} ms {row['kib'] / 1024:6.1f} MiB {row['errors']}"
        )
    return {row["name"]: row for row in rows}


@pytest.mark.parametrize("name", CORPUS)
def test_refused_for_its_reason_and_cheaply(measured: dict[str, dict[str, Any]], name: str) -> None:
    row, reasons = measured[name], CORPUS[name][1]
    assert tuple(row["errors"]) == reasons
    assert not reasons or row["kib"] <= ALLOWED_GROWTH
