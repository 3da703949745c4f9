"""The body of a template message: fields in the keys and lengths that the platform takes. Pure.

The channel makes one `Letter` per batch; a follower then costs one join.
"""

from __future__ import annotations

import json
import re

from channels.wechat.config import Settings
from gateway.channel import Batch, Endpoint, Message

ROOMS = {
    "thing": 20,
    "phrase": 5,
    "const": 20,
    "name": 10,
    "symbol": 5,
    "letter": 32,
    "number": 32,
    "character_string": 32,
    "phone_number": 17,
    "car_number": 8,
    "short_thing": 5,
}
"""Longest values by the kind of key (`thing1`); a longer one makes the platform refuse the whole message (47003)."""

LONGEST = 200
NOTHING = "无"


class Letter:
    """One message but for whom it is to."""

    def __init__(self, config: Settings, batch: Batch) -> None:
        self._batch = batch
        rest = {
            "template_id": config.template_id,
            "url": config.url.replace("{alert}", batch.alert),
            "data": {key: {"value": value_of(batch.message, name, key)} for key, name in config.fields.items()},
        }
        self._rest = json.dumps(rest, ensure_ascii=False)[1:].encode("utf-8", "replace")

    def to(self, endpoint: Endpoint) -> bytes:
        """The request body for one follower; the key makes a repetition harmless at the platform."""
        own = json.dumps({"touser": endpoint.address, "client_msg_id": self._batch.key(endpoint)}, ensure_ascii=False)
        return own[:-1].encode("utf-8", "replace") + b"," + self._rest


def value_of(message: Message, name: str, key: str) -> str:
    """The rendered field, in the room its key has; the platform takes no empty value."""
    own = {"text": message.text, "title": message.title}.get(name, "")
    value = " ".join(message.field(name, own).split())
    room = ROOMS.get(re.sub(r"\d+$", "", key), LONGEST)
    return (value if len(value) <= room else value[: room - 1] + "…") or NOTHING
