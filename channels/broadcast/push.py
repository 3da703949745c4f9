"""EBDs that platforms push to us: states of messages and heartbeats, answered with an EBDResponse package.

Mounted by the gateway at `/callbacks/<name>`; uses the settings and `report` alone. The envelope carries no proof of its
sender, so a push is believed only with the token that is part of the URL given to the platform.
"""

from __future__ import annotations

import hmac

from channels.broadcast import ebd, package
from channels.broadcast.config import Settings, secret_of
from channels.broadcast.ebd import Envelope, Unreadable
from channels.broadcast.exchange import Exchange
from channels.broadcast.messages import Result, response, states_in
from gateway.channel import Callback, Context, Reply


class Receiver:
    """Turns pushed states into receipts."""

    def __init__(self, config: Settings, context: Context, exchange: Exchange) -> None:
        self._config, self._context, self._exchange = config, context, exchange
        self._token = secret_of(config.push_token, config.push_token_file, "push_token_file")

    async def answer(self, request: Callback) -> Reply:
        """Journal what `request` says, then acknowledge it. What `report` raises passes through: nothing is acknowledged."""
        given = request.query.get("token", "").encode("utf-8", "replace")
        if not self._token or not hmac.compare_digest(self._token.encode(), given):
            self._context.log.warning("callback_refused", why="no or wrong token", configured=bool(self._token))
            return Reply(403, b"pushes need ?token= and push_token_file")
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            raw = package.uploaded(headers.get("content-type", ""), request.body)
            envelope = ebd.read(package.unpack(raw).body)
        except Unreadable as problem:
            return await self._reply(Result.UNREADABLE, str(problem))
        return await self._take(envelope)

    async def _take(self, envelope: Envelope) -> Reply:
        if envelope.kind not in ("EBMStateResponse", "ConnectionCheck", "EBDResponse"):
            return await self._reply(Result.OTHER, f"{envelope.kind[:40]} is not served here", envelope.ebd_id)
        try:
            states = list(states_in(envelope, self._config.zone))
        except Unreadable as problem:
            return await self._reply(Result.INCOMPLETE, str(problem), envelope.ebd_id)
        ours = [state.receipt() for state in states if state.ebm_id.startswith(self._config.ebrid)]
        if receipts := [receipt for receipt in ours if receipt]:
            await self._context.report(receipts)
        return await self._reply(Result.DONE, "OK", envelope.ebd_id)

    async def _reply(self, result: Result, description: str, related: str = "") -> Reply:
        ebd_id = self._exchange.new_id()
        raw = await self._exchange.dress(ebd_id, response(result, description), related=related)
        disposition = f"attachment;fileName={package.file_name(ebd_id)}"
        return Reply(200, raw, "application/octet-stream", {"Content-Disposition": disposition})
