"""`make test`: every test, suite by suite, with the time of each; the last line counts, and says what was skipped and why.

With STRICT=1 a test that was skipped for lack of a program counts as a failure; one skipped for lack of a privilege does not.
`python -m tests web e2e` runs the named suites alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
NO_TESTS = 5
"""pytest's exit code for an empty selection."""

MISSING = "not installed"
"""A skip that says so lacks a program; any other skip lacks a privilege or does not apply."""

BEYOND = ("node.js", "kubectl")
"""Programs that Debian's packages do not bring whole: their tests are a bonus where somebody has them."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Tests that run together: their folders, whether side by side, and pytest's further options."""

    name: str
    folders: tuple[str, ...]
    together: bool = True
    options: tuple[str, ...] = ()


SUITES = (
    Suite("unit", ("model", "rules", "cap", "reference", "app", "cli")),
    Suite("store", ("store", "queue", "flow", "views"), options=("-m", "not long")),
    Suite("channels", ("channels", "speech", "testing")),
    Suite("web", ("web",), together=False, options=("-m", "not browser")),
    Suite("e2e", ("e2e",)),
    Suite("docs", ("docs",)),
    Suite("watching", ("watching", "deploy", "servers"), options=("--dist", "loadfile")),
    Suite("packaging", ("packaging",), together=False),
    Suite("browser", ("web",), together=False, options=("-m", "browser")),
    Suite("faults", ("faults",), options=("--dist", "loadfile")),
)


@dataclass(slots=True)
class Tally:
    """What came of the tests."""

    passed: int = 0
    failed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def take(self, report: Path) -> None:
        """Count a suite's JUnit report in."""
        for case in ET.parse(report).getroot().iter("testcase"):
            skip = case.find("skipped")
            if skip is not None:
                self.skipped[skip.get("message", "no reason given")] += 1
            elif case.find("failure") is not None or case.find("error") is not None:
                self.failed += 1
            else:
                self.passed += 1

    @property
    def lacking(self) -> int:
        """Tests skipped because a program is missing."""
        return sum(count for why, count in self.skipped.items() if lacks_program(why.lower()))

    def sentence(self, seconds: float) -> str:
        """`812 passed, 2 skipped in 200.1s: 2 x mosquitto is not installed`."""
        counts = [f"{self.failed} failed"] if self.failed else []
        counts += [f"{self.passed} passed", f"{self.skipped.total()} skipped"]
        reasons = "; ".join(f"{count} x {why}" for why, count in self.skipped.most_common())
        return f"{', '.join(counts)} in {seconds:.1f}s" + (f": {reasons}" if reasons else "")


def lacks_program(why: str) -> bool:
    """Whether a test was skipped for want of a program that could be installed."""
    return MISSING in why and not any(word in why for word in BEYOND)


def main(names: list[str]) -> int:
    """Run the suites named, or all. Returns the exit code."""
    started, tally, broken, times = time.monotonic(), Tally(), [], {}
    for suite in suites():
        if names and suite.name not in names:
            continue
        began = time.monotonic()
        print(f"\n== {suite.name}", flush=True)
        if not run(suite, tally):
            broken.append(suite.name)
        times[suite.name] = time.monotonic() - began
    strict = os.environ.get("STRICT", "0") == "1" and tally.lacking > 0
    print("\nsuites: " + ", ".join(f"{name} {seconds:.0f}s" for name, seconds in times.items()))
    if broken:
        print(f"failed suites: {', '.join(broken)}")
    if strict:
        print(
            f"STRICT: {tally.lacking} tests were skipped for lack of a program. Install it (`make services` as root)."
        )
    print(tally.sentence(time.monotonic() - started))
    return 1 if broken or strict else 0


def suites() -> list[Suite]:
    """The suites of the table, and one more of whatever folder the table does not name, so that none is forgotten."""
    named = {folder for suite in SUITES for folder in suite.folders}
    others = {path.parent.relative_to(HERE).parts[0] for path in HERE.glob("*/**/test_*.py")} - named
    return [*SUITES, Suite("others", tuple(sorted(others)))]


def run(suite: Suite, tally: Tally) -> bool:
    """Run one suite and count it. False if anything failed."""
    folders = [str(HERE / folder) for folder in suite.folders if (HERE / folder).is_dir()]
    if not folders:
        return True
    workers = min(os.cpu_count() or 1, 4)
    side_by_side = ["-n", str(workers), "--dist", "worksteal"] if suite.together and workers > 1 else []
    with tempfile.TemporaryDirectory(prefix="tongluo-tests-") as scratch:
        report = Path(scratch) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "--durations=3", f"--junitxml={report}", *side_by_side]
        code = subprocess.run([*command, *suite.options, *folders], cwd=HERE.parent, check=False).returncode
        if report.exists():
            tally.take(report)
    return code in (0, NO_TESTS)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
