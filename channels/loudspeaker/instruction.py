"""The words on the wire: what a loudspeaker is told, what it answers, and the Ed25519 signature between them.

The channel seals instructions, the terminal opens them. An instruction is one line of compact JSON with sorted keys, sealed
by a last member: `{...,"sig":"BASE64"}`. The signature covers the bytes of the line without that member, so a device cuts a
fixed tail and checks what is left as it came; it never has to write JSON again. docs/channels/loudspeaker.md lists the members.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field

from gateway.channel import Batch, Endpoint, Instant, Level, Reason, Receipt

VERSION = 1
SEAL = b',"sig":"'
TAIL = len(SEAL) + 88 + len(b'"}')
LONGEST_ADDRESS = 128
MALFORMED, UNSIGNED, ALTERED = "malformed", "unsigned", "altered"

Order = dict[str, Any]
"""The members of one instruction, as JSON values."""


class Forged(Exception):
    """An instruction that nobody with the key has written; `why` is `malformed`, `unsigned` or `altered`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Signer:
    """Holds the private key: numbers, tickets and seals instructions. One for each configured channel."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._last = 0
        self._secret = hashlib.blake2b(private.private_bytes_raw(), person=b"tongluo-ticket").digest()

    @property
    def public(self) -> Ed25519PublicKey:
        """The key that devices hold."""
        return self._private.public_key()

    def number(self, now: Instant) -> int:
        """The next sequence number: microseconds of `now`, always above the last one, exact in a JSON double."""
        self._last = max(self._last + 1, now * 1000)
        return self._last

    def ticket(self, device: str, key: str) -> str:
        """24 hexadecimal digits that only we can write: the device repeats them, so no other device answers for it."""
        return hashlib.blake2b(f"{device}\n{key}".encode(), key=self._secret, digest_size=12).hexdigest()

    def knows(self, device: str, key: str, ticket: str) -> bool:
        """Whether `ticket` is the one that we gave to `device` with the instruction `key`."""
        return hmac.compare_digest(self.ticket(device, key).encode(), ticket.encode())

    def seal(self, order: Order) -> bytes:
        """The order as bytes with its signature as the last member."""
        body = canonical(order)
        return body[:-1] + SEAL + base64.b64encode(self._private.sign(body)) + b'"}'


def canonical(order: Mapping[str, Any]) -> bytes:
    """Sorted keys, no white space, UTF-8: the bytes that are signed."""
    return json.dumps(order, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def unseal(payload: bytes, public: Ed25519PublicKey) -> Order:
    """The order in `payload`, if the holder of the key wrote exactly these bytes. Raises Forged."""
    if payload[-TAIL : -TAIL + len(SEAL)] != SEAL or not payload.endswith(b'"}'):
        raise Forged(UNSIGNED if claims(payload) else MALFORMED)
    body = payload[:-TAIL] + b"}"
    try:
        public.verify(base64.b64decode(payload[-TAIL + len(SEAL) : -2], validate=True), body)
        order = json.loads(body)
    except (InvalidSignature, binascii.Error, ValueError):
        raise Forged(ALTERED) from None
    if not isinstance(order, dict) or order.get("v") != VERSION:
        raise Forged(MALFORMED)
    return order


def claims(payload: bytes) -> Order:
    """What an unproven payload says of itself, {} if it is not a JSON object: good for a log, never for playing."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def play_order(batch: Batch, now: Instant, repeats: int, volume: int | None) -> Order:
    """The members of a play instruction that all devices of the batch share."""
    message, audio = batch.message, batch.message.audio
    return {
        **_shared(batch, "play", now, batch.expires_at),
        "audio": audio and {"url": audio.url, "sha256": audio.sha256, "seconds": round(audio.seconds, 3)},
        "drill": batch.status != "Actual",
        "event_code": batch.event_code,
        "grade": batch.grade,
        "language": message.language,
        "repeats": repeats,
        "status": batch.status,
        "supersedes": batch.supersedes,
        "text": message.text,
        "volume": volume,
    }


def stop_order(batch: Batch, now: Instant, until: Instant) -> Order:
    """The members of a stop instruction: be silent about this key now, and do not play it later."""
    return _shared(batch, "stop", now, until)


def _shared(batch: Batch, do: str, not_before: Instant, not_after: Instant) -> Order:
    return {
        "v": VERSION,
        "do": do,
        "alert": batch.alert,
        "cause": str(batch.cause),
        "identifier": batch.identifier,
        "not_after": not_after,
        "not_before": not_before,
    }


def address_to(order: Order, endpoint: Endpoint, key: str, signer: Signer, now: Instant) -> Order:
    """The order for one device: its name, its region, its key and ticket, the next number."""
    return {
        **order,
        "device": endpoint.address,
        "key": key,
        "region": endpoint.region,
        "seq": signer.number(now),
        "ticket": signer.ticket(endpoint.address, key),
    }


def usable_address(address: str) -> bool:
    """Whether a device's name can be one level of an MQTT topic (MQTT 3.1.1 §4.7): not empty, no wildcard, no `$`."""
    return 0 < len(address) <= LONGEST_ADDRESS and address.isprintable() and not set(address) & set("+#/$")


State = Literal["received", "playing", "played", "failed", "stopped"]
_LEVELS = {
    "received": Level.ACCEPTED,
    "playing": Level.ACCEPTED,
    "played": Level.DELIVERED,
    "failed": Level.FAILED,
    "stopped": Level.FAILED,
}
_REASONS = {
    "playback": Reason.PLAYBACK_FAILED,
    "offline": Reason.OFFLINE,
    "signature": Reason.SIGNATURE,
    "expired": Reason.EXPIRED,
    "withdrawn": Reason.WITHDRAWN,
    "foreign": Reason.REJECTED,
}


class Status(BaseModel):
    """What a device says on its status topic. `at` is its own clock, in milliseconds; unknown members are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str = Field(min_length=1, max_length=512)
    state: State
    ticket: str = Field("", max_length=64)
    reason: str = Field("", max_length=64)
    at: int | None = Field(None, ge=0, lt=2**53)

    def receipt(self) -> Receipt:
        """The receipt it amounts to: `played` is a delivery; the rest is no proof that anything sounded."""
        return Receipt(_LEVELS[self.state], key=self.key, reason=self._reason(), event_at=self.at)

    def _reason(self) -> Reason:
        if self.state == "stopped":
            return Reason.WITHDRAWN
        return _REASONS.get(self.reason, Reason.PLAYBACK_FAILED) if self.state == "failed" else Reason.NONE
