"""The emergency-broadcast channel: one package per platform, followed until it was on air, failed or expired."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from pathlib import Path

from channels.broadcast.config import Settings
from channels.broadcast.ebd import Envelope, Unreadable
from channels.broadcast.exchange import Exchange, Refused, Unanswered
from channels.broadcast.following import Following
from channels.broadcast.ledger import Handed, Ledger
from channels.broadcast.messages import RESULT_REASON, Attached, MsgType, ebm, result_of, type_of
from channels.broadcast.push import Receiver
from gateway.channel import (
    Audio,
    Batch,
    Callback,
    ChannelError,
    Context,
    Endpoint,
    EvidenceConfig,
    Level,
    Misconfigured,
    Reason,
    Receipt,
    Reply,
    Traits,
    Unavailable,
)

MAX_AUDIO = 100_000_000
MAX_BATCH = 16
"""Platforms asked at once: one wave, so that a silent one costs a send one time-out and no more."""

EVIDENCE = EvidenceConfig(
    kind="area", reach=(0.0, 0.3, 0.6), failure_domain="power", source="placeholder, not surveyed"
)


class Broadcast:
    """Hands warnings to the platforms of emergency broadcasting; an endpoint's address is its platform's URL."""

    Config = Settings

    def __init__(self, config: Settings, context: Context) -> None:
        self.traits = Traits(
            kind="area",
            proves=Level.DELIVERED,
            max_batch=MAX_BATCH,
            parallel=2,
            media="audio" if config.audio else "text",
            audible=True,
            format="broadcast",
            methods=("BROADCAST",),
            evidence=config.evidence or EVIDENCE,
        )
        self._config, self._context = config, context
        self._exchange = Exchange(config, context)
        self._ledger = Ledger(context.data, config.ebrid, config.zone)
        self._following = Following(config, context, self._exchange, self._ledger)
        self._receiver = Receiver(config, context, self._exchange)

    async def __aenter__(self) -> Broadcast:
        await self._following.resume()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._following.stop()
        await self._ledger.settle()

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        """One EBM per platform; see `gateway.channel.Channel.send`."""
        audio = await self._audio_of(batch)
        entries = await self._numbered(batch, batch.endpoints)
        outcomes = await asyncio.gather(
            *(self._hand(batch, *pair, audio) for pair in zip(batch.endpoints, entries, strict=True))
        )
        receipts = [receipt for receipt in outcomes if receipt]
        taken = [entry for entry, receipt in zip(entries, outcomes, strict=True) if _may_be_there(receipt)]
        await self._following.begin(taken)
        if not taken:
            _raise_if_all(receipts)
        return receipts

    async def recall(self, batch: Batch, receipts: Sequence[Receipt]) -> Sequence[Receipt]:
        """Cancel (MsgType 2) what was handed over and has not failed; a platform that agrees has withdrawn it."""
        failed = {receipt.endpoint for receipt in receipts if receipt.level is Level.FAILED}
        far_ids = {receipt.endpoint: receipt.far_id for receipt in receipts}
        left = [endpoint for endpoint in batch.endpoints if endpoint.ordinal not in failed]
        outcomes = await asyncio.gather(*(self._cancel(batch, each, far_ids.get(each.ordinal, "")) for each in left))
        return [receipt for receipt in outcomes if receipt]

    async def callback(self, request: Callback) -> Reply:
        """Take states and heartbeats that platforms push (docs/channels/broadcast.md, 推送)."""
        return await self._receiver.answer(request)

    async def _hand(self, batch: Batch, endpoint: Endpoint, entry: Handed, audio: bytes) -> Receipt | None:
        related = await self._ledger.sent_before(batch.supersedes, endpoint.address) if batch.supersedes else ""
        reason = await self._transmit(batch, endpoint, entry, type_of(batch), related, audio)
        if reason is None:
            return None
        level = Level.ACCEPTED if reason is Reason.NONE else Level.FAILED
        return Receipt(level, endpoint.ordinal, entry.ebm_id if reason is Reason.NONE else "", reason=reason)

    async def _cancel(self, batch: Batch, endpoint: Endpoint, far_id: str) -> Receipt | None:
        if not far_id:
            handed = await self._ledger.find(batch.key(endpoint))
            far_id = handed.ebm_id if handed else ""
        if not far_id:
            return None
        [entry] = await self._numbered(batch, [endpoint], suffix=".recall")
        if await self._transmit(batch, endpoint, entry, MsgType.CANCEL, far_id) is Reason.NONE:
            return Receipt(Level.FAILED, endpoint.ordinal, far_id, reason=Reason.WITHDRAWN)
        return None

    async def _numbered(self, batch: Batch, endpoints: Sequence[Endpoint], suffix: str = "") -> list[Handed]:
        alert = batch.alert if not suffix else ""
        wanted = [
            Handed(batch.key(endpoint) + suffix, "", endpoint.address, alert, batch.expires_at)
            for endpoint in endpoints
        ]
        return await self._ledger.number(wanted, self._context.clock.now())

    async def _transmit(
        self,
        batch: Batch,
        endpoint: Endpoint,
        entry: Handed,
        msg_type: MsgType,
        related: str,
        audio: bytes = b"",
    ) -> Reason | None:
        """Why the platform did not take the message: NONE = it did; None = nobody can tell."""
        ebd_id = self._exchange.new_id()
        files = {f"EBDR_{ebd_id}{_suffix(batch.message.audio)}": audio} if audio else {}
        attached = next((Attached(name, len(content)) for name, content in files.items()), None)
        now = self._context.clock.now()
        body = ebm(self._config, batch, endpoint, entry.ebm_id, now, msg_type=msg_type, related=related, audio=attached)
        try:
            raw = await self._exchange.dress(ebd_id, body, address=endpoint.address, attachments=files)
            return _verdict(await self._exchange.ask(endpoint.address, ebd_id, raw))
        except ChannelError as error:
            self._context.log.warning("broadcast_not_handed", ebm=entry.ebm_id, why=error.detail)
            return Reason.MISCONFIGURED if isinstance(error, Misconfigured) else Reason.UNAVAILABLE
        except Refused as refused:
            return refused.reason
        except (Unanswered, Unreadable):
            return None

    async def _audio_of(self, batch: Batch) -> bytes:
        """The audio file; b"" if there is none to read: the text goes out all the same."""
        audio = batch.message.audio
        if audio is None:
            return b""
        try:
            return await asyncio.to_thread(_read_audio, Path(audio.path))
        except OSError as error:
            self._context.log.warning("broadcast_without_audio", alert=batch.alert, why=error.strerror)
            return b""


def _may_be_there(receipt: Receipt | None) -> bool:
    """Taken, or perhaps taken: worth following."""
    return receipt is None or receipt.level is not Level.FAILED


def _verdict(answer: Envelope) -> Reason:
    """What the answer to an EBM means; a platform that answers with the message's state has taken it, too."""
    if answer.kind == "EBMStateResponse":
        return Reason.NONE
    if answer.kind != "EBDResponse":
        raise Unreadable(f"a {answer.kind[:40]} is no answer to an EBM")
    result, _ = result_of(answer.body)
    return RESULT_REASON.get(result, Reason.NONE)


def _raise_if_all(receipts: Sequence[Receipt]) -> None:
    """What stops every platform alike is the channel's trouble, not the endpoints'."""
    reasons = {receipt.reason for receipt in receipts}
    if reasons == {Reason.UNAVAILABLE}:
        raise Unavailable("no platform answers")
    if reasons == {Reason.MISCONFIGURED}:
        raise Misconfigured("packages cannot be signed; see the log")


def _read_audio(path: Path) -> bytes:
    if path.stat().st_size > MAX_AUDIO:
        raise OSError(errno.EFBIG, "larger than a platform takes")
    return path.read_bytes()


def _suffix(audio: Audio | None) -> str:
    return Path(audio.path).suffix or ".wav" if audio else ""
