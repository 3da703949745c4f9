"""How programs are answered: JSON with an ETag, and problem details. Called by the API handlers and by the gate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.errors import Refused
from gateway.web import languages, problems
from gateway.web.site import REQUEST_ID


def json_answer(
    request: web.Request, payload: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """`payload` as JSON; a read is answered 304 if the client has the same already (RFC 9110 §13.1.2)."""
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return tagged(request, body, "application/json", status=status, headers=headers)


def tagged(
    request: web.Request,
    body: bytes,
    content_type: str,
    *,
    status: int = 200,
    charset: str | None = "utf-8",
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """`body`; a read gets its ETag, to be asked for again each time."""
    every = dict(headers or {})
    if request.method in {"GET", "HEAD"} and status == 200:
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        every |= {"ETag": tag, "Cache-Control": "private, no-cache"}
        if _known(request, tag):
            return web.Response(status=304, headers=every)
    return web.Response(status=status, body=body, content_type=content_type, charset=charset, headers=every)


def problem(request: web.Request, error: Refused) -> web.Response:
    """`error` as problem+json, in the language of `Accept-Language`."""
    language = languages.accepted(request.headers.get("Accept-Language", ""))
    headers = {"Content-Language": "zh-CN" if language == "zh" else "en", "Vary": "Accept-Language"}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="tongluo"'
    body = problems.details(error, language, request[REQUEST_ID])
    return web.json_response(
        body, status=error.status, headers=headers, content_type="application/problem+json", dumps=_dumps
    )


def _known(request: web.Request, tag: str) -> bool:
    held = request.headers.get("If-None-Match", "")
    return held == "*" or tag in (part.strip().removeprefix("W/") for part in held.split(","))


def _dumps(payload: Any) -> str:
    return json.dumps(payload, ensure_ascii=False)
