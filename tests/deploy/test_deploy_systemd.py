"""The units: systemd takes them, they give the gateway no right it does not need, and their own line starts it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from unitfile import command, environment, read_unit

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNITS = DEPLOY / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
EXPOSURE = 20
"""Tenths of `systemd-analyze security`: 1.3 was measured with systemd 252; below 2 is what it calls OK."""

analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@analyze
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """Their programs are not installed here, which is all that it may object to."""
    for unit in (*SERVICES, *UNITS.glob("*.timer")):
        shutil.copy(unit, tmp_path)
    units = [str(path) for path in tmp_path.iterdir()]
    assert len(units) == len(SERVICES) + 1
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if "is not executable" not in line] == []


@analyze
@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_the_sandbox_is_tight(unit: Path) -> None:
    words = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", str(unit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_all_services_share_one_sandbox() -> None:
    """What hardens one hardens all: from NoNewPrivileges to the end."""
    tail = re.compile(r"^NoNewPrivileges=.*?(?=^\[|\Z)", re.MULTILINE | re.DOTALL)
    tails = {"".join(tail.findall(path.read_text())).strip() for path in SERVICES}
    assert "" not in tails
    assert len(tails) == 1


def test_the_instances_have_ports_and_folders_of_their_own() -> None:
    unit = read_unit(UNITS / "tongluo@.service")
    moved = {"/etc/tongluo": str(UNITS / "env")}
    lines = []
    for path in (UNITS / "env").glob("*.env"):
        given = environment(unit, path.stem, moved)
        line = command(unit, given, path.stem)
        assert given["ROLE"] == line[line.index("--role") + 1] == path.stem
        lines.append((given["TONGLUO_HTTP__PORT"], line[line.index("--data") + 1]))
    ports, folders = zip(*lines, strict=True)
    assert len(set(ports)) == len(set(folders)) == 4


def test_nginx_knows_the_ports_that_its_comment_promises() -> None:
    text = (DEPLOY / "nginx" / "tongluo-upstreams.conf").read_text()
    assert set(re.findall(r"server 127\.0\.0\.1:(\d+)", text)) == {"8080"}


def test_the_folders_that_the_units_write_are_made() -> None:
    made = re.findall(r"^d (\S+)", (UNITS / "tongluo.tmpfiles").read_text(), re.MULTILINE)
    for path in SERVICES:
        service = read_unit(path)["Service"]
        states = [f"/var/lib/{name}" for words in service["StateDirectory"] for name in words.split()]
        needed = [*service.get("ReadWritePaths", []), *service["WorkingDirectory"]]
        assert [each for each in needed if each not in (*made, *states)] == [], path.name
