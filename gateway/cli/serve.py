"""Commands that stay up: `run`, `demo`, `simulate`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import typer

from gateway.app import Gateway, open_gateway
from gateway.app.channels import SIMULATORS, plugin
from gateway.app.demo import demonstration
from gateway.app.duties import ALL, Duty
from gateway.app.files import shipped
from gateway.model.time import moment
from gateway.ports.desk import Principal, Role
from gateway.settings import read_settings
from gateway.telemetry import configure_logging

SWITCH = 0.0005
"""Seconds that a thread may keep the interpreter while another waits: the loop and the store's threads hand over often."""

POSTER = Principal("demo", "demo", frozenset({Role.SOURCE}), "liaoning-met")
"""Who posts the demonstration's sample alert: a source of the sample configuration."""

CONFIG = typer.Option(
    None, "--config", "-c", help="Settings file (YAML). Default: config/tongluo.yaml here, if there is one."
)
DATA = typer.Option(Path("var"), "--data", help="Data folder.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(run)
    app.command()(demo)
    app.command()(simulate)


def default_config(config: Path | None) -> Path | None:
    """The settings file to use: as named, else the one of this folder."""
    here = Path("config/tongluo.yaml")
    return config or (here if here.exists() else None)


def run(
    config: Path | None = CONFIG,
    data: Path = DATA,
    host: str | None = typer.Option(None, help="Address to listen on (over `http.host`)."),
    port: int | None = typer.Option(None, help="Port; 0 = a free one (over `http.port`)."),
    role: str | None = typer.Option(None, help="Comma list of intake, deliver, watch, web. Default: all."),
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    asked = set(filter(None, (word.strip() for word in (role or "").split(","))))
    if role is not None and not asked:
        raise typer.BadParameter("--role names no role; leave it out for all of them")
    unknown = asked - {duty.value for duty in Duty}
    if unknown:
        known = ", ".join(duty.value for duty in Duty)
        raise typer.BadParameter(f"unknown role {', '.join(sorted(unknown))}; known are {known}")
    duties = frozenset(Duty(word) for word in asked) or ALL
    configure_logging()
    path = default_config(config)
    settings = read_settings(path)
    _serve(open_gateway(settings, data, config=path, host=host, port=port, duties=duties), _announce)


def demo(
    data: Path = DATA,
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int = typer.Option(8080, help="Port; 0 = a free one."),
    sample: bool = typer.Option(True, "--sample/--no-sample", help="Post a sample alert at start."),
) -> None:
    """Run with sample regions and people, every channel ending in a simulator on loopback. It cannot reach anybody."""
    log = data_log(data).open("a", encoding="utf-8", buffering=1)
    configure_logging(log)
    print(
        "铜锣 Tongluo 演示 / demonstration: 示例数据, 不会发到任何真实终端 / sample data, nobody real is reached.",
        flush=True,
    )
    print(f"正在启动 / starting ... (log: {data_log(data)})", flush=True)

    async def welcome(gateway: Gateway) -> None:
        await _announce(gateway)
        key = await asyncio.to_thread((gateway.data / "admin.key").read_text)
        key = key.strip()
        if sample and not await _has_alerts(gateway):
            raw = sample_message(gateway)
            accepted = await gateway.desk.accept(raw, POSTER, via="demo")
            print(f"\n已发布示例预警 / posted a sample alert: {accepted.identifier} ({accepted.state.value})")
        print(f"\n登录控制台(一次有效) / sign in to the console (works once):\n  {await gateway.sign_in_link()}")
        print(f"\nAPI key ({gateway.data / 'admin.key'}):\n  {key}")
        example = gateway.data / "sample-alert.xml"
        await asyncio.to_thread(example.write_bytes, sample_message(gateway, second=True))
        print(
            f"\n再发一条 / post another:\n  curl -X POST {gateway.url}/api/v1/alerts -H 'Authorization: Bearer {key}' \\\n"
            f"       -H 'Content-Type: application/cap+xml' --data-binary @{example}"
        )
        print("\nCtrl-C 结束 / ends it.", flush=True)

    _serve(demonstration(data, host, port), welcome)


def simulate(
    channel_type: str = typer.Argument(help="sms, loudspeaker, webhook, wechat, broadcast, or an installed plug-in."),
    port: int = typer.Option(0, help="Port; 0 = a free one."),
    log: Path | None = typer.Option(None, help="Write one JSON line per received item."),
    faults: str = typer.Option("", help="Comma list of faults (docs/channels/)."),
    broker: str = typer.Option("", help="loudspeaker: use this MQTT broker instead of an own one."),
    key_file: Path | None = typer.Option(None, help="loudspeaker: the gateway's signing key (or its public key)."),
    callback: str = typer.Option("", help="Where to send receipts: http://GATEWAY/callbacks/NAME."),
) -> None:
    """Run a stand-alone far side for a channel."""
    options: dict[str, Any] = {"port": port, "log": log, "faults": faults}
    options |= {name: value for name, value in (("broker", broker), ("key_file", key_file)) if value}
    configure_logging()
    try:
        simulator = plugin(SIMULATORS, channel_type)(**options)
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(f"{channel_type}: {error}") from error
    if callback:
        simulator.callback_url = callback

    async def announce(running: Any) -> None:
        print(f"listening {channel_type}: {running.settings()}", flush=True)

    _serve(simulator, announce)


def _serve(running: AbstractAsyncContextManager[Any], announce: Any) -> None:
    """Enter, announce, wait for a signal, leave cleanly."""

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        entering = asyncio.ensure_future(running.__aenter__())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({entering, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not entering.done():
            entering.cancel()
            await asyncio.gather(entering, return_exceptions=True)
            return
        try:
            await announce(entering.result())
            await stopping
        finally:
            stopping.cancel()
            await running.__aexit__(None, None, None)

    sys.setswitchinterval(SWITCH)
    os.umask(0o077)  # the store holds addresses
    asyncio.run(serve())


async def _announce(gateway: Gateway) -> None:
    print(f"listening {gateway.url}", flush=True)


async def _has_alerts(gateway: Gateway) -> bool:
    return bool(await gateway.store.read(lambda tx: tx.alerts.page({}, None, 1)))


def data_log(data: Path) -> Path:
    """Where the demonstration logs: its screen stays readable."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    return data / "tongluo.log"


def sample_message(gateway: Gateway, *, second: bool = False) -> bytes:
    """A sample CAP message with the time of now: rain over Tiexi, Qingyuan and Xiuyan."""
    now = moment(gateway.clock.now(), gateway.settings.zone).replace(microsecond=0)
    template = shipped("config", "sample-alert.xml").read_text(encoding="utf-8")
    number = now.strftime("%Y%m%d%H%M%S") + ("-2" if second else "")
    values = {"NUMBER": number, "SENT": now.isoformat(), "EXPIRES": (now + timedelta(hours=6)).isoformat()}
    for name, value in values.items():
        template = template.replace(f"@{name}@", value)
    return template.encode()
