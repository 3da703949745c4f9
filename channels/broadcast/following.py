"""Following messages to their end: asks each platform how a message stands, at due times, until it is final or expired.

Questions become rarer with time. What is open in the ledger is taken up again after a restart.
"""

from __future__ import annotations

import asyncio

from channels.broadcast.config import Settings
from channels.broadcast.ebd import Unreadable
from channels.broadcast.exchange import Exchange, Refused, Unanswered
from channels.broadcast.ledger import Handed, Ledger
from channels.broadcast.messages import State, state_request, states_in
from gateway.channel import ChannelError, Context, Instant

SLOWER = 1.5
RAREST_SECONDS = 60.0


class Following:
    """One task per open message."""

    def __init__(self, config: Settings, context: Context, exchange: Exchange, ledger: Ledger) -> None:
        self._config, self._context, self._exchange, self._ledger = config, context, exchange, ledger
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def resume(self) -> None:
        """Follow everything that was open when the gateway stopped, asking at once."""
        for handed in await self._ledger.open_ones():
            self._follow(handed, self._context.clock.now())

    async def begin(self, entries: list[Handed]) -> None:
        """Follow `entries` from now on."""
        first = self._context.clock.now() + int(self._config.poll * 1000)
        await self._mark(entries, open=True)
        for handed in entries:
            self._follow(handed, first)

    async def stop(self) -> None:
        """End all tasks; what is open stays open in the ledger."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    def _follow(self, handed: Handed, first: Instant) -> None:
        if handed.ebm_id not in self._tasks:
            task = self._tasks[handed.ebm_id] = asyncio.create_task(self._to_its_end(handed, first))
            task.add_done_callback(lambda _: self._tasks.pop(handed.ebm_id, None))

    async def _to_its_end(self, handed: Handed, due: Instant) -> None:
        clock, wait, told = self._context.clock, self._config.poll, None
        while True:
            await clock.until(min(due, handed.expires_at))
            last_question = clock.now() >= handed.expires_at
            state = await self._state_of(handed)
            if state and state.code != told and await self._tell(state):
                told = state.code
            if (told is not None and told.final) or last_question:
                break
            wait = min(wait * SLOWER, max(RAREST_SECONDS, self._config.poll))
            due = clock.now() + int(wait * 1000)
        await self._mark([handed], open=False)

    async def _mark(self, entries: list[Handed], *, open: bool) -> None:
        """Note what is open. A mark that cannot be kept costs questions after a restart, and nothing now."""
        try:
            await self._ledger.mark(entries, open=open)
        except ChannelError as error:
            self._context.log.warning("broadcast_mark_not_kept", why=error.detail)

    async def _state_of(self, handed: Handed) -> State | None:
        """The platform's word; None if it has none now. A platform that is away is asked again at the next due time."""
        ebd_id = self._exchange.new_id()
        try:
            raw = await self._exchange.dress(ebd_id, state_request(handed.ebm_id), address=handed.address)
            answer = await self._exchange.ask(handed.address, ebd_id, raw)
            states = {state.ebm_id: state for state in states_in(answer, self._config.zone)}
        except (ChannelError, Refused, Unanswered, Unreadable) as error:
            self._context.log.info("broadcast_state_unknown", ebm=handed.ebm_id, why=type(error).__name__)
            return None
        return states.get(handed.ebm_id)

    async def _tell(self, state: State) -> bool:
        """Journal a state; False if it could not be kept, so that the next question brings it again."""
        receipt = state.receipt()
        if receipt is None:
            return False
        try:
            await self._context.report([receipt])
        except Exception as error:
            self._context.log.warning("broadcast_state_not_kept", ebm=state.ebm_id, why=type(error).__name__)
            return False
        if state.coverage:
            self._context.log.info("broadcast_coverage_reported", ebm=state.ebm_id, rate=state.coverage)
        return True
