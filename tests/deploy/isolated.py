"""A stranger's machine without a network: unpack, install, start by the unit's own line, post the sample, see the SMS, upgrade, and
be brought back from a release that does not start. Run by test_deploy_bundle in a network and process namespace of its own:
`python isolated.py BUNDLE FOLDER`; one JSON line per step on standard output.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
PHONES = ("13800000001", "13800000002", "13800000003")
PORT = 8080
BEGAN = time.monotonic()
UP = 0x1
"""IFF_UP (netdevice(7))."""

WORKS = '#!/bin/sh\nexec {real} "$@"\n'
BROKEN = """#!/bin/sh
[ "$1" != run ] || exec {python} -c 'import sqlite3, sys
with sqlite3.connect(sys.argv[1] + "/tongluo.db") as store:
    store.execute("update alembic_version set version_num = ?", ("9999",))
sys.exit("broken")' "$5"
exec {real} "$@"
"""
"""`tongluo` of a release that brings the store forward, so that the one before cannot read it, and then does not start."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The folders of an installation under one root."""

    root: Path
    bundle: Path

    @property
    def moved(self) -> dict[str, str]:
        """Where the units say it is -> where it is."""
        places = {
            "/opt/tongluo": "opt",
            "/etc/tongluo": "etc",
            "/var/lib/tongluo": "data",
            "/var/backups/tongluo": "backups",
        }
        return {there: str(self.root / here) for there, here in places.items()}

    @property
    def options(self) -> list[str]:
        """The same for install.sh and upgrade.sh."""
        return [
            f"--{name}={self.root / folder}" for name, folder in (("prefix", "opt"), ("etc", "etc"), ("data", "data"))
        ]

    @property
    def environment(self) -> dict[str, str]:
        """For upgrade.sh: our `systemctl` before anybody else's."""
        run = self.root / "run"
        own = {"UNITS": str(self.bundle / "systemd"), "RUN": str(run), "MOVED": json.dumps(self.moved)}
        return {"PATH": f"{run}:{os.environ['PATH']}", "HOME": "/nonexistent", "LANG": "C.UTF-8", **own}

    def run(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command of the machine's; what it said belongs to the error."""
        done = subprocess.run(
            [str(word) for word in words],
            env=self.environment,
            text=True,
            capture_output=True,
            check=False,
            timeout=120,
        )
        if check and done.returncode:
            raise AssertionError(f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def tongluo(self, *words: str | Path) -> str:
        """`tongluo` of the release in use."""
        return self.run(self.root / "opt/current/bin/tongluo", *words).stdout


def told(step: str, **figures: Any) -> None:
    """One line for the test that called."""
    print(
        json.dumps({"step": step, "at": round(time.monotonic() - BEGAN, 1), **figures}, ensure_ascii=False), flush=True
    )


def wait_for(what: Callable[[], Any], seconds: float = 60) -> Any:
    """The first true value of `what`."""
    end = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.1)
    return value


def cut_off() -> None:
    """Loopback up, and nothing beyond it: the kernel itself says that there is no way out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, 0x8914, struct.pack("16sh14s", b"lo", UP, b""))  # SIOCSIFFLAGS
        try:
            handle.connect(("192.0.2.1", 9))
        except OSError as error:
            told("cut off", errno=errno.errorcode[error.errno or 0])


def installed(bundle: Path, root: Path) -> Machine:
    """Unpack and install, with a Python and nothing else."""
    with tarfile.open(bundle) as archive:
        archive.extractall(root, filter="data")
    machine = Machine(root, next(root.glob("tongluo-*")))
    (root / "run").mkdir()
    stand_in = root / "run" / "systemctl"
    stand_in.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(HERE / "systemctl.py"))} "$@"\n'
    )
    stand_in.chmod(0o755)
    began = time.monotonic()
    machine.run(
        machine.bundle / "install.sh",
        *split(machine.options),
        "--python",
        os.path.realpath(sys.executable),
        "--no-units",
    )
    told("installed", seconds=round(time.monotonic() - began, 1), version=machine.tongluo("--version").strip())
    return machine


def split(options: list[str]) -> list[str]:
    """`--a=b` as `--a b`, which is what our scripts read."""
    return [word for option in options for word in option.split("=", 1)]


def refuses_damage(machine: Machine) -> None:
    """One byte of one wheel is another: nothing is installed."""
    damaged = machine.root / "damaged"
    shutil.copytree(machine.bundle, damaged, copy_function=os.link)
    wheel = next((damaged / "wheels").glob("tongluo-*.whl"))
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 1
    wheel.unlink()
    wheel.write_bytes(content)
    done = machine.run(damaged / "install.sh", "--prefix", machine.root / "other", "--no-units", check=False)
    told("damage", code=done.returncode, installed=(machine.root / "other").exists())


def set_up(machine: Machine, centre: int) -> None:
    """What an operator does: our telephones, our message centre, and real alerts allowed."""
    rows = ["endpoint,channel,address,region,recipient,covers,audiences,language,name,post"]
    rows += [f"sms-{phone},sms,{phone},210106001017,{phone},1,,,," for phone in PHONES]
    (machine.root / "etc" / "people.csv").write_text("\n".join(rows) + "\n")
    path = machine.root / "etc" / "tongluo.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["regions"]["files"].append("config/regions/three-counties.csv")
    settings["directory"]["files"] = [str(machine.root / "etc" / "people.csv")]
    settings["release"]["drills_only"] = False
    settings["canary"] = {"every": 0}
    settings["channels"]["sms"] |= {"port": centre, "key_tlv": True}
    settings["channels"]["sms"].pop("password_file")
    path.write_text(yaml.safe_dump(settings, allow_unicode=True))


def message(machine: Machine, number: str) -> Path:
    """The sample alert of the installed wheel, with the time of now."""
    sample = next(
        (machine.root / "opt/current")
        .resolve()
        .glob("lib/python3*/site-packages/gateway/_data/config/sample-alert.xml")
    )
    now = datetime.now(UTC).astimezone().replace(microsecond=0)
    values = {"NUMBER": number, "SENT": now.isoformat(), "EXPIRES": (now + timedelta(hours=6)).isoformat()}
    text = re.sub("@([A-Z]+)@", lambda name: values.get(name[1], ""), sample.read_text(encoding="utf-8"))
    path = machine.root / f"alert-{number}.xml"
    path.write_text(text, encoding="utf-8")
    return path


def ready() -> bool:
    """Whether the gateway answers and can take alerts."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def sent(log: Path) -> list[dict[str, Any]]:
    """What the message centre got."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []


def posted(machine: Machine, number: str, log: Path) -> None:
    """Post, and wait until every telephone has the text."""
    before = len(sent(log))
    machine.tongluo(
        "send", message(machine, number), "--data", machine.root / "data", "--url", f"http://127.0.0.1:{PORT}"
    )
    wait_for(lambda: {each["address"] for each in sent(log)[before:]} >= set(PHONES))
    told(
        "sent", number=number, text=sent(log)[-1]["text"], phones=len({each["address"] for each in sent(log)[before:]})
    )


def another_release(machine: Machine, version: str, body: str) -> Path:
    """A bundle of `version`, whose release is there already: a copy of the installed one with another `tongluo`."""
    bundle, release = machine.root / f"bundle-{version}", machine.root / "opt/releases" / version
    shutil.copytree(machine.bundle, bundle, copy_function=os.link)
    for name, content in (("VERSION", f"{version}\n"), ("SHA256SUMS", "")):
        (bundle / name).unlink()
        (bundle / name).write_text(content)
    files = sorted(path for path in bundle.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    sums = machine.run("sha256sum", *files).stdout.replace(f"{bundle}/", "")
    (bundle / "SHA256SUMS").write_text(sums)
    shutil.copytree((machine.root / "opt/current").resolve(), release, symlinks=True, copy_function=os.link)
    program = release / "bin" / "tongluo"
    real = (machine.root / "opt/current").resolve() / "bin/tongluo"
    program.unlink()
    program.write_text(body.format(real=real, python=real.with_name("python")))
    program.chmod(0o755)
    return bundle


def upgraded(machine: Machine, bundle: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the bundle's upgrade.sh as root would."""
    words = [*split(machine.options), "--backups", str(machine.root / "backups"), "--user", "root", *options]
    return machine.run(bundle / "upgrade.sh", *words, check=False)


def release_in_use(machine: Machine) -> str:
    return (machine.root / "opt/current").readlink().name


def main(bundle: Path, root: Path) -> None:
    """The whole story."""
    cut_off()
    machine = installed(bundle, root)
    refuses_damage(machine)
    log = root / "sms.jsonl"
    words = [str(root / "opt/current/bin/tongluo"), "simulate", "sms", "--port", "2775", "--log", str(log)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as centre:
        set_up(machine, 2775)
        machine.run("systemctl", "start", "tongluo")
        wait_for(ready)
        posted(machine, "1", log)
        done = upgraded(machine, another_release(machine, "0.9.1", WORKS))
        told(
            "upgraded",
            code=done.returncode,
            said=done.stdout + done.stderr,
            release=release_in_use(machine),
            ready=ready(),
        )
        posted(machine, "2", log)
        done = upgraded(machine, another_release(machine, "0.9.2", BROKEN), "--patience", "2")
        told(
            "broken",
            code=done.returncode,
            said=done.stdout + done.stderr,
            release=release_in_use(machine),
            ready=ready(),
        )
        posted(machine, "3", log)
        done = upgraded(machine, machine.bundle, "--back")
        told(
            "back", code=done.returncode, said=done.stdout + done.stderr, release=release_in_use(machine), ready=ready()
        )
        alerts = machine.tongluo("status", "--data", root / "data", "--url", f"http://127.0.0.1:{PORT}")
        told("kept", alerts=len(alerts.splitlines()), said=alerts)
        done = machine.run(
            root / "opt/current/backup.sh", *split(machine.options), "--into", root / "copies", "--keep", "1"
        )
        told("copy", files=sorted(path.name for path in Path(done.stdout.strip()).iterdir()))
        machine.run("systemctl", "stop", "tongluo")
        centre.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
