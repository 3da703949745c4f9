"""Says that all is well without asking."""

from __future__ import annotations

from typing import ClassVar

from sound import Gong, SoundContract

BREAKS = "test_the_probe_tells_whether_the_far_side_is_there"


class SmilesAtEveryProbe(Gong):
    """Says that all is well without asking."""

    async def probe(self) -> None:
        """All is well."""


class TestSmilesAtEveryProbe(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = SmilesAtEveryProbe
