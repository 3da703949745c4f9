"""The demonstration: the sample configuration with a simulated far side on loopback for every channel. It cannot reach anybody."""

from __future__ import annotations

import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.app.channels import SIMULATORS, plugin
from gateway.app.files import shipped
from gateway.app.gateway import Gateway, open_gateway
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
    """A gateway with sample data whose channels all end in simulators."""
    config = shipped("config", "tongluo.yaml")
    settings = read_settings(config)
    async with AsyncExitStack() as stack:
        simulators = {}
        for name, values in settings.channels.items():
            simulator = simulated(str(values["type"]), data)
            simulators[name] = await stack.enter_async_context(simulator)
        far_sides = {name: simulator.settings() for name, simulator in simulators.items()}
        settings = with_far_sides(settings, far_sides)
        gateway = await stack.enter_async_context(open_gateway(settings, data, config=config, host=host, port=port))
        for name, simulator in simulators.items():
            if settings.channels[name]["type"] in CALLERS:
                simulator.callback_url = f"{gateway.url}/callbacks/{name}"
        yield gateway


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
