"""Replaying: what was given up is put back to work because a person asks for it. A given-up batch is sent again to those of it who
were not reached; a queue message that nobody could read is published again as it was.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.channel import Clock
from gateway.flow.refusals import not_yours, unknown_dead_letter
from gateway.ports.desk import Json, Principal, Role
from gateway.ports.store import Store, Transaction

STRAY = "m"
"""What the id of a queue message begins with; that of a batch is its number."""


class Replay:
    """The deed, with its audit row. `woken` is called after a batch was put back."""

    def __init__(self, store: Store, clock: Clock, woken: Callable[[], None]) -> None:
        self._store, self._clock, self._woken = store, clock, woken

    async def replay(self, id: str, by: Principal) -> Json:
        """Put one dead letter back to work. Raises Refused: 403 for other roles, 404 if it is not among the dead letters."""
        if not by.may(Role.APPROVER) or by.regions:
            raise not_yours("replay")
        number = id.removeprefix(STRAY)
        if not (number.isascii() and number.isdigit() and len(number) < 19):
            raise unknown_dead_letter()
        now = self._clock.now()

        def work(tx: Transaction) -> bool:
            stray = id.startswith(STRAY)
            done = tx.strays.ask_replay(int(number)) if stray else tx.outbox.revive(int(number), now)
            if done:
                tx.chronicle.audit(by.name, "replayed", now, note=id)
            return done

        if not await self._store.write(work):
            raise unknown_dead_letter()
        self._woken()
        return {"id": id, "state": "replayed"}
