"""Signatures on what we send and on what we are sent: HMAC-SHA256 over `timestamp.body`, and the two robots' own ways.

The channel asks for them before each request, the callback before it believes a word.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field


def over_body(secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the hex HMAC-SHA256 over `timestamp.body`."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def dingtalk(secret: str, timestamp_ms: str) -> str:
    """DingTalk robot: HMAC keyed by the secret over `timestamp\\nsecret`, Base64 (the URL encodes it)."""
    return _base64(secret, f"{timestamp_ms}\n{secret}")


def feishu(secret: str, timestamp: str) -> str:
    """Feishu robot: HMAC keyed by `timestamp\\nsecret` over nothing, Base64."""
    return _base64(f"{timestamp}\n{secret}", "")


def _base64(key: str, message: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), message.encode(), hashlib.sha256).digest()).decode()


@dataclass(slots=True)
class Seen:
    """Signatures already honoured, for as long as their timestamp would be taken again. Only genuine ones get in."""

    _until: dict[str, float] = field(default_factory=dict)

    def add(self, signature: str, now: float, until: float) -> bool:
        """Remember `signature`; False if it is known already, so this is a replay."""
        self._forget(now)
        if signature in self._until:
            return False
        self._until[signature] = until
        return True

    def discard(self, signature: str) -> None:
        """Forget one whose message could not be kept: the far side will send it again."""
        self._until.pop(signature, None)

    def _forget(self, now: float) -> None:
        for signature, until in list(self._until.items()):
            if until >= now:
                break
            del self._until[signature]
