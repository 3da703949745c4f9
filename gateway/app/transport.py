"""Transport: the queue as configured, and the steps that keep it going in this process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from structlog.stdlib import BoundLogger

from gateway.app.channels import Opened
from gateway.app.duties import Duty
from gateway.channel import Clock
from gateway.errors import ConfigError, Unstorable
from gateway.flow.office import Office
from gateway.ports.queue import Queue
from gateway.queue.embedded import EmbeddedQueue
from gateway.queue.rabbit import RabbitQueue
from gateway.queue.reconciler import Reconciler
from gateway.queue.relay import Relay
from gateway.settings import QueueSettings
from gateway.store import SqlStore

TICK = 1.0
"""Seconds between two looks of the reconciler."""

Step = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Transport:
    """The queue; `steps` run in this process whatever it does, `reconciler` where the watch office is stood for."""

    queue: Queue
    steps: dict[str, Step] = field(default_factory=dict)
    reconciler: Reconciler | None = None

    @property
    def brokered(self) -> bool:
        """Whether a broker stands between."""
        return not isinstance(self.queue, EmbeddedQueue)

    def watched(self, office: Office) -> dict[str, Step]:
        """The steps of a process that may lead the watch."""
        reconciler = self.reconciler
        if reconciler is None:
            return {}

        async def reconcile() -> None:
            while True:
                if office.held:
                    with contextlib.suppress(Unstorable):
                        await reconciler.tick()
                await asyncio.sleep(TICK)

        return {"reconciler": reconciler.run, "reconciling": reconcile}


def transport(
    settings: QueueSettings,
    store: SqlStore,
    clock: Clock,
    owner: str,
    duties: frozenset[Duty],
    channels: Mapping[str, Opened],
    log: BoundLogger,
) -> Transport:
    """The queue that the settings name."""
    if settings.embedded:
        return Transport(EmbeddedQueue(store, clock, owner))
    if urlsplit(settings.url).password:
        log.warning("secret_inline", setting="queue.url", advice="put the password into queue.password_file")
    url, prefix = with_password(settings.url, settings.password_file), settings.prefix
    relays = bool(duties & {Duty.INTAKE, Duty.WATCH})
    relay = Relay(url, store, clock, log, prefix=prefix) if relays else None
    prefetch = {name: opened.parallel for name, opened in channels.items()}
    queue = RabbitQueue(url, store, clock, log, prefetch=prefetch, relay=relay, prefix=prefix)
    found = Transport(queue)
    if relay is not None:
        found.steps["relay"] = relay.run
    if Duty.DELIVER in duties:
        found.steps["queue"] = queue.run
    if relay is not None and Duty.WATCH in duties:
        found.reconciler = Reconciler(url, store, clock, relay, log, channels=list(channels), prefix=prefix)
    return found


def with_password(url: str, file: str) -> str:
    """A URL with the password that a file holds. Raises ConfigError."""
    if not file:
        return url
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or 'guest'}:{quote(secret(file), safe='')}@{place}"))


def secret(file: str) -> str:
    """The first line of a secret's file. Raises ConfigError."""
    try:
        return Path(file).expanduser().read_text(encoding="utf-8").strip().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(file, f"the secret cannot be read: {why}.", "Correct its name or its mode.") from error
