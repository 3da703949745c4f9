"""The contract of the channel seam, kept by the channel that speaks SMPP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

from channels.sms import Sms
from channels.sms.simulator import SmsCentre
from gateway.testing import ChannelContract, Harness


class TestSms(ChannelContract):
    settings: ClassVar[dict[str, Any]] = {}

    @asynccontextmanager
    async def make(self, folder: Path) -> AsyncIterator[Harness]:
        async with SmsCentre(faults="unordered") as far:
            yield Harness(
                channel=Sms,
                simulator=far,
                address="1000{:07}".format,
                bad_address="the mayor",
                settings=self.settings,
            )


class TestSmsInOnePiece(TestSms):
    """Long texts in message_payload, over two binds."""

    settings: ClassVar[dict[str, Any]] = {"long": "payload", "binds": 2}
