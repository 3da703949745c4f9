"""The wheel, as a stranger gets it: installed into an empty environment, without the checkout, it runs the demonstration."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ANSWERS_WITHIN = 60
pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True, slots=True)
class Built:
    """What `make wheel` makes."""

    wheel: Path
    sdist: Path


@dataclass(frozen=True, slots=True)
class Demo:
    """A demonstration that runs: its address, its data folder, its process."""

    url: str
    data: Path
    process: subprocess.Popen[str]


def build(source: Path, into: Path, *targets: str) -> None:
    """Run the build backend on a source tree."""
    wanted = [word for target in targets for word in ("--target", target)]
    command = [sys.executable, "-m", "hatchling", "build", *wanted, "--directory", str(into)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    into = tmp_path_factory.mktemp("dist")
    build(ROOT, into, "wheel", "sdist")
    return Built(next(into.glob("*.whl")), next(into.glob("*.tar.gz")))


@pytest.fixture(scope="module")
def venv(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel, what it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert uv, "uv is missing; `make test` brings it"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True, timeout=60)
    install = [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
    needs = [*install, "--require-hashes", "-r", str(ROOT / "requirements.lock")]
    if subprocess.run([*needs, "--offline"], check=False, capture_output=True, timeout=120).returncode:
        subprocess.run(needs, check=True, timeout=300)
    subprocess.run([*install, "--no-deps", "--offline", str(built.wheel)], check=True, timeout=60)
    return folder


def names(wheel: Path) -> set[str]:
    """The files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_brings_templates_settings_pages_and_migrations(built: Built) -> None:
    inside = names(built.wheel)
    for path in (
        "gateway/_data/config/tongluo.yaml",
        "gateway/_data/config/directory/sample.csv",
        "gateway/_data/templates/sms/zh-CN/warning.txt.j2",
        "gateway/web/pages/live.html",
        "gateway/web/static/console.js",
        "gateway/store/migrations/versions/0001_first_schema.py",
        "gateway/py.typed",
        "channels/py.typed",
    ):
        assert path in inside
    shipped = {path.relative_to(ROOT).as_posix() for path in (ROOT / "templates").rglob("*.j2")}
    assert {f"gateway/_data/{path}" for path in shipped} <= inside


def test_the_wheel_brings_nothing_else(built: Built) -> None:
    tops = {name.split("/")[0] for name in names(built.wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"gateway", "channels"}
    assert not [name for name in names(built.wheel) if name.startswith("gateway/manual")]


def test_the_source_distribution_builds_the_same_wheel(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    tree = next(tmp_path.iterdir())
    for name in (
        "LICENSE",
        "Makefile",
        "README.zh-CN.md",
        "CHANGELOG.md",
        "requirements.lock",
        "tests",
        "docs",
        "bench",
    ):
        assert (tree / name).exists(), name
    build(tree, tmp_path / "again", "wheel")
    assert names(next((tmp_path / "again").glob("*.whl"))) == names(built.wheel)


def test_the_installed_package_is_not_the_checkout(venv: Path, tmp_path: Path) -> None:
    where = "import gateway, channels; print(gateway.__file__, channels.__file__)"
    answer = subprocess.run(
        [venv / "bin" / "python", "-c", where], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert all(str(venv) in path for path in answer.stdout.split())


@contextmanager
def demo(venv: Path, folder: Path, *options: str) -> Iterator[Demo]:
    """`tongluo demo --port 0` in `folder`, until the block ends."""
    command = [str(venv / "bin" / "tongluo"), "demo", "--port", "0", "--data", "data", *options]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout
            for line in process.stdout:
                if line.startswith("listening "):
                    yield Demo(line.split()[1], folder / "data", process)
                    return
            pytest.fail("the demonstration ended without listening")
        finally:
            process.kill()


def ask(demo: Demo, path: str, body: bytes | None = None) -> tuple[int, Any]:
    """A request with the data folder's key; (status, JSON or text)."""
    key = (demo.data / "admin.key").read_text().strip()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/cap+xml"}
    request = urllib.request.Request(demo.url + path, data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN) as answer:
        content = answer.read().decode()
        return answer.status, json.loads(content) if "json" in answer.headers["Content-Type"] else content


def sample(demo: Demo) -> bytes:
    """The message that the demonstration tells people to post; written once it has greeted them."""
    assert demo.process.stdout
    for line in demo.process.stdout:
        if "Ctrl-C" in line:
            return (demo.data / "sample-alert.xml").read_bytes()
    raise AssertionError("the demonstration ended before it had greeted anybody")


def ended(demo: Demo, by: signal.Signals) -> tuple[int, str]:
    """Send the signal; the exit code, and what was still printed."""
    demo.process.send_signal(by)
    code = demo.process.wait(15)
    assert demo.process.stdout
    return code, demo.process.stdout.read()


def test_the_demonstration_runs_from_the_wheel_ends_at_once_and_resumes(venv: Path, tmp_path: Path) -> None:
    with demo(venv, tmp_path) as running:
        status, page = ask(running, "/sign-in")
        assert status == 200
        assert "铜锣" in page
        _, ready = ask(running, "/readyz")
        assert ready["ready"] is True
        assert set(ready["parts"]["channels"]) == {"sms", "wechat", "village-speakers", "county-broadcast", "pager"}
        status, posted = ask(running, "/api/v1/alerts", sample(running))
        assert (status, posted["state"]) == (202, "released")
        code, said = ended(running, signal.SIGTERM)
    assert code == 0
    assert "Traceback" not in said

    with demo(venv, tmp_path) as running:
        sample(running)
        _, page = ask(running, "/api/v1/alerts")
        code, said = ended(running, signal.SIGINT)
    assert code == 0
    assert "Traceback" not in said
    assert len(page["items"]) == 2, "the sample of the first start, and the one posted; none is posted again"


def test_without_a_sample_nothing_is_posted(venv: Path, tmp_path: Path) -> None:
    with demo(venv, tmp_path, "--no-sample") as running:
        sample(running)
        _, page = ask(running, "/api/v1/alerts")
        assert page["items"] == []
        assert oct((running.data / "admin.key").stat().st_mode & 0o777) == "0o600"
