"""The demonstration: the sample configuration with a simulated far side on loopback for every channel. It cannot reach anybody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from gateway.app.channels import SIMULATORS, plugin
from gateway.app.composing import Gateway
from gateway.app.files import shipped
from gateway.app.gateway import open_gateway
from gateway.errors import ConfigError
from gateway.settings import Settings, read_settings

PLATFORM_PORT = 9104
"""Where the sample directory says that the county platforms are."""

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "sms": {"fail_share": 0.02, "silent_share": 0.02, "delay": 2.0, "keep": False},
    "loudspeaker": {"delay": 2.0, "spread": 15.0, "faults": "offline=0.05"},
    "wechat": {"keep": False},
    "broadcast": {"steps": (1.0, 4.0, 12.0), "port": PLATFORM_PORT},
}
"""How the far sides behave, so that coverage rises as people would see it rise."""


@asynccontextmanager
async def demonstration(data: Path, host: str, port: int) -> AsyncIterator[Gateway]:
    """A gateway with sample data whose channels all end in simulators, which live in a process of their own."""
    config = shipped("config", "tongluo.yaml")
    settings = read_settings(config)
    types = {name: str(values["type"]) for name, values in settings.channels.items()}
    with far_sides(types, data) as (reached_by, call_back_at):
        settings = with_far_sides(settings, reached_by)
        async with open_gateway(settings, data, config=config, host=host, port=port) as gateway:
            callers = [name for name, type_name in types.items() if type_name in CALLERS]
            call_back_at({name: f"{gateway.url}/callbacks/{name}" for name in callers})
            yield gateway


FarSides = tuple[dict[str, dict[str, Any]], Callable[[Mapping[str, str]], None]]


@contextmanager
def far_sides(types: Mapping[str, str], data: Path) -> Iterator[FarSides]:
    """Run a simulator for each channel in another process: yields the settings that reach them, and a way to say where their
    receipts go. Raises ConfigError if they do not start."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_live, args=(theirs, dict(types), data), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv(), ours.send
    except EOFError as error:
        raise ConfigError("demo", "the simulators did not start.", "See the log.") from error
    finally:
        ours.close()
        process.join(10)
        process.kill()


def _live(pipe: Connection, types: Mapping[str, str], data: Path) -> None:
    """The simulators' process: it ends when the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable(logging.CRITICAL)

    async def live() -> None:
        async with AsyncExitStack() as stack:
            simulators = {}
            for name, type_name in types.items():
                simulators[name] = await stack.enter_async_context(simulated(type_name, data))
            pipe.send({name: simulator.settings() for name, simulator in simulators.items()})
            with contextlib.suppress(EOFError, OSError):
                while True:
                    for name, url in (await asyncio.to_thread(pipe.recv)).items():
                        simulators[name].callback_url = url

    asyncio.run(live())


def simulated(type_name: str, data: Path) -> Any:
    """A far side of that type, as the demonstration wants it; on a free port where the wished one is taken."""
    options = dict(OPTIONS.get(type_name, {}))
    if "port" in options and not _free(options["port"]):
        options["port"] = 0
    if type_name == "webhook":
        options["secret"] = secrets.token_hex(16)
    if type_name == "loudspeaker":
        options["key_file"] = data / "channels" / "signing.pem"
    return plugin(SIMULATORS, type_name)(**options)


def with_far_sides(settings: Settings, far_sides: Mapping[str, Mapping[str, Any]]) -> Settings:
    """The settings with every channel pointed at its simulator."""
    channels = {
        name: {key: value for key, value in values.items() if key in KEPT} | dict(far_sides[name])
        for name, values in settings.channels.items()
    }
    return settings.model_copy(update={"channels": channels, "sample_data": True})


CALLERS = frozenset({"wechat", "webhook"})
"""Far sides that bring their receipts to us; the others are asked."""

KEPT = frozenset({"type", "sink", "evidence", "rate", "parallel", "cost"})
"""Settings of a channel that do not say where its far side is."""


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
