"""Canary: a self-test through every channel to its sink, so that a channel that has died is noticed before a warning needs it.

A canary is a CAP message of our own with status System: it goes the real way, through intake, plan, queue and channel, and by its
status it can reach a sink alone. What it proves is told as the time of each channel's last success. Old ones are forgotten.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from gateway.cap import as_cap
from gateway.channel import Clock
from gateway.errors import Refused, Unstorable
from gateway.flow.coverage import Folder
from gateway.flow.office import Office
from gateway.model.alert import Alert, Grade, Info, MsgType, Scope, Status
from gateway.model.ids import new_id
from gateway.model.journal import NEVER
from gateway.model.receipt import Level
from gateway.model.time import Instant, moment
from gateway.ports.store import Store
from gateway.telemetry import Metrics

VIA = "canary"
"""How a canary came in: lists and figures of warnings leave it out."""

LOOK = 1_000
KEPT = 3_600_000

Post = Callable[[bytes], Awaitable[str]]
"""Posts a message as ours; returns the alert's id."""


class Canary:
    """Sends a canary every `every` milliseconds and looks at what became of the last ones. Only the watch leader does."""

    def __init__(
        self, store: Store, clock: Clock, office: Office, folder: Folder, metrics: Metrics, post: Post, every: int
    ) -> None:
        self._store, self._clock, self._office, self._folder = store, clock, office, folder
        self._metrics, self._post, self._every = metrics, post, every
        self._next: Instant = 0
        self._out: dict[str, Instant] = {}

    async def run(self) -> None:
        """Sing until cancelled."""
        while True:
            if self._office.held:
                with contextlib.suppress(Unstorable, Refused):
                    await self.tick()
            else:
                self._metrics.canary_last_success.clear()
            await self._clock.until(self._clock.now() + LOOK)

    async def tick(self) -> None:
        """Look at the canaries that are out; send the next if it is time."""
        now = self._clock.now()
        for id in list(self._out):
            await self._look_at(id)
        if now >= self._next:
            self._next = now + self._every
            self._out[await self._post(as_cap(canary(now, self._every)))] = now
            self._out = {id: sent for id, sent in self._out.items() if sent > now - 3 * self._every}
            await self._store.write(lambda tx: tx.alerts.forget(VIA, now - KEPT))

    async def _look_at(self, id: str) -> None:
        row = await self._store.read(lambda tx: tx.alerts.by_id(id))
        account = await self._folder.account(row.n) if row else None
        if account is None:
            return
        roster, times = account.book.roster, account.book.times[Level.ACCEPTED :].min(axis=0)
        for number, at in zip(roster.endpoint_channel.tolist(), times.tolist(), strict=True):
            if at < NEVER:
                self._metrics.canary_last_success.labels(roster.channels[number]).set(at / 1000)


def canary(now: Instant, every: int) -> Alert:
    """The message: valid until the next but one is sent."""
    sent = now // 1000 * 1000
    info = Info(
        language="zh-CN",
        event="系统自检",
        grade=Grade.UNKNOWN,
        categories=("Other",),
        headline="系统自检",
        description=f"UTC {moment(sent):%H:%M:%S} 自检，请忽略。Self-test, please ignore.",
        expires=sent + 2 * every,
    )
    return Alert(
        identifier=f"canary-{new_id()}",
        sender="tongluo",
        sent=sent,
        status=Status.SYSTEM,
        msg_type=MsgType.ALERT,
        scope=Scope.PUBLIC,
        dialect="cap-1.2",
        infos=(info,),
    )
