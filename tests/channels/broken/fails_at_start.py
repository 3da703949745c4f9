"""Will not open unless the far side is there."""

from __future__ import annotations

from typing import ClassVar, Self

from sound import Gong, SoundContract

BREAKS = "test_it_opens_while_the_far_side_is_away"


class FailsAtStart(Gong):
    """Will not open unless the far side is there."""

    async def __aenter__(self) -> Self:
        await self.probe()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Nothing to end."""


class TestFailsAtStart(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = FailsAtStart
