"""Addresses without a key: is it alive, is it ready, what does it offer, the speech that devices fetch by its hash, and the
callbacks of far sides, which each channel authenticates in its own way.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.web import bodies
from gateway.web.answers import json_answer, tagged
from gateway.web.problems import refuse
from gateway.web.site import site_of


async def healthz(request: web.Request) -> web.StreamResponse:
    """The process lives and its loop turns."""
    return json_answer(request, {"status": "ok", "version": site_of(request).settings.version})


async def readyz(request: web.Request) -> web.StreamResponse:
    """Each part by name; 503 while one that is needed is missing."""
    answer = await site_of(request).reads.ready()
    return json_answer(request, answer, status=200 if answer["ready"] else 503)


async def openapi(request: web.Request) -> web.StreamResponse:
    """This API as OpenAPI 3.1."""
    return tagged(request, site_of(request).openapi, "application/json")


async def media(request: web.Request) -> web.StreamResponse:
    """Speech by the hash of its sound; it never changes, so it may be kept for ever."""
    folder = site_of(request).settings.media_dir
    if folder is None:
        raise refuse("not_found")
    path = folder / f"{request.match_info['sha256']}.wav"
    if not await asyncio.to_thread(path.is_file):
        raise refuse("not_found")
    headers = {"Content-Type": "audio/wav", "Cache-Control": "public, max-age=31536000, immutable"}
    return web.FileResponse(path, headers=headers)


async def callback(request: web.Request) -> web.StreamResponse:
    """Hand a far side's request to its channel, in plain values, and give back what the channel answers."""
    settings = site_of(request).settings
    body = await bodies.read(request, settings.body_limit, settings.body_seconds)
    answer = await site_of(request).callbacks.callback(
        request.match_info["name"],
        request.method,
        request.match_info["tail"],
        request.query,
        request.headers,
        body,
    )
    if answer is None:
        raise refuse("not_found")
    status, content, content_type, headers = answer
    return web.Response(status=status, body=content, headers={**headers, "Content-Type": content_type})


async def metrics(request: web.Request) -> web.StreamResponse:
    """Prometheus and OpenMetrics text, by the handler the gateway was given."""
    handler = site_of(request).settings.metrics
    if handler is None:
        raise refuse("not_found")
    return await handler(request)
