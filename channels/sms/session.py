"""Keeping one bind alive for as long as the channel lives: connect, bind, ask whether the link lives, come back after a loss.

It starts without a far side: `trouble` then says why nothing can be sent, and `settled` when that is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

import structlog

from channels.sms.config import SmsConfig
from channels.sms.outcome import refusal, status_name
from channels.sms.smpp import BIND_TRANSCEIVER, ENQUIRE_LINK, UNBIND, bind
from channels.sms.wire import Wire
from gateway.channel import ChannelError, Misconfigured, Reason, Unavailable

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
"""Seconds between two attempts to connect; doubled from the first to the longest, with jitter."""
PAUSE_AFTER_REFUSAL = 30.0
"""After refused credentials a person has to act, and accounts are locked by too many attempts."""


class Session:
    """One bind of the account. `open_wire` makes the connection's protocol."""

    def __init__(self, config: SmsConfig, open_wire: Callable[[], Wire], log: structlog.stdlib.BoundLogger) -> None:
        self._config, self._open_wire, self._log = config, open_wire, log
        self._failures = 0
        self._stopping = False
        self.wire: Wire | None = None
        self.settled = asyncio.Event()
        self.trouble: ChannelError = Unavailable("not connected yet")

    async def run(self) -> None:
        """Stay bound until stopped or cancelled."""
        while True:
            self.settled.clear()
            try:
                await self._live()
            except ChannelError as problem:
                self.trouble = problem
            except (OSError, TimeoutError) as problem:
                self.trouble = Unavailable(self._unreachable(problem))
            except Exception as bug:
                self._log.exception("sms_session_broke")
                self.trouble = Unavailable(self._ended(repr(bug)))
            if self._stopping:
                return
            self._log.warning("sms_not_bound", why=self.trouble.detail)
            self.settled.set()
            await asyncio.sleep(self._pause())

    async def stop(self) -> None:
        """Take leave of the centre politely, within a second."""
        self._stopping = True
        if self.wire is None:
            return
        self.wire.stop()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await self.wire.request(UNBIND)
        self.wire.close("we ended the session")
        await self.wire.lost

    async def _live(self) -> None:
        """One connection from beginning to end. Raises what ended it."""
        wire = await self._connect()
        try:
            await self._bind(wire)
            self.wire, self._failures = wire, 0
            self.trouble = Unavailable(self._ended("just now"))
            wire.bound()
            self.settled.set()
            self._log.info("sms_bound", host=self._config.host, port=self._config.port)
            await self._keep(wire)
        finally:
            self.wire = None
            wire.close("the session was stopped")
        raise Unavailable(self._ended(await wire.lost))

    async def _connect(self) -> Wire:
        config = self._config
        trust = await config.trust()
        async with asyncio.timeout(config.response_timeout):
            _, wire = await asyncio.get_running_loop().create_connection(
                self._open_wire, config.host, config.port, ssl=trust
            )
        return wire

    async def _bind(self, wire: Wire) -> None:
        """bind_transceiver (SMPP 3.4 §4.1.5)."""
        config = self._config
        try:
            body = bind(config.system_id, await config.secret(), config.system_type)
        except ValueError as error:
            raise Misconfigured(
                f"短信账号或密码含有 SMPP 不能传的字符。Account or password cannot be sent: {error}"
            ) from error
        status = await wire.request(BIND_TRANSCEIVER, body)
        if not status:
            return
        detail = (
            f"短信中心 {config.host}:{config.port} 拒绝登录账号 {config.system_id}，没有短信能发出：{status_name(status)}。"
            f"The message centre refuses the bind; check system_id, password and binds."
        )
        if refusal(status) == Reason.MISCONFIGURED:
            raise Misconfigured(detail)
        raise Unavailable(detail)

    async def _keep(self, wire: Wire) -> None:
        """Until the connection ends: ask, give up what is overdue, and hand in receipts."""
        async with asyncio.TaskGroup() as tasks:
            chores = [tasks.create_task(self._ask(wire)), tasks.create_task(self._tidy(wire))]
            tasks.create_task(wire.report())
            await asyncio.shield(wire.lost)
            for chore in chores:
                chore.cancel()

    async def _ask(self, wire: Wire) -> None:
        while True:
            await asyncio.sleep(self._config.enquire_link)
            try:
                await wire.request(ENQUIRE_LINK)
            except (OSError, TimeoutError):
                wire.close("no answer to enquire_link")
                return

    async def _tidy(self, wire: Wire) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._config.response_timeout / 4))
            wire.give_up_late_answers()

    def _pause(self) -> float:
        longest = PAUSE_AFTER_REFUSAL if isinstance(self.trouble, Misconfigured) else LONGEST_PAUSE
        pause = longest if isinstance(self.trouble, Misconfigured) else FIRST_PAUSE * 2 ** min(self._failures, 10)
        self._failures += 1
        return min(pause, longest) * random.uniform(0.5, 1.0)

    def _unreachable(self, problem: Exception) -> str:
        config = self._config
        return (
            f"短信中心 {config.host}:{config.port} 连不上，短信暂时发不出，会自动重连。"
            f"The message centre does not answer, SMS wait; we keep trying: {problem or type(problem).__name__}"
        )

    def _ended(self, why: str) -> str:
        config = self._config
        return (
            f"与短信中心 {config.host}:{config.port} 的连接断了，短信暂时发不出，会自动重连。"
            f"The connection to the message centre ended, SMS wait; we keep trying: {why}"
        )
