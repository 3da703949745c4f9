"""The reads of the API: alerts, their coverage and deliveries, channels, regions. Each asks one question of `Reads` and answers it
as it is, so that numbers agree to the digit wherever they are shown.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TypeVar

from aiohttp import web

from gateway.ports import Json
from gateway.web import queries
from gateway.web.answers import json_answer, tagged
from gateway.web.problems import refuse
from gateway.web.site import principal_of, site_of

Found = TypeVar("Found")

CAP_NAMESPACE = b"urn:oasis:names:tc:emergency:cap:"

SEALED = {
    "Content-Disposition": 'attachment; filename="alert.xml"',
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
"""Bytes somebody sent us are handed back as a file, never shown by a browser as a page of ours."""


async def alerts(request: web.Request) -> web.StreamResponse:
    """A page of alerts, newest first."""
    reads, by = site_of(request).reads, principal_of(request)
    page = await reads.alerts(
        by, queries.alert_filters(request), queries.limit(request), queries.text(request, "cursor")
    )
    return json_answer(request, page)


async def alert(request: web.Request) -> web.StreamResponse:
    """One alert: CAP as JSON, state, chain."""
    found = await site_of(request).reads.alert(principal_of(request), request.match_info["id"])
    return json_answer(request, known(found))


async def cap(request: web.Request) -> web.StreamResponse:
    """The bytes received."""
    raw = known(await site_of(request).reads.raw(principal_of(request), request.match_info["id"]))
    content_type = "application/cap+xml" if CAP_NAMESPACE in raw else "application/xml"
    return tagged(request, raw, content_type, charset=None, headers=SEALED)


async def coverage(request: web.Request) -> web.StreamResponse:
    """Coverage of a region and its children, now or as it stood."""
    found = await site_of(request).reads.coverage(
        principal_of(request),
        request.match_info["id"],
        queries.region(request),
        queries.depth(request),
        queries.moment(request, "as_of"),
        queries.moment(request, "known_at"),
    )
    return json_answer(request, known(found))


async def curve(request: web.Request) -> web.StreamResponse:
    """Coverage over time."""
    reads, by = site_of(request).reads, principal_of(request)
    return json_answer(request, known(await reads.curve(by, request.match_info["id"], queries.region(request))))


async def channels_of(request: web.Request) -> web.StreamResponse:
    """What each channel did for this alert."""
    return json_answer(request, known(await _channels(request)))


async def failures_of(request: web.Request) -> web.StreamResponse:
    """Why endpoints were not reached, the commonest reason first."""
    return json_answer(request, failures(known(await _channels(request))))


async def deliveries(request: web.Request) -> web.StreamResponse:
    """A page of endpoints, addresses masked."""
    found = await site_of(request).reads.deliveries(
        principal_of(request),
        request.match_info["id"],
        queries.filters(request, "region", "channel", "state"),
        queries.limit(request),
        queries.text(request, "cursor"),
    )
    return json_answer(request, known(found))


async def log(request: web.Request) -> web.StreamResponse:
    """What happened, newest first."""
    reads, by = site_of(request).reads, principal_of(request)
    limit, cursor = queries.limit(request), queries.text(request, "cursor")
    return json_answer(request, known(await reads.log(by, request.match_info["id"], limit, cursor)))


async def report(request: web.Request) -> web.StreamResponse:
    """All that is known of an alert, in one document (JSON)."""
    reads, by, id_ = site_of(request).reads, principal_of(request), request.match_info["id"]
    if queries.text(request, "format") not in {"", "json"}:
        raise refuse("query_invalid", name="format", why="json")
    found = known(await reads.alert(by, id_))
    whole, line, channels = await asyncio.gather(
        reads.coverage(by, id_, "", queries.DEEPEST, None, None), reads.curve(by, id_, ""), reads.channels_of(by, id_)
    )
    content = {"alert": found, "coverage": whole, "curve": line, "channels": channels or []}
    return json_answer(request, content | {"failures": failures(channels or [])})


async def channels(request: web.Request) -> web.StreamResponse:
    """The configured channels and how they are."""
    return json_answer(request, await site_of(request).reads.channels(principal_of(request)))


async def dead_letters(request: web.Request) -> web.StreamResponse:
    """What was given up."""
    return json_answer(request, await site_of(request).reads.dead_letters(principal_of(request)))


async def regions(request: web.Request) -> web.StreamResponse:
    """Children of a region."""
    parent = queries.text(request, "parent")
    return json_answer(request, await site_of(request).reads.regions(principal_of(request), parent))


async def readiness(request: web.Request) -> web.StreamResponse:
    """Who could be reached if something came now."""
    return json_answer(request, await site_of(request).reads.readiness(principal_of(request)))


async def whoami(request: web.Request) -> web.StreamResponse:
    """The caller as the gateway knows it."""
    principal, settings = principal_of(request), site_of(request).settings
    limits = {
        "body_bytes": settings.body_limit,
        "reads_per_minute": settings.rates.reads,
        "posts_per_minute": settings.rates.posts,
        "acts_per_minute": settings.rates.acts,
    }
    answer = {
        "id": principal.id,
        "name": principal.name,
        "source": principal.source,
        "roles": sorted(principal.roles),
        "regions": list(principal.regions),
        "sandbox": principal.sandbox,
        "mode": "sample" if settings.sample_data else "sandbox" if principal.sandbox else "live",
        "limits": limits,
    }
    return json_answer(request, answer)


def failures(channels: list[Json]) -> list[Json]:
    """Failed endpoints by reason over all channels: `[{reason, count, channels: {name: n}}]`, the largest first."""
    by_reason: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for channel in channels:
        for reason, count in channel["failed"].items():
            by_reason[reason][channel["channel"]] = count
    rows = [{"reason": reason, "count": sum(share.values()), "channels": share} for reason, share in by_reason.items()]
    return sorted(rows, key=lambda row: (-row["count"], row["reason"]))


def known(found: Found | None) -> Found:
    """What was found; 404 where there is nothing or nothing the caller may see."""
    if found is None:
        raise refuse("unknown_alert")
    return found


async def _channels(request: web.Request) -> list[Json] | None:
    return await site_of(request).reads.channels_of(principal_of(request), request.match_info["id"])
