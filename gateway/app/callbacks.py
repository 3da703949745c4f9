"""Callbacks: far sides that call us at `/callbacks/<name>`. See `ports.desk.Callbacks`."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.app.channels import Switchboard
from gateway.channel import Callback, Reply


class ChannelCallbacks:
    """Hands a callback to the channel it is for."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard

    async def callback(
        self, name: str, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes, str, Mapping[str, str]] | None:
        opened = self._switchboard.channels.get(name)
        listens = getattr(opened.channel, "callback", None) if opened else None
        if listens is None:
            return None
        reply: Reply = await listens(Callback(method, path, query, headers, body))
        return reply.status, reply.body, reply.content_type, reply.headers
