"""The contract of the channel seam, kept by the channels that speak HTTP: webhook, WeChat, emergency broadcasting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

from channels.broadcast import Broadcast
from channels.broadcast.simulator import CountyPlatform
from channels.webhook import Webhook
from channels.webhook.simulator import Pager, share_of
from channels.wechat import Wechat
from channels.wechat.simulator import OfficialAccount
from gateway.testing import ChannelContract, Harness

REFUSED = next(name for name in map("pager-{}".format, count(10**6)) if share_of(name) < 1e-4)


class TestWebhook(ChannelContract):
    @asynccontextmanager
    async def make(self, folder: Path) -> AsyncIterator[Harness]:
        async with Pager(secret="s", faults="reject=0.0001") as far:
            yield Harness(channel=Webhook, simulator=far, address="pager-{}".format, bad_address=REFUSED)


class TestWebhookThatProvesNothing(ChannelContract):
    @asynccontextmanager
    async def make(self, folder: Path) -> AsyncIterator[Harness]:
        ok = {"path": "errcode", "equals": 0}
        settings = {"many": True, "body": {"to": "{addresses}", "text": "{text}", "key": "{keys}"}, "ok": ok}
        async with Pager() as far:
            yield Harness(channel=Webhook, simulator=far, address="pager-{}".format, settings=settings)


class TestWechat(ChannelContract):
    @asynccontextmanager
    async def make(self, folder: Path) -> AsyncIterator[Harness]:
        async with OfficialAccount() as far:
            far.errcodes["nobody"] = 40003
            yield Harness(
                channel=Wechat,
                simulator=far,
                address="o6_bmjrPTlm6_2sgVt7hMZOPfL{}".format,
                bad_address="nobody",
                settings={"fields": {"content": "text"}},
                arrives=lambda text: " ".join(text.split()),
                longest=200,
            )


class TestBroadcast(ChannelContract):
    @asynccontextmanager
    async def make(self, folder: Path) -> AsyncIterator[Harness]:
        async with CountyPlatform(steps=(0.0, 0.0, 0.05)) as far:
            yield Harness(
                channel=Broadcast,
                simulator=far,
                address=lambda number: f"{far.address}/{number}",
                bad_address="not a web address",
                settings={"poll": 0.05},
                keyed=False,
            )
