"""The bundle, as a stranger without a network gets it: whole, pinned, accounted for; and installed, used and upgraded for real."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.bundle.build import ROOT, TARGETS, build, checksums
from deploy.bundle.wheels import Target, narrowed

HERE = Path(__file__).parent
OWN = Target(platform.machine(), f"{sys.version_info.major}.{sys.version_info.minor}")
NAMESPACES = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")


def test_the_lock_is_narrowed_for_the_target_not_for_this_machine() -> None:
    old, new = (narrowed(LOCK, Target("aarch64", python)) for python in ("3.11", "3.13"))
    assert "numpy==" in old
    assert pins(old)["numpy"] != pins(new)["numpy"]
    assert "colorama" not in pins(old), "for Windows alone"
    hashes = set(re.findall(r"sha256:\w+", old))
    assert len(hashes) > 1000
    assert hashes <= set(re.findall(r"sha256:\w+", LOCK))


def pins(lock: str) -> dict[str, str]:
    """Name -> version of a lock."""
    lines = [line.rstrip(" \\") for line in lock.splitlines() if "==" in line and not line.startswith(" ")]
    return dict(line.split("==") for line in lines)


def test_a_bundle_is_for_both_processors_and_every_python_we_name() -> None:
    assert {target.arch for target in TARGETS} == {"x86_64", "aarch64"}
    assert {target.python for target in TARGETS} >= {"3.11", "3.12"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("bundle"), [OWN])


@pytest.mark.packaging
@pytest.mark.timeout(300)
def test_the_bundle_is_whole_pinned_and_accounted_for(bundle: Path, tmp_path: Path) -> None:
    with tarfile.open(bundle) as archive:
        assert {(entry.uid, entry.uname) for entry in archive} == {(0, "root")}
        archive.extractall(tmp_path, filter="data")
    folder = next(tmp_path.iterdir())
    assert (folder / "SHA256SUMS").read_text() == checksums(folder)

    text = (folder / "sbom.cdx.json").read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    wheels = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "wheels").iterdir()}
    product = bill["metadata"]["component"]
    listed = {each["bom-ref"]: each["hashes"][0]["content"] for each in [*bill["components"], product]}
    assert listed == wheels
    assert product["name"] == "tongluo"
    assert [each["name"] for each in bill["components"] if not each.get("licenses")] == []
    hashes = LOCK + (folder / "installer.lock").read_text()
    assert [name for name, digest in wheels.items() if digest not in hashes] == [product["bom-ref"]]


@pytest.fixture
def namespaces() -> list[str]:
    """How to run something without a network; skips where that is not permitted."""
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    prefix = NAMESPACES if os.geteuid() == 0 else [*NAMESPACES, "--user", "--map-root-user"]
    if subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs the privilege to make a network namespace")
    return prefix


@pytest.mark.packaging
@pytest.mark.timeout(300)
def test_it_installs_sends_and_is_upgraded_without_a_network(
    bundle: Path, namespaces: list[str], tmp_path: Path
) -> None:
    told = story(namespaces, bundle, tmp_path)
    assert told["cut off"]["errno"] == "ENETUNREACH"
    assert told["installed"]["version"] in bundle.name
    assert (told["damage"]["code"], told["damage"]["installed"]) == (1, False)
    assert [each["phones"] for each in told["sent"]] == [3, 3, 3]
    assert "暴雨橙色预警" in told["sent"][0]["text"]
    assert (told["upgraded"]["code"], told["upgraded"]["release"], told["upgraded"]["ready"]) == (0, "0.9.1", True), (
        told
    )
    assert (told["broken"]["code"], told["broken"]["release"], told["broken"]["ready"]) == (1, "0.9.1", True), told
    assert "with the store as it was" in told["broken"]["said"]
    assert (told["back"]["code"], told["back"]["release"], told["back"]["ready"]) == (
        0,
        told["installed"]["version"],
        True,
    ), told
    assert told["kept"]["alerts"] == 3, told["kept"]
    assert set(told["copy"]["files"]) >= {"SHA256SUMS", "etc.tar", "release", "store"}


def story(namespaces: list[str], bundle: Path, folder: Path) -> dict[str, Any]:
    """Run isolated.py; what it told, by step (`sent`: all of them)."""
    words = [*namespaces, sys.executable, str(HERE / "isolated.py"), str(bundle), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=240)
    logs = "".join(path.read_text() for path in (folder / "run").glob("*.log"))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{logs[-3000:]}"
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    told = {line.pop("step"): line for line in [dict(each) for each in lines]}
    return told | {"sent": [line for line in lines if line["step"] == "sent"]}
