"""The WeChat channel: one template message per follower, many in flight, the message id kept for the finish event."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from channels.wechat.callback import Receiver
from channels.wechat.config import Settings
from channels.wechat.course import Course
from channels.wechat.errors import FOLLOWER, REFUSED_TOKEN, error_of
from channels.wechat.platform import Platform, Token, Unanswered
from channels.wechat.template import Letter
from gateway.channel import (
    Batch,
    Callback,
    ChannelError,
    Context,
    Endpoint,
    EvidenceConfig,
    Level,
    Reason,
    Receipt,
    Reply,
    Throttled,
    Traits,
    Unavailable,
)

EVIDENCE = EvidenceConfig(
    kind="addressed", count_level="delivered", q_unknown=0.3, source="starting point of the model; not surveyed"
)


class Wechat:
    """Hands warnings to the followers of an official account (服务号)."""

    Config = Settings

    def __init__(self, config: Settings, context: Context) -> None:
        self.traits = Traits(
            kind="addressed",
            proves=Level.DELIVERED,
            parallel=2,
            format="wechat",
            methods=("WECHAT",),
            evidence=config.evidence or EVIDENCE,
        )
        self._config = config
        self._platform = Platform(config, context.http)
        self._token = Token(config, self._platform)
        self._receiver = Receiver(config, context)
        self._patience_until = 0.0

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        """One message per follower; see `gateway.channel.Channel.send`."""
        if (wait := self._patience_until - time.monotonic()) > 0:
            raise Throttled(wait, "the platform's limit of calls was reached", Reason.QUOTA)
        await self._token.get()
        course = Course(batch.endpoints)
        letter = Letter(self._config, batch)
        last_start = time.monotonic() + self._config.timeout - self._config.request_timeout
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._config.connections, len(batch.endpoints))):
                group.create_task(self._work(letter, course, last_start))
        if isinstance(course.halted, Throttled):
            self._patience_until = time.monotonic() + course.halted.after
        return course.close()

    async def probe(self) -> None:
        """Raise Unavailable or Misconfigured if the platform gives us no token."""
        await self._token.ask_again()

    async def callback(self, request: Callback) -> Reply:
        """Take the platform's registration check and its finish events."""
        return await self._receiver.answer(request)

    async def _work(self, letter: Letter, course: Course, last_start: float) -> None:
        for endpoint in course.todo:
            try:
                await self._write_to(endpoint, letter, course)
            except Unanswered:
                course.unknown(endpoint)
            except ChannelError as error:
                course.halt(error)
            if course.halted or time.monotonic() >= last_start:
                return

    async def _write_to(self, endpoint: Endpoint, letter: Letter, course: Course) -> None:
        answer = await self._ask(letter.to(endpoint))
        code = answer.get("errcode")
        if not isinstance(code, int):
            raise Unanswered
        if code == 0:
            course.accepted(endpoint, str(answer.get("msgid") or ""))
        elif error := error_of(code):
            raise error
        else:
            course.failed(endpoint, FOLLOWER.get(code, Reason.ERROR))

    async def _ask(self, body: bytes) -> dict[str, object]:
        token = await self._token.get()
        answer = await self._platform.ask(SEND, body, token)
        if answer.get("errcode") in REFUSED_TOKEN:
            answer = await self._platform.ask(SEND, body, await self._token.instead_of(token))
            if answer.get("errcode") in REFUSED_TOKEN:
                raise Unavailable("the platform refuses the token it has just given")
        return answer


SEND = "/cgi-bin/message/template/send"
