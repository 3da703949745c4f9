"""Calls an outage a refusal, so that nobody tries again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from sound import Answer, Gong, SoundContract

from gateway.channel import Rejected, Unavailable

BREAKS = "test_a_far_side_in_trouble_is_no_success_and_may_return"


class GivesUp(Gong):
    """Calls an outage a refusal, so that nobody tries again."""

    async def ask(self, strokes: Sequence[Mapping[str, str]]) -> Answer:
        try:
            return await super().ask(strokes)
        except Unavailable as error:
            raise Rejected("the tower is gone") from error


class TestGivesUp(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = GivesUp
