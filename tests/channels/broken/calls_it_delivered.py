"""Says more than its traits promise."""

from __future__ import annotations

from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Level, Traits

BREAKS = "test_no_receipt_says_more_than_the_channel_proves"


class CallsItDelivered(Gong):
    """Says more than its traits promise."""

    traits = Traits(kind="addressed", proves=Level.ACCEPTED)


class TestCallsItDelivered(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = CallsItDelivered
