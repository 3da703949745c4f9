"""The console's pages: Watch, Live, deliveries, the list, signing in and out. They ask `views`, and `render` writes them."""

from __future__ import annotations

from aiohttp import web

from gateway.ports import Role
from gateway.web import auth, bodies, languages, queries, views
from gateway.web.problems import refuse
from gateway.web.reading import known
from gateway.web.render import page
from gateway.web.shapes import AlertDetail, AlertPage, DeadLetter, DeliveryPage
from gateway.web.site import principal_of, site_of

ROWS = 100


async def watch(request: web.Request) -> web.StreamResponse:
    """值班台: what is live, what waits, is everything alive."""
    return page(request, "watch.html", view=await views.watch(site_of(request), principal_of(request)))


async def watch_fragments(request: web.Request) -> web.StreamResponse:
    """The moving parts of Watch alone."""
    return page(request, "_watch.html", view=await views.watch(site_of(request), principal_of(request)))


async def live(request: web.Request) -> web.StreamResponse:
    """发布态势: where the gap is, and why."""
    return page(request, "live.html", view=await _live(request), region=queries.region(request))


async def live_fragments(request: web.Request) -> web.StreamResponse:
    """The moving parts of Live alone."""
    return page(request, "_live.html", view=await _live(request), region=queries.region(request))


async def deliveries(request: web.Request) -> web.StreamResponse:
    """明细: endpoint by endpoint, addresses masked."""
    reads, by, alert = site_of(request).reads, principal_of(request), request.match_info["id"]
    filters = queries.filters(request, "region", "channel", "state")
    found = AlertDetail.model_validate(known(await reads.alert(by, alert)))
    rows = known(await reads.deliveries(by, alert, filters, ROWS, queries.text(request, "cursor")))
    channels = [row["channel"] for row in await reads.channels_of(by, alert) or []]
    view = DeliveryPage.model_validate(rows)
    return page(request, "deliveries.html", alert=found, view=view, filters=filters, channels=channels)


async def alerts(request: web.Request) -> web.StreamResponse:
    """The list of alerts, newest first."""
    filters = queries.alert_filters(request)
    found = await site_of(request).reads.alerts(principal_of(request), filters, ROWS, queries.text(request, "cursor"))
    return page(request, "alerts.html", view=AlertPage.model_validate(found), filters=filters)


async def dead_letters(request: web.Request) -> web.StreamResponse:
    """死信: what was given up, and a way to put it back to work."""
    by = principal_of(request)
    rows = [DeadLetter.model_validate(row) for row in await site_of(request).reads.dead_letters(by)]
    return page(request, "deadletters.html", letters=rows, may_replay=by.may(Role.APPROVER) and not by.regions)


async def offer_sign_in(request: web.Request) -> web.StreamResponse:
    """A button only: opening the link, as mail filters and previews do, does not spend it."""
    return page(request, "sign_in.html", ticket=queries.text(request, "ticket"), error=None)


async def sign_in(request: web.Request) -> web.StreamResponse:
    """Spend the link, leave a session cookie, go to Watch."""
    await auth.check_origin(request)
    fields = await bodies.form(request, site_of(request).settings.body_seconds)
    found = await site_of(request).keys.sign_in(fields.get("ticket", ""))
    if found is None:
        raise await request.app[auth.PACES].wrong_key(request.remote or "", refuse("ticket_spent"))
    response = web.Response(status=303, headers={"Location": "/"})
    response.set_cookie(auth.COOKIE, found[0], httponly=True, samesite="Strict", secure=request.secure, path="/")
    return response


async def sign_out(request: web.Request) -> web.StreamResponse:
    """Forget the session, here and in the browser."""
    await site_of(request).keys.sign_out(request.cookies.get(auth.COOKIE, ""))
    response = web.Response(status=303, headers={"Location": "/sign-in"})
    response.del_cookie(auth.COOKIE, path="/", httponly=True, samesite="Strict")
    return response


async def _live(request: web.Request) -> views.LiveView:
    alert, region, language = request.match_info["id"], queries.region(request), languages.chosen(request)
    return await views.live(site_of(request), principal_of(request), alert, region, language)
