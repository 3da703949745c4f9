"""Duties: what a process of the deployment does (`--role`), and what it needs for that."""

from __future__ import annotations

from enum import StrEnum

from gateway.errors import ConfigError
from gateway.settings import Settings


class Duty(StrEnum):
    """A role of docs/deploying.md. One process has all of them unless it is told otherwise."""

    INTAKE = "intake"
    DELIVER = "deliver"
    WATCH = "watch"
    WEB = "web"


ALL = frozenset(Duty)


def refuse_mismatch(settings: Settings, duties: frozenset[Duty]) -> None:
    """Several processes need a store and a queue that they can share. Raises ConfigError."""
    embedded_store, embedded_queue = settings.store.embedded, settings.queue.embedded
    if duties != ALL and (embedded_store or embedded_queue):
        lacks = {"store.url: postgresql://...": embedded_store, "queue.url: amqp://...": embedded_queue}
        lacking = " and ".join(name for name, lacks_it in lacks.items() if lacks_it)
        what = f"a process with the roles {', '.join(sorted(duties))} alone needs {lacking}."
        raise ConfigError("--role", what, "Set them, or leave --role out: one process does everything.")
    if embedded_queue and not embedded_store:
        what = "several processes could share this store, and the embedded queue serves only one."
        raise ConfigError(
            "queue.url", what, "Set queue.url: amqp://..., or use a store of this machine (sqlite:///...)."
        )
