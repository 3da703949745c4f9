"""Remembers one outage for ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from sound import Answer, Gong, SoundContract

from gateway.channel import Unavailable

BREAKS = "test_a_far_side_in_trouble_is_no_success_and_may_return"


class NeverRecovers(Gong):
    """Remembers one outage for ever."""

    gone = False

    async def ask(self, strokes: Sequence[Mapping[str, str]]) -> Answer:
        if self.gone:
            raise Unavailable("the tower was away once")
        try:
            return await super().ask(strokes)
        except Unavailable:
            self.gone = True
            raise


class TestNeverRecovers(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = NeverRecovers
