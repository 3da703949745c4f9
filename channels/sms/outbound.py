"""The two kinds of work of this channel: submitting a batch's messages, and cancelling what was handed over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from channels.sms.outcome import refusal
from channels.sms.smpp import CANCEL_SM, HEADER, SUBMIT_SM, cancel, pack
from channels.sms.work import Answer, Work
from gateway.channel import Clock, Endpoint, Instant, Level, Reason, Receipt


class Registry(Protocol):
    """Who keeps the centre's ids."""

    def accepted(self, raws: Sequence[str], addresses: Sequence[str]) -> list[str]:
        """The far ids of messages."""
        ...

    def part(self, raw: str, address: str) -> str:
        """The far id of a part."""
        ...

    def whole(self, ids: Sequence[str], address: str, at: Instant) -> str:
        """The far id of a message in parts."""
        ...

    def broken(self, ids: Sequence[str]) -> None:
        """These parts will not become a message."""
        ...


class Envelope:
    """All octets of a batch's submit_sm but the phone number and the key: made once, written a million times.

    `head` ends before destination_addr; `tails`, one for each part, begin after it.
    """

    __slots__ = ("head", "tails")

    def __init__(self, head: bytes, tails: Sequence[bytes]) -> None:
        self.head, self.tails = head, tuple(tails)


class Submission(Work):
    """Messages of one text to many phones. `keys` are TLVs, one for each endpoint, or empty."""

    def __init__(
        self,
        envelope: Envelope,
        endpoints: Sequence[Endpoint],
        keys: Sequence[bytes],
        registry: Registry,
        clock: Clock,
        expires_at: Instant,
    ) -> None:
        self._envelope, self._endpoints, self._keys = envelope, endpoints, keys
        self._registry, self._clock, self._expires_at = registry, clock, expires_at
        self._parts = len(envelope.tails)
        self._pieces: dict[int, list[str | Reason | None]] = {}
        self.receipts: list[Receipt] = []
        super().__init__(len(endpoints) * self._parts)

    def take(self, room: int) -> range:
        """As `Work.take`; an expired message is never written."""
        if self._clock.now() >= self._expires_at:
            self.give_back(Reason.EXPIRED)
        return super().take(room)

    def pdus(self, indexes: range, sequence: int) -> list[bytes]:
        """submit_sm (SMPP 3.4 §4.4.1)."""
        head, tails, parts = self._envelope.head, self._envelope.tails, self._parts
        endpoints, keys, header = self._endpoints, self._keys, HEADER.pack
        written = []
        for number, index in enumerate(indexes, start=sequence):
            place, part = divmod(index, parts)
            body = head + endpoints[place].address.encode("ascii") + tails[part] + keys[place]
            written.append(header(16 + len(body), SUBMIT_SM, 0, number) + body)
        return written

    def _keep(self, answers: Sequence[Answer]) -> None:
        if self._parts > 1:
            for index, status, message_id in answers:
                self._piece(index, refusal(status) if status else message_id)
            return
        endpoints = self._endpoints
        taken = [(endpoints[index], raw) for index, status, raw in answers if not status]
        far_ids = self._registry.accepted([raw for _, raw in taken], [endpoint.address for endpoint, _ in taken])
        self.receipts += [
            Receipt(Level.ACCEPTED, endpoint.ordinal, far_id)
            for (endpoint, _), far_id in zip(taken, far_ids, strict=True)
        ]
        self.receipts += [
            Receipt(Level.FAILED, endpoints[index].ordinal, reason=refusal(status))
            for index, status, _ in answers
            if status
        ]

    def _lose(self, index: int) -> None:
        if self._parts > 1:
            self._piece(index, None)

    def _refund(self, indexes: range, reason: Reason) -> None:
        for index in indexes:
            if self._parts > 1:
                self._piece(index, reason)
            else:
                self.receipts.append(Receipt(Level.FAILED, self._endpoints[index].ordinal, reason=reason))

    def _piece(self, index: int, outcome: str | Reason | None) -> None:
        """One part's id, or why it was refused, or None if nobody knows; with the last part the endpoint is decided."""
        place = index // self._parts
        endpoint = self._endpoints[place]
        if isinstance(outcome, str):
            outcome = self._registry.part(outcome, endpoint.address)
        pieces = self._pieces.setdefault(place, [])
        pieces.append(outcome)
        if len(pieces) == self._parts:
            self._decide(endpoint, self._pieces.pop(place))

    def _decide(self, endpoint: Endpoint, pieces: Sequence[str | Reason | None]) -> None:
        """Taken if every part was; unknown if nobody knows of one, because sending again may then be a repetition."""
        ids = [piece for piece in pieces if isinstance(piece, str)]
        refusals = [piece for piece in pieces if isinstance(piece, Reason)]
        if len(ids) == self._parts:
            far_id = self._registry.whole(ids, endpoint.address, self._clock.now())
            self.receipts.append(Receipt(Level.ACCEPTED, endpoint.ordinal, far_id))
            return
        self._registry.broken(ids)
        if None not in pieces:
            self.receipts.append(Receipt(Level.FAILED, endpoint.ordinal, reason=refusals[0]))


class Cancellation(Work):
    """cancel_sm for messages (`message ids`, endpoint) whose parts are all to be cancelled."""

    def __init__(self, messages: Sequence[tuple[Endpoint, Sequence[str]]], sender: bytes, recipient: bytes) -> None:
        self._targets = [(endpoint, message_id) for endpoint, ids in messages for message_id in ids]
        self._sender, self._recipient = sender, recipient
        self._kept = {endpoint.ordinal: len(ids) for endpoint, ids in messages}
        super().__init__(len(self._targets))

    @property
    def receipts(self) -> list[Receipt]:
        """One for each endpoint of which the centre cancelled all that was handed over."""
        return [
            Receipt(Level.FAILED, ordinal, reason=Reason.WITHDRAWN) for ordinal, kept in self._kept.items() if not kept
        ]

    def pdus(self, indexes: range, sequence: int) -> list[bytes]:
        """cancel_sm (SMPP 3.4 §4.9)."""
        return [
            pack(CANCEL_SM, 0, number, cancel(message_id, self._sender, self._to(endpoint)))
            for number, (endpoint, message_id) in enumerate(self._targets[indexes.start : indexes.stop], start=sequence)
        ]

    def _to(self, endpoint: Endpoint) -> bytes:
        return self._recipient + endpoint.address.encode("ascii") + b"\0"

    def _keep(self, answers: Sequence[Answer]) -> None:
        for index, status, _ in answers:
            if not status:
                self._kept[self._targets[index][0].ordinal] -= 1

    def _lose(self, index: int) -> None:
        """The message counts as not cancelled."""

    def _refund(self, indexes: range, reason: Reason) -> None:
        """These messages count as not cancelled."""
