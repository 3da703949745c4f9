"""Trusts the far side to answer what it should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sound import Answer, Gong, SoundContract

BREAKS = "test_an_answer_that_is_none_raises_nothing_strange"


class DiesOfNonsense(Gong):
    """Trusts the far side to answer what it should."""

    async def ask(self, strokes: Sequence[Mapping[str, str]]) -> Answer:
        async with self.context.http.post(self.config.url, json=strokes) as response:
            answer: Any = await response.json()
        return Answer(taken=answer["taken"])


class TestDiesOfNonsense(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = DiesOfNonsense
