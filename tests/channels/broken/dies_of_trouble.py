"""Lets its library's errors through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from sound import Answer, Gong, SoundContract

BREAKS = "test_a_far_side_in_trouble_is_no_success_and_may_return"


class DiesOfTrouble(Gong):
    """Lets its library's errors through."""

    async def ask(self, strokes: Sequence[Mapping[str, str]]) -> Answer:
        async with self.context.http.post(self.config.url, json=strokes) as response:
            return Answer.model_validate_json(await response.read())


class TestDiesOfTrouble(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = DiesOfTrouble
