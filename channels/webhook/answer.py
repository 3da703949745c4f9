"""Reading an answer: what a status and a body say about one request. Pure; the channel asks it after every response."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from pydantic import JsonValue

from channels.webhook.config import REASONS, Settings
from gateway.channel import Clock, Reason, moment

PASSING = frozenset({Reason.THROTTLED, Reason.UNAVAILABLE, Reason.TIMEOUT, Reason.ERROR, Reason.UNKNOWN})

STATUS_REASON = {
    401: Reason.MISCONFIGURED,
    403: Reason.MISCONFIGURED,
    407: Reason.MISCONFIGURED,
    408: Reason.UNAVAILABLE,
    413: Reason.TOO_LONG,
    425: Reason.UNAVAILABLE,
    429: Reason.THROTTLED,
}
ADDRESS_REASON = STATUS_REASON | {
    401: Reason.REJECTED,
    403: Reason.REJECTED,
    404: Reason.INVALID_ADDRESS,
    407: Reason.REJECTED,
    410: Reason.INVALID_ADDRESS,
}
"""Where every endpoint is its own far side, a refusal speaks for that endpoint, not for our settings."""


class Verdict(NamedTuple):
    """What became of one request: `reason` NONE = taken; `after` seconds of patience asked for; `refused` addresses."""

    reason: Reason
    far_id: str = ""
    after: float = 0.0
    refused: frozenset[str] = frozenset()
    detail: str = ""


def at_path(document: JsonValue, path: str) -> JsonValue:
    """The value at a dotted path (`data.0.id`; "" = the whole); None where the path leads nowhere."""
    for step in path.split(".") if path else ():
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list) and step.isdigit() and int(step) < len(document):
            document = document[int(step)]
        else:
            return None
    return document


def as_word(value: JsonValue) -> str:
    """A JSON scalar as the word it is compared and stored by; "" for null, lists and mappings."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, (dict, list)) else str(value)


def patience(retry_after: str, clock: Clock) -> float:
    """Seconds of a Retry-After header (RFC 9110 §10.2.3: seconds or a date); 1 if absent or unreadable, at most an hour."""
    if retry_after.isdigit():
        return min(float(retry_after[:9]), 3600.0)
    try:
        wait = (parsedate_to_datetime(retry_after) - moment(clock.now())).total_seconds()
    except (TypeError, ValueError):
        return 1.0
    return min(max(wait, 1.0), 3600.0)


def judge(config: Settings, status: int, body: bytes, after: float) -> Verdict:
    """What the far side said. `after` is its Retry-After in seconds, 0 without one."""
    wanted = config.ok.status
    if not (status in wanted if wanted else 200 <= status < 300):
        return _refusal(config, status, body, after)
    if not (config.ok.path or config.id_path or config.refused_path):
        return TAKEN
    document = _document(body)
    if config.ok.path:
        said = at_path(document, config.ok.path)
        if as_word(said) != as_word(config.ok.equals):
            return _refused_by_code(config, as_word(said), after)
    return Verdict(
        Reason.NONE,
        as_word(at_path(document, config.id_path)) if config.id_path else "",
        0.0,
        _refused(config, document),
    )


TAKEN = Verdict(Reason.NONE)


def _refusal(config: Settings, status: int, body: bytes, after: float) -> Verdict:
    code = as_word(at_path(_document(body), config.ok.path)) if config.ok.path else ""
    if code and code in config.reject:
        return _refused_by_code(config, code, after)
    return Verdict(_reason(config, status, after), after=after, detail=f"HTTP {status}")


def _reason(config: Settings, status: int, after: float) -> Reason:
    if str(status) in config.reject:
        return REASONS[config.reject[str(status)]]
    if status >= 500:
        return Reason.THROTTLED if status == 503 and after else Reason.UNAVAILABLE
    if config.by_address:
        return ADDRESS_REASON.get(status, Reason.REJECTED)
    return Reason.MISCONFIGURED if 300 <= status < 400 else STATUS_REASON.get(status, Reason.REJECTED)


def _refused_by_code(config: Settings, code: str, after: float) -> Verdict:
    return Verdict(REASONS[config.reject.get(code, "rejected")], after=after, detail=f"{config.ok.path}={code[:40]}")


def _refused(config: Settings, document: JsonValue) -> frozenset[str]:
    if not config.refused_path:
        return frozenset()
    value = at_path(document, config.refused_path)
    if isinstance(value, str):
        return frozenset(value.split("|")) - {""}
    return frozenset(as_word(item) for item in value) if isinstance(value, list) else frozenset()


def _document(body: bytes) -> JsonValue:
    try:
        document: JsonValue = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document
