"""A message centre that remembers when each message came and which of them it has called delivered: the truth of the far side."""

from __future__ import annotations

import time
from typing import Any

from checker import Got

from channels.sms.centre import DELIVERIES
from channels.sms.judging import DELIVERED
from channels.sms.simulator import SmsCentre
from channels.sms.smpp import OK


class Witness(SmsCentre):
    """Lives in the test's process, so it outlives every kill. `came`: the loop's seconds of each message in `received`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.came: list[float] = []
        self._keys: dict[bytes, str] = {}

    def _take(self, data: bytes, start: int, end: int, now: float) -> tuple[int, bytes]:
        before = len(self.received)
        status, message_id = super()._take(data, start, end, now)
        if status == OK and len(self.received) > before:
            self._keys[message_id] = self.received[-1]["key"]
            self.came.append(time.monotonic())
        return status, message_id

    async def __aenter__(self) -> Witness:
        await super().__aenter__()
        return self

    def got(self) -> list[Got]:
        """Everything it took, in order."""
        return [Got(item["alert"], item["key"], item["address"]) for item in self.received]

    def told_delivered(self) -> frozenset[str]:
        """The keys of the messages whose delivery it has told."""
        return frozenset(
            self._keys[one] for one, state in self._ended.items() if state == DELIVERED and one in self._keys
        )

    @property
    def quiet(self) -> bool:
        """Whether every receipt is handed over and acknowledged."""
        return not self.pending and all(line.room in (0, DELIVERIES) for line in self.lines)

    def sent_again(self, before: int) -> int:
        """Messages from the place `before` on whose key had come before it."""
        known = {item["key"] for item in self.received[:before]}
        return sum(item["key"] in known for item in self.received[before:])
