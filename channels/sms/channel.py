"""The `sms` channel: from a batch to SMPP messages and from receipts to statements about endpoints. The gateway calls it."""

from __future__ import annotations

import asyncio
import random
import re
from collections import OrderedDict
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from channels.sms.config import SmsConfig
from channels.sms.correlation import REMEMBERED, Correlation
from channels.sms.outbound import Cancellation, Envelope, Submission
from channels.sms.parts import JOINT
from channels.sms.receipt import Arrival, Reader
from channels.sms.session import Session
from channels.sms.smpp import ALERT_TLV, ENQUIRE_LINK, KEY_TLV, OK, TEMPORARY_FAULT, Frame, cstring, read_short, tlv
from channels.sms.text import Part, TooLong, compose
from channels.sms.wire import Wire
from channels.sms.work import Backlog
from gateway.channel import (
    Batch,
    Context,
    Endpoint,
    EvidenceConfig,
    Level,
    Misconfigured,
    Reason,
    Receipt,
    Throttled,
    Traits,
    Unavailable,
    moment,
)

_NUMBER = re.compile(r"\+?[0-9]{3,20}")

EVIDENCE = EvidenceConfig(
    kind="addressed",
    count_level="delivered",
    q_unknown=0.6,
    failure_domain="mobile",
    source="starting point of the model; not surveyed",
    date="2026-07-22",
)


