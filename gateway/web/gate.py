"""The gate every request passes: it gets an id, its host and caller are checked, whatever goes wrong becomes one answer and one
line of log, and every answer carries the same protective headers. Used by `gateway.web.application` only.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

import structlog
from aiohttp import web

from gateway.errors import Refused, Unstorable
from gateway.web import answers, auth, render
from gateway.web.problems import refuse, unstorable
from gateway.web.route import Route
from gateway.web.site import CALLER, REQUEST_ID, Handler, site_of

log = structlog.get_logger("gateway.web")

POLICY = "; ".join(
    (
        "default-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

PROGRAMS = ("/api/", "/callbacks/", "/healthz", "/readyz", "/metrics", "/static/")
"""Addresses whose readers are programs."""

_ANY_HOST = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked for by address, as orchestrators and Prometheus do."""


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost room: id, answer, one line of access log (route, never query or address)."""
    request[REQUEST_ID] = uuid.uuid4().hex
    started = time.perf_counter()
    with structlog.contextvars.bound_contextvars(request_id=request[REQUEST_ID]):
        response = await _answered(request, handler)
        log.info("request", **_line(request, response, time.perf_counter() - started))
    return response


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        if request.path not in _ANY_HOST and not site_of(request).host_allowed(request.host):
            raise refuse("host_refused")
        return await handler(request)
    except Refused as error:
        return _refusal(request, error)
    except Unstorable as error:
        log.warning("store unavailable", why=str(error))
        return _refusal(request, unstorable(error))
    except web.HTTPException as error:
        return _refusal(request, _of_aiohttp(request, error))
    except ConnectionError:
        raise
    except Exception:
        log.exception("request failed", route=_route_name(request))
        return _refusal(request, refuse("internal"))


def _refusal(request: web.Request, error: Refused) -> web.Response:
    """`error` as its reader wants it: problem details for programs, a page for people."""
    write = answers.problem if request.path.startswith(PROGRAMS) else render.problem_page
    response = write(request, error)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def guarded(route: Route) -> Handler:
    """The handler of `route` behind its checks, cheapest refusal first: caller, role, forgery, pace."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if route.roles is not None:
            caller = request[CALLER] = await auth.identify(request)
            auth.check_role(caller.principal, route.roles)
            await auth.check_forgery(request, caller)
            await request.app[auth.PACES].spend(caller.principal, route.pace)
        return await route.handler(request)

    return handle


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """Headers of every answer, event streams and errors included (`on_response_prepare`)."""
    headers = response.headers
    headers["Server"] = "tongluo"
    headers["X-Request-Id"] = request.get(REQUEST_ID, "")
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers.setdefault("Content-Security-Policy", POLICY)
    headers.setdefault("Cache-Control", "no-store")


def _of_aiohttp(request: web.Request, error: web.HTTPException) -> Refused:
    """What the framework itself refuses, in our words: unknown addresses and methods."""
    if error.status == 405:
        return refuse("method_unknown", method=request.method)
    if error.status == 404:
        return refuse("not_found")
    log.error("unexpected answer of the framework", status=error.status, reason=error.reason)
    return refuse("internal")


def _route_name(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else "-"


def _line(request: web.Request, response: web.StreamResponse, seconds: float) -> dict[str, Any]:
    caller = request.get(CALLER)
    return {
        "method": request.method,
        "route": _route_name(request),
        "status": response.status,
        "ms": round(seconds * 1000, 1),
        "by": caller.principal.id if caller else "",
    }
