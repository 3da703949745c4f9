"""The example of docs/channels/README.md: as short as it says, and kept to the contract as it stands on the page."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

PAGE = (Path(__file__).parents[2] / "docs" / "channels" / "README.md").read_text("utf-8")
FILES = dict(re.findall(r"`(\w+\.py)`[^\n]*\n\n```python\n(.*?)```", PAGE, re.DOTALL))


@pytest.mark.parametrize(("file", "lines"), [("screens.py", 40), ("controller.py", 30), ("test_screens.py", 15)])
def test_the_example_is_short(file: str, lines: int) -> None:
    assert len([line for line in FILES[file].splitlines() if line.strip()]) <= lines


def test_the_example_keeps_the_contract(pytester: pytest.Pytester) -> None:
    for name, code in FILES.items():
        (pytester.path / name).write_text(code, encoding="utf-8")
    passed, skipped, failed = pytester.inline_run(
        "test_screens.py", "-q", "-o", "asyncio_default_fixture_loop_scope=function"
    ).listoutcomes()
    assert failed == []
    assert len(passed) > 30
    assert len(skipped) < 12


def test_the_entry_points_name_the_example() -> None:
    [block] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    points = tomllib.loads(block)["project"]["entry-points"]
    for point in (points["gateway.channels"]["screens"], points["gateway.simulators"]["screens"]):
        module, _, name = point.partition(":")
        assert f"class {name}:" in FILES[f"{module}.py"]
