"""Logs whom it warns."""

from __future__ import annotations

from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Endpoint

BREAKS = "test_no_log_line_holds_an_address"


class TellsAddresses(Gong):
    """Logs whom it warns."""

    def stroke(self, batch: Batch, endpoint: Endpoint) -> dict[str, str]:
        self.context.log.info("gong_beaten", to=endpoint.address)
        return super().stroke(batch, endpoint)


class TestTellsAddresses(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = TellsAddresses
