"""Channels as configured: types found by entry point, settings checked by the type itself, each with what the gateway lends it.

Nothing here imports a channel: `importlib.metadata` does, by the name in the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from pydantic import ValidationError

from gateway.channel import Channel, ChannelConfig, Clock, Context, EvidenceConfig
from gateway.errors import ConfigError
from gateway.flow.receipts import Reporter
from gateway.model.coverage import Evidence
from gateway.model.policy import ChannelProfile
from gateway.model.receipt import Level
from gateway.ports.store import Store
from gateway.telemetry import Metrics

CHANNELS, SIMULATORS = "gateway.channels", "gateway.simulators"


@dataclass(frozen=True, slots=True)
class Configured:
    """One configured channel: its settings checked, not yet opened."""

    name: str
    type: str
    factory: Callable[[Any, Context], Channel]
    config: ChannelConfig


@dataclass(frozen=True, slots=True)
class Opened:
    """A channel at work."""

    configured: Configured
    channel: Channel

    @property
    def profile(self) -> ChannelProfile:
        """What planning needs to know."""
        traits = self.channel.traits
        return ChannelProfile(
            name=self.configured.name,
            type=self.configured.type,
            kind=evidence_of(self).kind,
            audible=traits.audible,
            sink=self.configured.config.sink,
            max_batch=traits.max_batch,
            max_chars=traits.max_chars,
            media=traits.media,
            methods=traits.methods,
        )

    @property
    def parallel(self) -> int:
        """How many sends are kept in flight."""
        return self.configured.config.parallel or self.channel.traits.parallel

    @property
    def abilities(self) -> list[str]:
        """The optional abilities it has."""
        return [name for name in ("probe", "recall", "callback") if hasattr(self.channel, name)]


def plugin(group: str, name: str) -> Any:
    """The object that an entry point of `group` names. Raises ConfigError with the names there are."""
    found = [point for point in entry_points(group=group) if point.name == name]
    if not found:
        known = ", ".join(sorted({point.name for point in entry_points(group=group)}))
        raise ConfigError(
            f"type: {name}", f"there is no such {group.rpartition('.')[2][:-1]} type.", f"Installed are: {known}."
        )
    return found[0].load()


def configured(settings: Mapping[str, Mapping[str, Any]]) -> list[Configured]:
    """Check the settings of every channel. Raises ConfigError naming the setting."""
    return [_configured(name, dict(values)) for name, values in settings.items()]


def _configured(name: str, values: dict[str, Any]) -> Configured:
    type_name = str(values.get("type", ""))
    if not type_name:
        raise ConfigError(f"channels.{name}", "`type` is missing.", "Say what kind of channel it is, e.g. `type: sms`.")
    factory = plugin(CHANNELS, type_name)
    try:
        config = factory.Config.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(["channels", name, *map(str, fault["loc"])])
        raise ConfigError(place, f"{fault['msg']}.", f"Its settings stand in docs/channels/{type_name}.md.") from error
    return Configured(name, type_name, factory, config)


class Switchboard:
    """Opens the configured channels and closes them again; serves their callbacks."""

    def __init__(self, store: Store, clock: Clock, metrics: Metrics, data: Path, public_url: str) -> None:
        self._store, self._clock, self._metrics, self._data, self._public_url = store, clock, metrics, data, public_url
        self._stack = AsyncExitStack()
        self.channels: dict[str, Opened] = {}

    async def open(self, entries: list[Configured], *, sessions: bool = True) -> None:
        """Open all; a channel whose far side is not there opens all the same. Without `sessions` they only describe themselves
        and take callbacks: another process does the sending."""
        http = await self._stack.enter_async_context(lent_session())
        for entry in entries:
            channel = await self._open(entry, http) if sessions else self.made(entry, http)
            self.channels[entry.name] = Opened(entry, channel)

    async def close(self) -> None:
        """End every session."""
        await self._stack.aclose()

    async def _open(self, entry: Configured, http: aiohttp.ClientSession) -> Channel:
        channel = self.made(entry, http)
        if isinstance(channel, AbstractAsyncContextManager):
            await self._stack.enter_async_context(channel)
        return channel

    def made(self, entry: Configured, http: aiohttp.ClientSession) -> Channel:
        """The channel with what the gateway lends it; no session is opened yet."""
        data = self._data / "channels" / entry.name
        data.mkdir(parents=True, exist_ok=True)
        reporter = Reporter(entry.name, store=self._store, clock=self._clock, metrics=self._metrics)
        callback = hasattr(entry.factory, "callback")
        context = Context(
            name=entry.name,
            http=http,
            report=reporter,
            log=structlog.get_logger(entry.name),
            clock=self._clock,
            data=data,
            callback_url=f"{self._public_url}/callbacks/{entry.name}" if callback else "",
        )
        channel = entry.factory(entry.config, context)
        reporter.proves = channel.traits.proves
        return channel


def lent_session() -> aiohttp.ClientSession:
    """The HTTP session that channels share: no cookies, and as many connections as they ask for themselves."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), connector=aiohttp.TCPConnector(limit=0))


def evidence_of(opened: Opened) -> EvidenceConfig:
    """The evidence figures in force: the settings' own, else the type's."""
    return opened.configured.config.evidence or opened.channel.traits.evidence


def evidence(config: EvidenceConfig, *, night: bool) -> Evidence:
    """The figures as the model wants them; by night fewer people hear a device."""
    hear = config.hear_night if night and config.hear_night else config.hear
    return Evidence(
        kind=config.kind,
        count_level=Level[config.count_level.upper()],
        q=config.q_unknown,
        hear_lo=hear[0],
        hear_est=hear[1],
        hear_hi=hear[2],
        reach_lo=config.reach[0],
        reach_est=config.reach[1],
        reach_hi=config.reach[2],
        failure_domain=config.failure_domain,
    )
