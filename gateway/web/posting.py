"""Messages coming in by HTTP: `POST /alerts`, its dry run, and the preview. What is checked here is the envelope only; the message
itself is the desk's business.
"""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from gateway.ports import Accepted, Json
from gateway.web import bodies, queries
from gateway.web.answers import json_answer
from gateway.web.site import principal_of, site_of

ALERTS = "/api/v1/alerts"


async def post_alert(request: web.Request) -> web.StreamResponse:
    """Take one message in: 202 when it is on disk, 200 if we had it already."""
    dry_run = queries.flag(request, "dry_run")
    package = await _package(request)
    if dry_run:
        return json_answer(request, await site_of(request).desk.preview(package.raw, principal_of(request)))
    accepted = await site_of(request).desk.accept(
        package.raw, principal_of(request), attachments=package.attachments, via="http"
    )
    status = 202 if accepted.created else 200
    return json_answer(request, _posted(accepted), status=status, headers={"Location": f"{ALERTS}/{accepted.id}"})


async def preview(request: web.Request) -> web.StreamResponse:
    """Check, target and render; store and send nothing."""
    package = await _package(request)
    return json_answer(request, await site_of(request).desk.preview(package.raw, principal_of(request)))


async def _package(request: web.Request) -> bodies.Package:
    settings = site_of(request).settings
    return await bodies.message(request, settings.body_limit, settings.body_seconds)


def _posted(accepted: Accepted) -> Json:
    here = f"{ALERTS}/{accepted.id}"
    return {
        "id": accepted.id,
        "identifier": accepted.identifier,
        "state": accepted.state,
        "fingerprint": accepted.fingerprint,
        "warnings": [asdict(finding) for finding in accepted.warnings],
        "links": {
            "self": here,
            "coverage": f"{here}/coverage",
            "events": f"{here}/events",
            "report": f"{here}/report",
        },
    }
