"""Puts a bundle together: what goes in, under which name, with which checksums. Called by `python -m deploy.bundle` and tests."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.bundle.materials import bill
from deploy.bundle.wheels import Target, download
from gateway import __version__

ROOT = Path(__file__).resolve().parents[2]
TARGETS = tuple(Target(arch, python) for arch in ("x86_64", "aarch64") for python in ("3.11", "3.12", "3.13"))

LOCKS = ("requirements.lock", "deploy/bare-metal/installer.lock")
"""What we need, and the pip that installs it."""

CONTENT = {
    "install.sh": "deploy/bare-metal/install.sh",
    "upgrade.sh": "deploy/bare-metal/upgrade.sh",
    "backup.sh": "deploy/bare-metal/backup.sh",
    "installer.lock": "deploy/bare-metal/installer.lock",
    "requirements.lock": "requirements.lock",
    "LICENSE": "LICENSE",
    "CHANGELOG.md": "CHANGELOG.md",
    "README.md": "README.md",
    "README.zh-CN.md": "README.zh-CN.md",
    "config/tongluo.yaml": "deploy/config/tongluo.yaml",
    "config/every-setting.yaml": "config/tongluo.yaml",
    "systemd": "deploy/systemd",
    "nginx": "deploy/nginx",
    "prometheus": "deploy/prometheus",
    "alertmanager": "deploy/alertmanager",
    "grafana": "deploy/grafana",
    "docs": "docs",
}
"""Name in the bundle -> file or folder of the tree."""


def build(into: Path, targets: Sequence[Target] = TARGETS) -> Path:
    """Write the bundle for `targets` into the folder `into`; its path. Needs the package index."""
    name = f"tongluo-{__version__}"
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tongluo-bundle-") as scratch:
        folder = Path(scratch) / name
        fill(folder, targets)
        return packed(folder, into / f"{name}-bundle.tar")


def fill(folder: Path, targets: Sequence[Target]) -> None:
    """Everything that lies in a bundle, the bill of materials and the checksums last."""
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    product = own_wheel(wheels)
    locked = "".join((ROOT / lock).read_text("utf-8") for lock in LOCKS)
    for target in targets:
        download(locked, target, wheels)
    for name, source in CONTENT.items():
        place(ROOT / source, folder / name)
    (folder / "VERSION").write_text(f"{__version__}\n")
    (folder / "sbom.cdx.json").write_text(bill(list(wheels.glob("*.whl")), product, made_at()), "utf-8")
    (folder / "SHA256SUMS").write_text(checksums(folder))


def own_wheel(into: Path) -> Path:
    """Build our wheel; its path."""
    backend = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(into)]
    subprocess.run(backend, cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - our own words
    return next(into.glob("tongluo-*.whl"))


def place(source: Path, target: Path) -> None:
    """Copy a file or a folder, without what Python leaves behind."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def checksums(folder: Path) -> str:
    """`SHA256SUMS` of all files in `folder`, as sha256sum reads it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n" for path in files
    )


def packed(folder: Path, target: Path) -> Path:
    """The folder as a tar with neither owner nor time of this machine; wheels are compressed already."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        entry.mtime = made_at()
        entry.mode = 0o755 if entry.isdir() or entry.name.endswith(".sh") else 0o644
        return entry

    with tarfile.open(target, "w") as archive:
        archive.add(folder, folder.name, filter=plain)
    return target


def made_at() -> int:
    """The time that the bundle bears: `SOURCE_DATE_EPOCH` where it is set, so that it can be made again bit by bit."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
