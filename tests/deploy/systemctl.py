"""A stand-in for `systemctl` where systemd is not process 1: starts, stops and asks after our units, whose ExecStart it runs as
written, under their environment and umask. Sandboxing it leaves out. isolated.py puts it on the PATH of upgrade.sh.

    systemctl start|stop|restart|is-active [--quiet] UNIT        UNITS, RUN and MOVED (JSON) stand in the environment
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from unitfile import command, environment, read_unit, relocated

UNITS, RUN = Path(os.environ["UNITS"]), Path(os.environ["RUN"])
MOVED: dict[str, str] = json.loads(os.environ["MOVED"])


def start(name: str) -> None:
    """Run ExecStart detached, like Type=exec."""
    kind, _, instance = name.partition("@")
    unit = read_unit(UNITS / (f"{kind}@.service" if instance else f"{kind}.service"))
    given = environment(unit, instance, MOVED)
    folder = Path(relocated(unit["Service"]["WorkingDirectory"][0].replace("%i", instance), MOVED))
    folder.mkdir(parents=True, exist_ok=True)
    with open(RUN / f"{name}.log", "a") as log:
        process = subprocess.Popen(
            command(unit, given, instance, MOVED),
            cwd=folder,
            env=given,
            umask=int(unit["Service"]["UMask"][0], 8),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (RUN / f"{name}.pid").write_text(str(process.pid))


def stop(name: str) -> None:
    """SIGTERM, wait, then SIGKILL, as TimeoutStopSec says."""
    kind = name.partition("@")[0]
    unit = read_unit(next(UNITS.glob(f"{kind}{'@' if '@' in name else ''}.service")))
    if not is_active(name):
        return
    os.kill(pid_of(name), signal.SIGTERM)
    end = time.monotonic() + float(unit["Service"]["TimeoutStopSec"][0])
    while is_active(name):
        if time.monotonic() > end:
            os.kill(pid_of(name), signal.SIGKILL)
        time.sleep(0.05)


def is_active(name: str) -> bool:
    """Whether the process of the unit runs (a dead one that nobody has waited for does not)."""
    try:
        state = Path(f"/proc/{pid_of(name)}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError):
        return False
    return state not in "ZX"


def pid_of(name: str) -> int:
    """The process of the unit. Raises OSError if it was never started."""
    return int((RUN / f"{name}.pid").read_text())


def main(verb: str, name: str) -> int:
    """One command; its exit code."""
    if verb == "is-active":
        return 0 if is_active(name) else 3
    if verb in ("stop", "restart"):
        stop(name)
    if verb in ("start", "restart") and not is_active(name):
        start(name)
    return 0


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--quiet"]
    sys.exit(main(*words))
