"""Starts something that it never ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Receipt

BREAKS = "test_it_leaves_nothing_behind"


class LeavesATask(Gong):
    """Starts something that it never ends."""

    tasks: ClassVar[set[asyncio.Task[Any]]] = set()

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        self.tasks.add(asyncio.create_task(asyncio.sleep(60)))
        return await super().send(batch)


class TestLeavesATask(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = LeavesATask
