"""The runner of `make test`: what it counts, what it says at the end, and that it forgets no folder."""

from __future__ import annotations

import runpy
import socket
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parents[1]
REPORT = """<testsuites><testsuite>
  <testcase name="a"/><testcase name="b"/>
  <testcase name="c"><failure message="no"/></testcase>
  <testcase name="d"><skipped message="Chromium is not installed"/></testcase>
  <testcase name="e"><skipped message="needs the privilege to mount a tmpfs"/></testcase>
  <testcase name="f"><skipped message="Node.js with the package smpp is not installed"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture(scope="module")
def runner() -> dict[str, Any]:
    return runpy.run_path(str(TESTS / "__main__.py"))


def tally(runner: dict[str, Any], folder: Path) -> Any:
    """The count of the report above."""
    report = folder / "report.xml"
    report.write_text(REPORT)
    counted = runner["Tally"]()
    counted.take(report)
    return counted


def test_the_last_line_counts_and_gives_the_reasons(runner: dict[str, Any], tmp_path: Path) -> None:
    said = tally(runner, tmp_path).sentence(1.25)
    assert said.startswith(
        "1 failed, 2 passed, 3 skipped in 1.2s: 1 x Chromium is not installed; 1 x needs the privilege"
    )


def test_only_a_program_that_could_be_installed_is_lacking(runner: dict[str, Any], tmp_path: Path) -> None:
    assert tally(runner, tmp_path).lacking == 1


def test_strict_fails_for_a_missing_program(
    runner: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counted = tally(runner, tmp_path)
    state = runner["main"].__globals__
    monkeypatch.setitem(state, "run", lambda suite, into: into.skipped.update(counted.skipped) or True)
    monkeypatch.setenv("STRICT", "1")
    assert runner["main"](["web"]) == 1
    assert "STRICT: 1 tests were skipped for lack of a program" in capsys.readouterr().out
    monkeypatch.setenv("STRICT", "0")
    assert runner["main"](["web"]) == 0


def test_every_folder_with_tests_is_in_a_suite(runner: dict[str, Any]) -> None:
    folders = {path.relative_to(TESTS).parts[0] for path in TESTS.glob("*/**/test_*.py")}
    assert folders <= {folder for suite in runner["suites"]() for folder in suite.folders}


def test_a_test_cannot_reach_beyond_this_machine() -> None:
    with socket.socket() as one, pytest.raises(ConnectionRefusedError, match="tests stay on this machine"):
        one.connect(("192.0.2.1", 80))
