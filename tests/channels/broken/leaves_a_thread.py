"""Starts a thread that it never ends."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import ClassVar

from sound import Gong, SoundContract

from gateway.channel import Batch, Receipt

BREAKS = "test_it_leaves_nothing_behind"


class LeavesAThread(Gong):
    """Starts a thread that it never ends."""

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        threading.Thread(target=threading.Event().wait, args=(20,), daemon=True).start()
        return await super().send(batch)


class TestLeavesAThread(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = LeavesAThread
