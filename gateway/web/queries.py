"""Query parameters and headers as checked values. Called by the API handlers, the event streams and the pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from aiohttp import web

from gateway.model.alert import AlertState
from gateway.model.time import Instant, instant, rfc3339
from gateway.web.problems import refuse

MOST = 500
USUAL = 100
DEEPEST = 6
LONGEST = 512


def alert_filters(request: web.Request) -> Mapping[str, str]:
    """Filters of the list of alerts; `since` and `sent` come out as UTC with milliseconds. Raises Refused (400)."""
    given = dict(filters(request, "state", "region", "since", "identifier", "sender", "sent"))
    if given.get("state", "active") not in {"active", *AlertState}:
        raise refuse("query_invalid", name="state", why="active | " + " | ".join(AlertState))
    for name in ("since", "sent"):
        if name in given:
            given[name] = rfc3339(_moment(name, given[name]))
    return given


def filters(request: web.Request, *names: str) -> Mapping[str, str]:
    """The filters among `names` that are given and not empty. Raises Refused (400)."""
    return {name: text(request, name) for name in names if request.query.get(name)}


def text(request: web.Request, name: str) -> str:
    """A short text, "" if absent."""
    value = request.query.get(name, "")
    if len(value) > LONGEST:
        raise refuse("query_invalid", name=name, why=f"> {LONGEST}")
    return value


def region(request: web.Request) -> str:
    """The region asked for, "" = the smallest that holds all targets."""
    return text(request, "region")


def limit(request: web.Request, usual: int = USUAL) -> int:
    """1 to 500."""
    return _whole(request, "limit", usual, 1, MOST)


def depth(request: web.Request) -> int:
    """Levels below the region, 0 to 6."""
    return _whole(request, "depth", 1, 0, DEEPEST)


def moment(request: web.Request, name: str) -> Instant | None:
    """An instant written in RFC 3339, None if absent."""
    value = text(request, name)
    return _moment(name, value) if value else None


def last_event(request: web.Request) -> int:
    """Where an event stream goes on: `Last-Event-ID`, 0 for a new reader or an id that is not ours."""
    value = request.headers.get("Last-Event-ID", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else 0


def flag(request: web.Request, name: str) -> bool:
    """`true` or `false` (the default)."""
    value = request.query.get(name, "false").lower()
    if value not in {"true", "false", "1", "0"}:
        raise refuse("query_invalid", name=name, why="true | false")
    return value in {"true", "1"}


def _whole(request: web.Request, name: str, usual: int, least: int, most: int) -> int:
    value = request.query.get(name, str(usual))
    if not (value.isascii() and value.isdigit() and len(value) < 7 and least <= int(value) <= most):
        raise refuse("query_invalid", name=name, why=f"{least}..{most}")
    return int(value)


def _moment(name: str, value: str) -> Instant:
    try:
        when = datetime.fromisoformat(value.replace(" ", "+"))  # an unescaped + of a URL arrives as a space
    except ValueError as error:
        raise refuse("query_invalid", name=name, why="RFC 3339") from error
    if when.tzinfo is None:
        raise refuse("query_invalid", name=name, why="RFC 3339, +08:00 / Z")
    return instant(when)
