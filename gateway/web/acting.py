"""What people do to alerts over the API: approve, reject, stop, cancel. The same deeds by form are in `gateway.web.deeds`."""

from __future__ import annotations

from aiohttp import web
from pydantic import ValidationError

from gateway.web import bodies
from gateway.web.answers import json_answer
from gateway.web.problems import refuse
from gateway.web.shapes import Act
from gateway.web.site import principal_of, site_of


async def approve(request: web.Request) -> web.StreamResponse:
    """Release a held alert."""
    act = await _act(request)
    done = await site_of(request).desk.approve(request.match_info["id"], principal_of(request), act.note)
    return json_answer(request, done)


async def reject(request: web.Request) -> web.StreamResponse:
    """Refuse a held alert for good."""
    act = await _act(request)
    done = await site_of(request).desk.reject(request.match_info["id"], principal_of(request), act.note)
    return json_answer(request, done)


async def stop(request: web.Request) -> web.StreamResponse:
    """Stop what has not been sent yet."""
    act = await _act(request)
    done = await site_of(request).desk.stop(request.match_info["id"], principal_of(request), act.note)
    return json_answer(request, done)


async def cancel(request: web.Request) -> web.StreamResponse:
    """End a released alert and tell those it may have reached."""
    act = await _act(request)
    done = await site_of(request).desk.cancel(request.match_info["id"], principal_of(request), act.kind, act.note)
    return json_answer(request, done)


async def replay(request: web.Request) -> web.StreamResponse:
    """Put a dead letter back to work."""
    return json_answer(request, await site_of(request).desk.replay(request.match_info["id"], principal_of(request)))


async def _act(request: web.Request) -> Act:
    """The action's body; none at all means no note and the usual kind."""
    content = await bodies.read(request, bodies.SMALL, site_of(request).settings.body_seconds)
    if not content:
        return Act()
    if request.content_type != "application/json":
        raise refuse("type_unsupported", given=request.content_type, wanted="application/json")
    try:
        return Act.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "JSON"
        raise refuse("body_invalid", why=f"{where}: {first['msg']}") from error
