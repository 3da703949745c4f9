"""The contract kit itself: it passes a sound channel and catches each of tests/channels/broken by the promise that is broken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.testing import ChannelContract

pytest_plugins = ["pytester"]

FOLDER = Path(__file__).parent / "broken"
BROKEN = sorted(path.name for path in FOLDER.glob("*.py") if path.name != "sound.py")


def run(pytester: pytest.Pytester, file: str, *options: str) -> tuple[list[str], list[str]]:
    """Names of the contract's tests that passed and that failed."""
    passed, _, failed = pytester.inline_run(FOLDER / file, "-q", *options).listoutcomes()
    return [_name(report.nodeid) for report in passed], [_name(report.nodeid) for report in failed]


def _name(nodeid: str) -> str:
    return nodeid.rpartition("::")[2].partition("[")[0]


def test_a_sound_channel_passes(pytester: pytest.Pytester) -> None:
    passed, failed = run(pytester, "sound.py")
    promises = {name for name in vars(ChannelContract) if name.startswith("test_")}
    assert failed == []
    assert promises - set(passed) == {"test_a_recall_speaks_of_its_batch_alone"}


@pytest.mark.parametrize("file", BROKEN)
def test_a_broken_channel_is_caught(pytester: pytest.Pytester, file: str) -> None:
    [promise] = re.findall(r'BREAKS = "(.*)"', (FOLDER / file).read_text("utf-8"))
    _, failed = run(pytester, file, "-x", "-k", promise)
    assert set(failed) == {promise}


def test_every_promise_is_broken_by_somebody() -> None:
    broken = {re.findall(r'BREAKS = "(.*)"', (FOLDER / file).read_text("utf-8"))[0] for file in BROKEN}
    promises = {name for name in vars(ChannelContract) if name.startswith("test_")}
    assert promises == broken
