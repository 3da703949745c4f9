"""Turning views into HTML: the templates, the words and formats they may use, and the files they refer to. Called by the pages and,
for problems, by the gate. Whatever came from outside is text: templates escape everything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import DictLoader, Environment, StrictUndefined

from gateway.errors import Refused
from gateway.model.time import instant, rfc3339
from gateway.web import auth, format, happenings, languages, problems
from gateway.web.catalogue import Words
from gateway.web.site import CALLER, REQUEST_ID, site_of

PAGES = files("gateway.web") / "pages"
STATIC = files("gateway.web") / "static"
TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"

STATUS_MARKS = {"met_confirmed": "●", "met_estimated": "◕", "possible": "◐", "gap": "✕", "no_target": "–"}
CHANNEL_MARKS = {"ok": "●", "slow": "▲", "stalled": "■", "down": "✕"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the console: bytes, type, and the hash that its address carries."""

    content: bytes
    content_type: str
    version: str


@dataclass(frozen=True, slots=True)
class Look:
    """Templates and files, read once at start so that no page touches the disk."""

    templates: Environment
    assets: Mapping[str, Asset]

    def address(self, name: str) -> str:
        """Where a browser finds the file, for as long as it stays the same."""
        return f"/static/{name}?v={self.assets[name].version}"


LOOK = web.AppKey("look", Look)


@cache
def look() -> Look:
    """Read templates and files from the package, once for the process: they do not change while it runs."""
    sources = {entry.name: entry.read_text("utf-8") for entry in PAGES.iterdir() if entry.name.endswith(".html")}
    templates = Environment(
        loader=DictLoader(sources),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.globals |= {
        "percent": format.percent,
        "goal_percent": format.goal,
        "people": format.people,
        "duration": format.duration,
        "latency": format.latency,
        "status_marks": STATUS_MARKS,
        "channel_marks": CHANNEL_MARKS,
    }
    for name in sources:
        templates.get_template(name)
    return Look(templates, {entry.name: _asset(entry.name, entry.read_bytes()) for entry in STATIC.iterdir()})


def page(request: web.Request, template: str, *, status: int = 200, **view: Any) -> web.Response:
    """A page of the console in the reader's language; the language switch is remembered."""
    chosen = request.app[LOOK]
    html = chosen.templates.get_template(template).render(**_surroundings(request, chosen), **view)
    response = web.Response(text=html, status=status, content_type="text/html")
    if request.query.get("lang") in languages.LANGUAGES:
        response.set_cookie(languages.COOKIE, request.query["lang"], max_age=31536000, samesite="Strict", path="/")
    return response


def problem_page(request: web.Request, error: Refused) -> web.Response:
    """What went wrong, for people; who is not signed in learns how to."""
    if error.status == 401 or error.code == "ticket_spent":
        return page(request, "sign_in.html", status=error.status, ticket="", error=error)
    language = languages.chosen(request)
    return page(request, "problem.html", status=error.status, error=error, title=problems.title(error.status, language))


async def static(request: web.Request) -> web.StreamResponse:
    """A file of the console, kept by browsers until its address changes."""
    asset = request.app[LOOK].assets.get(request.match_info["name"])
    if asset is None:
        raise problems.refuse("not_found")
    headers = {"Cache-Control": FOR_EVER}
    return web.Response(body=asset.content, content_type=asset.content_type, charset="utf-8", headers=headers)


def _surroundings(request: web.Request, chosen: Look) -> dict[str, Any]:
    """What every template may use beside its own view."""
    settings, caller, language = site_of(request).settings, request.get(CALLER), languages.chosen(request)
    now = settings.clock()
    return {
        "t": Words(language),
        "language": language,
        "switch": _with_query(request, lang="zh" if language == "en" else "en"),
        "link": lambda **changes: _with_query(request, **changes),
        "asset": chosen.address,
        "settings": settings,
        "principal": caller.principal if caller else None,
        "csrf": auth.csrf_token(caller.token) if caller else "",
        "request_id": request.get(REQUEST_ID, ""),
        "path": request.path,
        "now": rfc3339(now),
        "now_ms": now,
        "clock": lambda text: format.clock(text, settings.zone, now),
        "seconds_since": lambda text: (now - instant(format.read_time(text, settings.zone))) / 1000,
        "sentence": lambda entry: happenings.sentence(entry.code, entry.args, language),
    }


def _with_query(request: web.Request, **changes: str) -> str:
    """This page's address with some parameters changed."""
    return f"{request.path}?{urlencode(dict(request.query) | changes)}"


def _asset(name: str, content: bytes) -> Asset:
    kind = TYPES[name.rsplit(".", 1)[1]]
    return Asset(content, kind, hashlib.sha256(content).hexdigest()[:16])
