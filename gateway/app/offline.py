"""A preview without a running gateway: the world of a configuration on a store that is thrown away. No session is opened."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import aiohttp
import structlog

from gateway.app.channels import Opened, Switchboard, configured
from gateway.app.composing import ADMIN
from gateway.app.desk import GatewayDesk
from gateway.app.reference import refresh
from gateway.app.world import build_world
from gateway.clock import SystemClock
from gateway.flow.intake import Intake
from gateway.flow.release import Release
from gateway.flow.replaying import Replay
from gateway.ports.desk import Json
from gateway.settings import Settings
from gateway.store import SqlStore, migrate
from gateway.telemetry import Metrics


async def preview_offline(settings: Settings, config: Path | None, raw: bytes) -> Json:
    """What a message would do under these settings; see `ports.desk.Desk.preview`."""
    clock, metrics, log = SystemClock(), Metrics(), structlog.get_logger("preview")
    with tempfile.TemporaryDirectory(prefix="tongluo-preview-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'preview.db'}"
        await asyncio.to_thread(migrate, url)
        store = SqlStore(url, clock)
        try:
            reference = await refresh(store, settings, config, clock, log)
            switchboard = Switchboard(store, clock, metrics, folder, "")
            async with aiohttp.ClientSession() as http:
                channels = {
                    entry.name: Opened(entry, switchboard.made(entry, http)) for entry in configured(settings.channels)
                }
            world = build_world(settings, config, reference, channels)
            intake = Intake(store, clock, world, metrics, log, _nobody)
            desk = GatewayDesk(
                intake, Release(store, clock, world, _nobody), Replay(store, clock, _nobody), world, clock
            )
            return await desk.preview(raw, ADMIN)
        finally:
            await store.aclose()


def _nobody() -> None:
    """Nobody waits for work here."""
