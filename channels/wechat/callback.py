"""What the platform tells us: the check when the address is registered, and the event that ends each template message.

Mounted by the gateway at `/callbacks/<name>`. The platform's signature covers the time and a nonce but not the body, so a
signature is honoured for one body and a few minutes only. The answer is `success` once the receipt is on disk; until then
the platform repeats the event.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict

from lxml import etree

from channels.wechat.config import Settings, secret_of
from gateway.channel import Callback, Context, Level, Reason, Receipt, Reply

MAX_BODY = 65_536
REMEMBERED = 20_000
DONE = Reply(200, b"success")

STATUS = {
    "success": (Level.DELIVERED, Reason.NONE),
    "failed:user block": (Level.FAILED, Reason.BLOCKED),
    "failed:freq limit": (Level.FAILED, Reason.THROTTLED),
    "failed:system failed": (Level.FAILED, Reason.UNREACHABLE),
}
OTHER = (Level.FAILED, Reason.UNREACHABLE)


class Receiver:
    """Turns the platform's events into receipts."""

    def __init__(self, config: Settings, context: Context) -> None:
        self._context, self._tolerance = context, config.tolerance
        self._token = secret_of(config.token, config.token_file, "token_file")
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._events: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def answer(self, request: Callback) -> Reply:
        """Journal what `request` says, then acknowledge it. What `report` raises passes through: nothing is acknowledged."""
        if problem := self._distrust(request):
            self._context.log.warning("callback_refused", why=problem)
            return Reply(403, problem.encode())
        if request.method == "GET":
            return Reply(200, request.query.get("echostr", "").encode())
        if request.query.get("encrypt_type", "raw") != "raw":
            return Reply(400, "加密模式未支持：请在公众平台把消息加解密方式设为明文模式 / choose plain mode".encode())
        event = read_event(request.body)
        if event is None:
            return Reply(400, b"not an XML event")
        await self._journal(event)
        return DONE

    def _distrust(self, request: Callback) -> str:
        """Why `request` is not believed; "" if it is."""
        if not self._token:
            return "callbacks are refused: no token_file is configured for this channel"
        timestamp, nonce = request.query.get("timestamp", ""), request.query.get("nonce", "")
        given = request.query.get("signature", "")
        if not hmac.compare_digest(sign(self._token, timestamp, nonce).encode(), given.encode("utf-8", "replace")):
            return "the signature does not fit"
        if not timestamp.isdigit() or abs(self._context.clock.now() / 1000 - int(timestamp[:12])) > self._tolerance:
            return f"the timestamp is more than {self._tolerance} s from our clock"
        return "" if request.method == "GET" or self._first_body(given, request.body) else "this signature came before"

    def _first_body(self, signature: str, body: bytes) -> bool:
        digest = hashlib.sha256(body).digest()
        known = self._bodies.setdefault(signature, digest)
        if len(self._bodies) > REMEMBERED:
            self._bodies.popitem(last=False)
        return known == digest

    async def _journal(self, event: dict[str, str]) -> None:
        receipt = receipt_of(event)
        identity = (event.get("MsgID", ""), event.get("Status", ""))
        if receipt is None or identity in self._events:
            return
        await self._context.report([receipt])
        self._events[identity] = None
        if len(self._events) > REMEMBERED:
            self._events.popitem(last=False)


def sign(token: str, timestamp: str, nonce: str) -> str:
    """The platform's signature: SHA-1 over the three, sorted and joined."""
    joined = "".join(sorted((token, timestamp, nonce)))
    return hashlib.sha1(joined.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


def read_event(body: bytes) -> dict[str, str] | None:
    """The elements of a plain event; None for what is no XML, is too large or brings a DOCTYPE."""
    if len(body) > MAX_BODY:
        return None
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    if root.getroottree().docinfo.internalDTD is not None:
        return None
    return {str(child.tag): "".join(map(str, child.itertext())).strip() for child in root}


def receipt_of(event: dict[str, str]) -> Receipt | None:
    """The receipt in a TEMPLATESENDJOBFINISH event; None in any other."""
    far_id = event.get("MsgID") or event.get("MsgId") or ""
    if event.get("Event", "").upper() != "TEMPLATESENDJOBFINISH" or not far_id:
        return None
    level, reason = STATUS.get(event.get("Status", "").replace(": ", ":"), OTHER)
    seconds = event.get("CreateTime", "")
    at = int(seconds) * 1000 if seconds.isascii() and seconds.isdigit() and len(seconds) <= 11 else None
    return Receipt(level, far_id=far_id, reason=reason, event_at=at)
