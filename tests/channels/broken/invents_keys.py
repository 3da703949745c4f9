"""Makes a new key for each attempt."""

from __future__ import annotations

from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Endpoint

BREAKS = "test_the_key_is_the_same_on_a_retry_and_new_for_a_dispatch"


class InventsKeys(Gong):
    """Makes a new key for each attempt."""

    def stroke(self, batch: Batch, endpoint: Endpoint) -> dict[str, str]:
        return {**super().stroke(batch, endpoint), "key": f"{batch.key(endpoint)}.{batch.attempt}"}


class TestInventsKeys(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = InventsKeys
