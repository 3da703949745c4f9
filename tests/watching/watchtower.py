"""A duty desk for tests: the shipped configurations of Prometheus and Alertmanager, run by the real programs on free ports of
loopback, and a listener in the test that takes what the desk would be told.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from gateway.app.gateway import free_port

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
HOST = "127.0.0.1"
PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
}
"""Program -> the Debian package that brings it."""


def program(name: str) -> str:
    """The path of an installed program; skips the test if it is missing."""
    found = shutil.which(name) or (shutil.which("alertmanager") if name == "prometheus-alertmanager" else None)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian package {PACKAGES[name]})")
    return found


def told(name: str, *arguments: str, given: str = "") -> tuple[int, str]:
    """Run a program to its end: exit code, and all it said."""
    ended = subprocess.run([program(name), *arguments], input=given, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def rules() -> list[dict[str, Any]]:
    """The alerting rules, as they stand in rules.yml."""
    return [rule for rule in every_rule() if "alert" in rule]


def every_rule() -> list[dict[str, Any]]:
    """Alerting and recording rules."""
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert of a notice: what Alertmanager told a receiver, and when it came (monotonic)."""

    receiver: str
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    at: float


@dataclass(slots=True)
class Desk:
    """What the duty desk was told, and where Prometheus and Alertmanager listen."""

    http: aiohttp.ClientSession
    notices: list[Notice] = field(default_factory=list)
    port: int = 0
    prometheus: str = ""
    alertmanager: str = ""

    async def take(self, request: web.Request) -> web.Response:
        """The receivers' webhook."""
        body = await request.json()
        for each in body["alerts"]:
            notice = Notice(body["receiver"], each["status"], each["labels"], each["annotations"], time.monotonic())
            self.notices.append(notice)
        return web.Response()

    def first(self, rule: str, status: str, since: float = 0, **labels: str) -> Notice | None:
        """The first notice of a rule, in that state, with these labels."""
        wanted = {"alertname": rule, **labels}
        for notice in self.notices:
            if notice.status == status and notice.at >= since and wanted.items() <= notice.labels.items():
                return notice
        return None

    async def asked(self, url: str) -> Any:
        """JSON of one of the two programs, None while it does not answer."""
        try:
            async with self.http.get(url) as answer:
                return await answer.json() if answer.status == 200 else None
        except aiohttp.ClientError:
            return None

    async def value(self, expr: str) -> dict[tuple[tuple[str, str], ...], float]:
        """What Prometheus answers to an instant query: value by labels."""
        async with self.http.get(f"{self.prometheus}/api/v1/query", params={"query": expr}) as answer:
            found = (await answer.json())["data"]["result"]
        return {tuple(sorted(each["metric"].items())): float(each["value"][1]) for each in found}


async def until(condition: Callable[[], Awaitable[Any] | Any], what: Callable[[], str] | str, patience: float) -> Any:
    """Look again and again until `condition` holds; returns what it gave. Fails after `patience` seconds and says `what` for."""
    end = time.monotonic() + patience
    while True:
        found = condition()
        found = await found if isinstance(found, Awaitable) else found
        if found:
            return found
        assert time.monotonic() < end, f"waited {patience:g} s for {what if isinstance(what, str) else what()}"
        await asyncio.sleep(0.1)


@asynccontextmanager
async def duty_desk(folder: Path) -> AsyncIterator[Desk]:
    """A listener and a real Alertmanager with the shipped configuration that tells it; only addresses and the interval differ."""
    manager = program("prometheus-alertmanager")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        desk = Desk(http)
        site = web.Application()
        site.router.add_post("/{receiver}", desk.take)
        runner = web.AppRunner(site, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, 0).start()
            desk.port = runner.addresses[0][1]
            port = free_port(HOST)
            desk.alertmanager = f"http://{HOST}:{port}"
            config = await asyncio.to_thread(_alertmanager_config, folder, desk.port)
            command = [manager, f"--config.file={config}", f"--storage.path={folder / 'alertmanager'}"]
            command += [f"--web.listen-address={HOST}:{port}", "--cluster.listen-address=", "--log.level=warn"]
            async with running(command, folder / "alertmanager.log"):
                await until(lambda: desk.asked(f"{desk.alertmanager}/api/v2/status"), "Alertmanager", 30)
                yield desk
        finally:
            await runner.cleanup()


@asynccontextmanager
async def watched(desk: Desk, folder: Path, targets: Sequence[str]) -> AsyncIterator[None]:
    """A real Prometheus with the shipped configuration and rules: asks `targets` every 2 s, tells the desk's Alertmanager."""
    port = free_port(HOST)
    desk.prometheus = f"http://{HOST}:{port}"
    config = await asyncio.to_thread(_prometheus_config, folder, desk.alertmanager.removeprefix("http://"), targets)
    command = [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'prometheus'}"]
    command += [f"--web.listen-address={HOST}:{port}", "--log.level=warn"]
    async with running(command, folder / "prometheus.log"):
        await until(lambda: desk.asked(f"{desk.prometheus}/api/v1/status/buildinfo"), "Prometheus", 30)
        yield


@asynccontextmanager
async def running(command: Sequence[str], log: Path) -> AsyncIterator[None]:
    """A program in a process of its own; ended with the block."""
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


def _alertmanager_config(folder: Path, port: int) -> Path:
    config = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text("utf-8"))
    for receiver in config["receivers"]:
        for hook in receiver["webhook_configs"]:
            hook["url"] = f"http://{HOST}:{port}/{receiver['name']}"
    for route in (config["route"], *config["route"]["routes"]):
        route["group_interval"] = "2s"  # a resolved notice waits for it; the wait before the first one is as shipped
    return _written(folder / "alertmanager.yml", config)


def _prometheus_config(folder: Path, alertmanager: str, targets: Sequence[str]) -> Path:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8"))
    config["global"] = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"}
    config["rule_files"] = [str(RULES)]
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    [own] = [job for job in config["scrape_configs"] if job["job_name"] == "tongluo"]
    own["file_sd_configs"] = [{"files": [str(_written(folder / "targets.yml", [{"targets": list(targets)}]))]}]
    config["scrape_configs"] = [own]
    return _written(folder / "prometheus.yml", config)


def _written(path: Path, content: Any) -> Path:
    path.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    return path
