"""docs/integrating.md is true: its blocks run against a running gateway, and the answers are those on the page."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.app import open_gateway
from gateway.settings import Settings

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "integrating.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
HERE = "http://127.0.0.1:8080"
BIN = Path(sys.executable).parent
pytestmark = pytest.mark.timeout(300)
MARK = "=====end of block====="

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@contextmanager
def demonstration(folder: Path) -> Iterator[str]:
    """The URL of a demonstration that keeps its data in `folder`/var."""
    command = [str(BIN / "tongluo"), "demo", "--port", "0", "--no-sample", "--data", "var"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            for line in process.stdout:
                if line.startswith("listening "):
                    yield line.split()[1]
                    return
            pytest.fail("the demonstration ended without listening")
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("integrating")
    with demonstration(folder) as url:
        yield folder, url


def run(script: str, folder: Path, program: list[str]) -> str:
    """Run a script in the folder of the demonstration; its standard output."""
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "TZ": "Asia/Shanghai"}
    done = subprocess.run(
        program, input=script, cwd=folder, env=environment, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def told() -> list[tuple[str, str]]:
    """(shell block, the answer that the page shows below it)."""
    pairs = itertools.pairwise(BLOCKS)
    return [(first, then) for (kind, first), (next_kind, then) in pairs if (kind, next_kind) == ("sh", "text")]


def parsed(answer: str) -> tuple[int, Any]:
    """(HTTP status, JSON) of an answer as curl prints it."""
    body, _, status = answer.strip().rpartition("\n")
    return int(status), json.loads(body)


def differences(shown: Any, real: Any, place: str = "") -> list[str]:
    """Where the page says something that the gateway did not."""
    if shown == "…":
        return []
    if isinstance(shown, dict) and isinstance(real, dict):
        return [
            line
            for key, value in shown.items()
            for line in differences(value, real.get(key, "nothing"), f"{place}.{key}")
        ]
    if isinstance(shown, list) and isinstance(real, list) and len(shown) == len(real):
        pairs = zip(shown, real, strict=True)
        return [line for n, pair in enumerate(pairs) for line in differences(*pair, f"{place}[{n}]")]
    return [] if shown == real else [f"{place}: the page shows {shown!r}, the gateway says {real!r}"]


@needs_curl
def test_the_shell_blocks_answer_what_the_page_shows(house: tuple[Path, str]) -> None:
    folder, url = house
    assert len(told()) == sum(kind == "sh" for kind, _ in BLOCKS) >= 12
    script = f"\necho; echo {MARK}\n".join(block for block, _ in told()).replace(HERE, url)
    answers = run(script, folder, ["bash", "-eu"]).split(MARK)
    for (block, shown), real in zip(told(), answers, strict=True):
        status, body = parsed(real)
        expected_status, expected = parsed(shown)
        assert (status, differences(expected, body)) == (expected_status, []), block


def test_the_python_block_posts_an_alert_and_sees_people_reached(house: tuple[Path, str]) -> None:
    folder, url = house
    (block,) = [block for kind, block in BLOCKS if kind == "python"]
    said = run(block.replace(HERE, url), folder, [sys.executable, "-"])
    assert said.startswith("202 released")
    assert re.search(r"清原满族自治县: receipted (?!0\.0%)[\d.]+%", said.splitlines()[-1])


async def test_the_inbox_of_the_page_takes_a_file_and_answers_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = [block for kind, block in BLOCKS if kind == "yaml"]
    regions = {"regions": {"files": ["config/regions/liaoning.csv"]}}
    settings = Settings.model_validate(yaml.safe_load(block) | regions)
    await asyncio.to_thread(run, alert_writer(), tmp_path, ["bash", "-eu"])
    inbox = tmp_path / "var/inbox/liaoning-met"
    async with asyncio.timeout(60), open_gateway(settings, tmp_path / "data", port=0):
        await there(inbox / "done")
        (tmp_path / "alert.xml").rename(inbox / "alert.xml")
        await there(inbox / "done/alert.xml")
        acknowledgement = (inbox / "alert_ACK.XML").read_text("utf-8")
    assert "<status>0</status>" in acknowledgement
    assert "<note>released " in acknowledgement


async def there(path: Path) -> None:
    """Wait until a path exists."""
    while not await asyncio.to_thread(path.exists):
        await asyncio.sleep(0.1)


def alert_writer() -> str:
    """The command of the first shell block that writes alert.xml."""
    block = next(block for kind, block in BLOCKS if kind == "sh")
    written, end, _ = block.partition("\nEOF\n")
    return "cat > alert.xml" + written.partition("cat > alert.xml")[2] + end
