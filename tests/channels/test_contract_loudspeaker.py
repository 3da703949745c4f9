"""The contract of the channel seam, kept by the channel that speaks MQTT."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from channels.loudspeaker import Loudspeaker
from channels.loudspeaker.simulator import Village
from gateway.testing import ChannelContract, Harness


class TestLoudspeaker(ChannelContract):
    @asynccontextmanager
    async def make(self, folder: Path) -> AsyncIterator[Harness]:
        async with Village(delay=0.05, spread=0.1) as far:
            yield Harness(
                channel=Loudspeaker,
                simulator=far,
                address="speaker-{}".format,
                bad_address="speaker/+",
                settings={"hold": 0.2, "patience": 1},
            )