class Sms:
    """SMS through an account at a message centre (SMPP 3.4)."""

    Config = SmsConfig

    def __init__(self, config: SmsConfig, context: Context) -> None:
        self._config, self._context, self._log = config, context, context.log
        self._sender = bytes((config.source_ton, config.source_npi)) + cstring(config.source_addr)
        self._recipient = bytes((config.dest_ton, config.dest_npi))
        self._backlog = Backlog()
        self._correlation = Correlation(config.message_id_format, context.data / "sms-parts.log")
        self._reader = Reader(ZoneInfo(config.receipt_zone), config.operator_reasons)
        self._handed: OrderedDict[str, dict[int, str]] = OrderedDict()
        self._reference = random.randrange(256)
        self._sessions: list[Session] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.traits = Traits(
            kind="addressed",
            proves=Level.DELIVERED if config.registered_delivery else Level.ACCEPTED,
            max_chars=67 * config.max_parts if config.max_parts > 1 else 70,
            rate=config.rate or 0.0,
            parallel=config.parallel or 4,
            format="sms",
            methods=("SMS",),
            evidence=config.evidence or EVIDENCE,
        )

    async def __aenter__(self) -> Sms:
        await self._correlation.open(self._context.clock.now())
        await self._report_late()
        self._sessions = [Session(self._config, self._wire, self._log) for _ in range(self._config.binds)]
        self._tasks = [asyncio.create_task(session.run()) for session in self._sessions]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.gather(*(session.stop() for session in self._sessions))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._sessions, self._tasks = [], []
        await self._correlation.close()

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        """Submit the text to every endpoint; see `Channel.send`. Endpoints without an answer are left out."""
        callable_, receipts = _sort(batch.endpoints)
        try:
            parts = self._compose(batch)
        except TooLong:
            return [Receipt(Level.FAILED, one.ordinal, reason=Reason.TOO_LONG) for one in batch.endpoints]
        await self._ready()
        work = self._submission(batch, callable_, parts)
        self._backlog.put(work)
        try:
            await work.ended
        finally:
            self._backlog.drop(work)
        self._remember(batch.dispatch, work.receipts)
        await self._settle()
        if len(work.receipts) == len(batch.endpoints):
            self._raise_if_all_failed(work.receipts)
        return receipts + work.receipts

    async def probe(self) -> None:
        """Ask the centre whether it is there. Raises Unavailable or Misconfigured."""
        await self._ready()
        wires = [session.wire for session in self._sessions if session.wire is not None]
        try:
            await wires[0].request(ENQUIRE_LINK)
        except (OSError, TimeoutError, IndexError) as problem:
            raise Unavailable(
                f"短信中心没有回应。The message centre does not answer enquire_link: {problem}"
            ) from problem

    async def recall(self, batch: Batch, receipts: Sequence[Receipt]) -> Sequence[Receipt]:
        """Cancel what was accepted and not yet delivered; returns a receipt for each endpoint that is now withdrawn."""
        handed = self._handed.get(batch.dispatch, {})
        endpoints = {endpoint.ordinal: endpoint for endpoint in batch.endpoints}
        messages = []
        for receipt in receipts:
            far_id = receipt.far_id or handed.get(receipt.endpoint, "")
            if far_id and receipt.level in (Level.SENT, Level.ACCEPTED) and receipt.endpoint in endpoints:
                ids = [self._correlation.spelling(one) for one in far_id.split(JOINT)]
                messages.append((endpoints[receipt.endpoint], ids))
        await self._ready()
        work = Cancellation(messages, self._sender, self._recipient)
        self._backlog.put(work, first=True)
        try:
            await work.ended
        finally:
            self._backlog.drop(work)
        return work.receipts

    # -- what a connection asks (`wire.Desk`)

    def read(self, data: bytes, frames: Sequence[Frame]) -> list[Arrival | None]:
        """The receipts in these deliver_sm; a message from a phone is logged without its text and gives None."""
        now, read = self._context.clock.now(), self._reader.read
        arrivals = []
        for _, _, _, start, end in frames:
            try:
                arrival = read(data, start, end, now)
            except ValueError:
                self._log.warning("sms_unreadable_delivery", octets=end - start)
                arrival = None
            else:
                if arrival is None:
                    self._log_message(data, start, end)
            arrivals.append(arrival)
        return arrivals

    async def receive(self, arrivals: list[Arrival]) -> int:
        """Report receipts; returns the status to answer with: after a failure the centre is asked to repeat them."""
        try:
            receipts = self._correlation.place(arrivals)
            await self._correlation.save()
            if receipts:
                await self._context.report(receipts)
        except Exception as problem:
            self._log.warning("sms_receipts_not_kept", count=len(arrivals), why=repr(problem))
            return TEMPORARY_FAULT
        self._correlation.reported()
        return OK

    # -- inside

    def _log_message(self, data: bytes, start: int, end: int) -> None:
        message = read_short(data, start, end)
        if message is not None:
            self._log.info("sms_from_phone", address=mask(message.source.decode("latin-1")), octets=len(message.text))

    def _wire(self) -> Wire:
        return Wire(self._backlog, self, self._config.window, self._config.response_timeout)

    async def _ready(self) -> None:
        """Return if a connection is bound, waiting for an attempt under way. Raises why none is."""
        for session in self._sessions:
            if self._backlog.lines:
                return
            await session.settled.wait()
        if self._backlog.lines:
            return
        if not self._sessions:
            raise Unavailable("短信渠道没有启动。The channel is not started.")
        trouble = self._sessions[0].trouble
        raise type(trouble)(trouble.detail)

    def _compose(self, batch: Batch) -> list[Part]:
        self._reference += 1
        parts = compose(batch.message.text, self._config.long, self._reference)
        if len(parts) > self._config.max_parts:
            raise TooLong(f"{len(parts)} parts, {self._config.max_parts} at most")
        return parts

    def _submission(self, batch: Batch, endpoints: Sequence[Endpoint], parts: Sequence[Part]) -> Submission:
        keys = [tlv(KEY_TLV, batch.key(one).encode()) if self._config.key_tlv else b"" for one in endpoints]
        if any(one.address[0] == "+" for one in endpoints):  # SMPP 3.4 §5.2.8: digits only, dest_ton says the rest
            endpoints = [Endpoint(one.ordinal, one.address.lstrip("+"), one.region) for one in endpoints]
        envelope = self._envelope(batch, parts)
        return Submission(envelope, endpoints, keys, self._correlation, self._context.clock, batch.expires_at)

    def _envelope(self, batch: Batch, parts: Sequence[Part]) -> Envelope:
        """The fields of submit_sm around the phone number (SMPP 3.4 §4.4.1)."""
        validity = cstring(moment(batch.expires_at).strftime("%y%m%d%H%M%S0") + "00+")
        alert = tlv(ALERT_TLV, batch.alert.encode()) if self._config.key_tlv else b""
        wanted = 1 if self._config.registered_delivery else 0
        tails = [
            b"\0" + bytes((part.esm_class, 0, 0)) + b"\0" + validity + bytes((wanted, 0, part.data_coding, 0))
            + bytes((len(part.short),)) + part.short + part.options + alert
            for part in parts
        ]  # fmt: skip
        return Envelope(cstring(self._config.service_type) + self._sender + self._recipient, tails)

    async def _settle(self) -> None:
        """Write down the parts of what was taken, and report receipts that came before their answers."""
        try:
            await self._correlation.save()
        except OSError as problem:
            self._log.warning(
                "sms_parts_not_kept", why=repr(problem), effect="lost at a restart: receipts of long texts"
            )
        await self._report_late()

    async def _report_late(self) -> None:
        late = self._correlation.take_late()
        if not late:
            return
        try:
            await self._context.report(late)
        except Exception as problem:
            self._correlation.put_back(late)
            self._log.warning("sms_receipts_not_kept", count=len(late), why=repr(problem))
        else:
            self._correlation.reported()

    def _remember(self, dispatch: str, receipts: Sequence[Receipt]) -> None:
        """Keep far ids of the last dispatches for `recall`."""
        handed = self._handed.setdefault(dispatch, {})
        handed.update({receipt.endpoint: receipt.far_id for receipt in receipts if receipt.far_id})
        self._handed.move_to_end(dispatch)
        while len(self._handed) > 1 and sum(map(len, self._handed.values())) > 2 * REMEMBERED:
            self._handed.popitem(last=False)

    def _raise_if_all_failed(self, receipts: Sequence[Receipt]) -> None:
        """A batch that was refused whole, for a cause that is not the endpoints', is an error of the channel."""
        whys = {receipt.reason for receipt in receipts if receipt.level == Level.FAILED}
        if len(whys) != 1 or any(receipt.level != Level.FAILED for receipt in receipts):
            return
        self._raise(whys.pop())

    def _raise(self, why: Reason) -> None:
        if why == Reason.THROTTLED:
            after = self._backlog.pace.left(asyncio.get_running_loop().time())
            raise Throttled(max(after, 0.1), "短信中心要求放慢。The message centre asks for patience.", why)
        if why == Reason.UNAVAILABLE:
            raise Unavailable("短信中心的连接中断，整批未发。The connection ended, nothing of the batch was sent.", why)
        if why == Reason.MISCONFIGURED:
            raise Misconfigured(
                "短信中心拒绝我们的参数，请核对账号设置。The message centre refuses our parameters.", why
            )
        return


def mask(address: str) -> str:
    """`138****1234`."""
    return f"{address[:3]}****{address[-4:]}" if len(address) > 7 else "****"


def _sort(endpoints: Sequence[Endpoint]) -> tuple[list[Endpoint], list[Receipt]]:
    """Endpoints with a telephone number, and the receipts of those without."""
    good = [endpoint for endpoint in endpoints if _NUMBER.fullmatch(endpoint.address)]
    bad = (
        [endpoint for endpoint in endpoints if not _NUMBER.fullmatch(endpoint.address)]
        if len(good) < len(endpoints)
        else []
    )
    return good, [Receipt(Level.FAILED, endpoint.ordinal, reason=Reason.INVALID_ADDRESS) for endpoint in bad]
