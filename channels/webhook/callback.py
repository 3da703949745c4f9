"""Receipts that the far side sends us: believed only with a fresh signature, taken once, journalled before the answer.

Mounted by the gateway at `/callbacks/<name>`; uses the settings and `report` alone, so any process may serve it.
"""

from __future__ import annotations

import hmac
import json
from datetime import datetime

from pydantic import JsonValue

from channels.webhook import signing
from channels.webhook.answer import as_word, at_path
from channels.webhook.config import LEVELS, REASONS, Inbound, secret_of
from gateway.channel import Callback, Context, Instant, Level, Reason, Receipt, Reply, instant

MAX_RECEIPTS = 10_000


class Refusal(Exception):
    """A callback that is not believed or not understood: `status` and one sentence for the far side's programmer."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Receiver:
    """Turns signed callbacks into receipts of this channel."""

    def __init__(self, config: Inbound | None, context: Context) -> None:
        self._config, self._context = config, context
        self._seen = signing.Seen()
        self._secrets = _secrets(config) if config else []

    async def answer(self, request: Callback) -> Reply:
        """Journal what `request` says, then acknowledge it. What `report` raises passes through: nothing is acknowledged."""
        try:
            config, signature = self._authenticate(request)
            receipts = _receipts(config, request.body, self._context.name)
        except Refusal as refusal:
            self._context.log.warning("callback_refused", status=refusal.status, why=refusal.sentence)
            return _problem(refusal)
        return await self._journal(config, signature, receipts)

    async def _journal(self, config: Inbound, signature: str, receipts: list[Receipt]) -> Reply:
        now = self._context.clock.now() / 1000
        if not self._seen.add(signature, now, now + 2 * config.tolerance):
            return _problem(Refusal(409, "this callback was received before"))
        try:
            await self._context.report(receipts)
        except BaseException:
            self._seen.discard(signature)
            raise
        return Reply(200, config.reply.encode(), "application/json; charset=utf-8")

    def _authenticate(self, request: Callback) -> tuple[Inbound, str]:
        config = self._config
        if config is None or not self._secrets:
            raise Refusal(403, "callbacks are refused: no callback.secret_file is configured for this channel")
        headers = {name.lower(): value for name, value in request.headers.items()}
        timestamp = headers.get(config.timestamp_header.lower(), "")
        signature = headers.get(config.signature_header.lower(), "").lower()
        self._check_fresh(timestamp, config.tolerance)
        genuine = [signing.over_body(secret, timestamp, request.body) for secret in self._secrets]
        given = (signature if "=" in signature else f"sha256={signature}").encode()
        if not any(hmac.compare_digest(expected.encode(), given) for expected in genuine):
            raise Refusal(401, "the signature does not fit")
        return config, given.decode()

    def _check_fresh(self, timestamp: str, tolerance: int) -> None:
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
            raise Refusal(401, "the timestamp header must hold seconds since 1970")
        if abs(self._context.clock.now() / 1000 - int(timestamp)) > tolerance:
            raise Refusal(401, f"the timestamp is more than {tolerance} s from our clock")


def _secrets(config: Inbound) -> list[str]:
    current = secret_of(config.secret, config.secret_file, "callback.secret_file")
    previous = secret_of(None, config.previous_secret_file, "callback.previous_secret_file")
    return [secret for secret in (current, previous) if secret]


def _problem(refusal: Refusal) -> Reply:
    body = json.dumps({"error": refusal.sentence}).encode()
    return Reply(refusal.status, body, "application/json; charset=utf-8")


def _receipts(config: Inbound, body: bytes, channel: str) -> list[Receipt]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "the body is not JSON") from error
    items = at_path(document, config.items)
    if items is None:
        items = document
    items = items if isinstance(items, list) else [items]
    if len(items) > MAX_RECEIPTS:
        raise Refusal(413, f"more than {MAX_RECEIPTS} receipts in one callback")
    return [_receipt(config, item, channel) for item in items]


def _receipt(config: Inbound, item: JsonValue, channel: str) -> Receipt:
    key, far_id = as_word(at_path(item, config.key)), as_word(at_path(item, config.id))
    if not key and not far_id:
        raise Refusal(422, f"a receipt names neither {config.key} nor {config.id}")
    if key and _channel_of(key) != channel:
        raise Refusal(409, "a receipt names the key of another channel")
    level, reason = _meaning(config, as_word(at_path(item, config.status)))
    at = _moment(at_path(item, config.at))
    return Receipt(level, far_id="" if key else far_id, key=key, reason=reason, event_at=at)


def _channel_of(key: str) -> str:
    """The channel's name in `dispatch.channel.endpoint`."""
    return key.partition(".")[2].rpartition(".")[0]


def _meaning(config: Inbound, word: str) -> tuple[Level, Reason]:
    meaning = config.statuses.get(word)
    if meaning is None:
        raise Refusal(422, f"status {word[:40]!r} is not in callback.statuses")
    return (LEVELS[meaning], Reason.NONE) if meaning in LEVELS else (Level.FAILED, REASONS[meaning])


def _moment(value: JsonValue) -> Instant | None:
    """RFC 3339 with an offset, or seconds or milliseconds since 1970; anything else says nothing about the time."""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return int(value if value > 10**11 else value * 1000)
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return instant(moment) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
