"""Deeds of people on pages: a page that asks for confirmation, and the form it posts. Nothing is done by a link or a single key."""

from __future__ import annotations

from aiohttp import web
from pydantic import ValidationError

from gateway.ports import Principal, Role
from gateway.web.problems import refuse
from gateway.web.reading import known
from gateway.web.render import page
from gateway.web.shapes import Act, AlertDetail
from gateway.web.site import FORM, Site, principal_of, site_of

DEEDS: dict[str, frozenset[Role]] = {
    "approve": frozenset({Role.APPROVER}),
    "reject": frozenset({Role.APPROVER, Role.REVIEWER}),
    "stop": frozenset({Role.APPROVER}),
    "cancel": frozenset({Role.APPROVER}),
}
"""Who may do what (contract: states; the second person is the desk's business)."""


async def ask(request: web.Request) -> web.StreamResponse:
    """The page that says what will happen and asks for a tick and a click."""
    deed = request.match_info["deed"]
    by, id_ = principal_of(request), request.match_info["id"]
    _check(by, deed)
    reads = site_of(request).reads
    alert = AlertDetail.model_validate(known(await reads.alert(by, id_)))
    coverage = await reads.coverage(by, id_, "", 0, None, None)
    reach = (coverage or {}).get("region", {}).get("target")
    return page(request, "confirm.html", deed=deed, alert=alert, reach=reach)


async def do(request: web.Request) -> web.StreamResponse:
    """Do it, then show the alert. Raises Refused (403, 409, 422 ...)."""
    deed, by = request.match_info["deed"], principal_of(request)
    _check(by, deed)
    fields = request.get(FORM, {})
    if fields.get("sure") != "yes":
        raise refuse("body_invalid", why="sure")
    await _done(site_of(request), deed, request.match_info["id"], by, _act(fields))
    return web.Response(status=303, headers={"Location": f"/alerts/{request.match_info['id']}"})


async def replay(request: web.Request) -> web.StreamResponse:
    """Put a dead letter back to work, then show what is left. Raises Refused (403, 404)."""
    await site_of(request).desk.replay(request.match_info["id"], principal_of(request))
    return web.Response(status=303, headers={"Location": "/deadletters"})


async def _done(site: Site, deed: str, alert: str, by: Principal, act: Act) -> None:
    if deed == "cancel":
        await site.desk.cancel(alert, by, act.kind, act.note)
    else:
        await getattr(site.desk, deed)(alert, by, act.note)


def _check(by: Principal, deed: str) -> None:
    roles = DEEDS.get(deed)
    if roles is None:
        raise refuse("not_found")
    if not by.may(*roles):
        raise refuse("role_denied", name=by.name, roles=", ".join(sorted(roles)))


def _act(fields: dict[str, str]) -> Act:
    try:
        return Act.model_validate({"note": fields.get("note", ""), "kind": fields.get("kind") or "lifted"})
    except ValidationError as error:
        raise refuse("body_invalid", why="note, kind") from error
