"""The HTTP side: API, console, event streams, callbacks. `gateway.app` builds it from the ports and listens with it:

    app = application(desk, keys, reads, feed, callbacks, settings=WebSettings(version))
    async with listen(app, host, port) as url: ...

Nothing here decides anything about alerts: handlers check the envelope and ask the ports.
"""

from __future__ import annotations

from aiohttp import web

from gateway.ports import Callbacks, Desk, Feed, Keys, Reads
from gateway.web import auth, gate, openapi, render, routes
from gateway.web.bodies import Package, unzip
from gateway.web.server import listen
from gateway.web.site import SITE, Rates, Site, WebSettings

__all__ = ["Package", "Rates", "WebSettings", "application", "listen", "unzip"]


def application(
    desk: Desk, keys: Keys, reads: Reads, feed: Feed, callbacks: Callbacks, *, settings: WebSettings
) -> web.Application:
    """The application over the given ports, ready to be listened with."""
    app = web.Application(middlewares=[gate.gate])
    document = openapi.document(routes.API, settings.version)
    app[SITE] = Site(desk, keys, reads, feed, callbacks, settings, document)
    app[auth.PACES] = auth.Paces(settings.rates)
    app[render.LOOK] = render.look()
    served = {"", *settings.parts}
    for route in (route for route in (*routes.API, *routes.PAGES) if route.part in served):
        app.router.add_route(route.method, route.path, gate.guarded(route))
    app.on_response_prepare.append(gate.protect)
    app.on_shutdown.append(_close_streams)
    return app


async def _close_streams(app: web.Application) -> None:
    """Let readers of event streams go, so that a stop need not wait for them."""
    app[SITE].closing.set()
