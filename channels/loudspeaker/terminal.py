"""The law of one loudspeaker: which instructions it obeys. Pure; what a device's firmware has to do, and the simulator does.

A device knows its own name, its region, the public key and a clock. It obeys only what was signed for it, is in force and is
new. It remembers each number until that instruction has expired; of what it forgot it keeps the highest number and refuses
everything up to it, so that even a clock set back lets no old recording of the traffic sound again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from channels.loudspeaker.instruction import Order, unseal
from gateway.channel import Instant

SKEW = 300_000
"""How far our clock may be behind the sender's, in milliseconds."""

FOREIGN, EARLY, EXPIRED, REPLAYED, WITHDRAWN = "foreign", "early", "expired", "replayed", "withdrawn"


class Disobeyed(Exception):
    """A signed instruction that this device does not follow; `why` is one of the words above, `order` what it said."""

    def __init__(self, why: str, order: Order) -> None:
        super().__init__(why)
        self.why, self.order = why, order


@dataclass(slots=True)
class Terminal:
    """One device. `region` "" = not installed yet: it takes the region of the first instruction signed for it.

    answers: the last status of each key that is still in force; playing: what sounds now, by key.
    """

    name: str
    region: str = ""
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    playing: dict[str, Order] = field(default_factory=dict)
    _numbers: dict[int, tuple[Instant, str]] = field(default_factory=dict)
    _forgotten: int = 0
    _silenced: dict[str, Instant] = field(default_factory=dict)

    def judge(self, payload: bytes, public: Ed25519PublicKey, now: Instant) -> Order:
        """The order to follow. Raises Forged if nobody with the key wrote it, Disobeyed if it is not for us or not now."""
        order = unseal(payload, public)
        if why := self._objection(order, now):
            raise Disobeyed(why, order)
        self._numbers[order["seq"]] = (order["not_after"], order["key"])
        self.region = self.region or order["region"]
        return order

    def _objection(self, order: Order, now: Instant) -> str:
        if order["device"] != self.name or not self._at_home(order["region"]):
            return FOREIGN
        if order["not_before"] > now + SKEW:
            return EARLY
        if order["not_after"] <= now:
            return EXPIRED
        self._forget(now)
        if order["seq"] in self._numbers or order["seq"] <= self._forgotten:
            return REPLAYED
        return WITHDRAWN if order["do"] == "play" and order["key"] in self._silenced else ""

    def _at_home(self, region: str) -> bool:
        """An instruction for our own region, or for one that holds it (its code begins ours)."""
        return not self.region or (bool(region) and self.region.startswith(region))

    def _forget(self, now: Instant) -> None:
        for number in [number for number, (until, _) in self._numbers.items() if until <= now]:
            _, key = self._numbers.pop(number)
            self._forgotten = max(self._forgotten, number)
            self.answers.pop(key, None)
        self._silenced = {key: until for key, until in self._silenced.items() if until > now}

    def silence(self, order: Order) -> None:
        """Follow a stop instruction: its key will not play, even if the play instruction comes after it."""
        self._silenced[order["key"]] = order["not_after"]

    def playing_of(self, alert: str) -> list[str]:
        """Keys of that alert (ours) that are sounding now."""
        return [key for key, order in self.playing.items() if alert and order["alert"] == alert]

    @staticmethod
    def status(order: Mapping[str, Any], state: str, at: Instant, reason: str = "") -> dict[str, Any]:
        """The status message that says what became of `order`, by its key and ticket."""
        return {"v": 1, "key": order["key"], "ticket": order["ticket"], "state": state, "reason": reason, "at": at}
