"""Every address of the gateway, in two tables: the API and the pages. Read it to know what there is."""

from __future__ import annotations

from gateway.ports import Role
from gateway.web import acting, deeds, outside, pages, posting, reading, render, shapes, sse
from gateway.web.bodies import XML_TYPES, ZIP_TYPES
from gateway.web.route import OPEN, Query, Route

V1 = "/api/v1"
ALERT = f"{V1}/alerts/{{id}}"

POSTERS = frozenset({Role.SOURCE, Role.AUTHOR})
MESSAGE = (*XML_TYPES, ZIP_TYPES[0])
JSON = ("application/json",)
FORM_TYPE = ("application/x-www-form-urlencoded",)
HTML = "text/html"

BODY_CODES = (
    "body_malformed",
    "body_slow",
    "body_too_large",
    "encoding_unsupported",
    "gzip_invalid",
    "type_unsupported",
)
POST_CODES = (
    "body_empty",
    "query_invalid",
    "store_unavailable",
    "zip_invalid",
    "zip_names",
    "zip_no_message",
    *BODY_CODES,
)
ACT_CODES = ("unknown_alert", "body_invalid", "store_unavailable", *BODY_CODES)
READ_CODES = ("unknown_alert", "query_invalid")

TEXT = {"type": "string"}
TIME = {"type": "string", "format": "date-time"}
REGION = Query("region", "division code; absent = the smallest region that holds all targets", TEXT)
DEPTH = Query("depth", "levels below the region", {"type": "integer", "minimum": 0, "maximum": 6, "default": 1})
DRY_RUN = Query("dry_run", "check, target and render only", {"type": "boolean", "default": False})
CUTS = (
    Query("as_of", "cut on the time when it happened", TIME),
    Query("known_at", "cut on the time when we learned of it", TIME),
)
PAGED = (
    Query("limit", "rows of a page", {"type": "integer", "minimum": 1, "maximum": 500, "default": 100}),
    Query("cursor", "`next` of the page before", TEXT),
)
ALERT_FILTERS = (
    Query("state", "a state, or `active` = released and not ended", TEXT),
    Query("region", "division code that the targets touch", TEXT),
    Query("since", "received at or after", TIME),
    Query("identifier", "the sender's identifier", TEXT),
    Query("sender", "the sender", TEXT),
    Query("sent", "the message's own time", TIME),
)
DELIVERY_FILTERS = (
    Query("region", "division code", TEXT),
    Query("channel", "a configured channel", TEXT),
    Query("state", "pending, sending, unknown, done, expired, withdrawn, dead", TEXT),
)
FORMAT = Query("format", "`json`", {"type": "string", "enum": ["json"]})
PARENT = Query("parent", "division code; absent = the roots", TEXT)

# fmt: off
API = (
    Route("POST", f"{V1}/alerts", posting.post_alert, "Post one CAP or national message", roles=POSTERS, pace="posts",
          query=(DRY_RUN,), takes=MESSAGE, gives=shapes.Posted, statuses=(202, 200), codes=POST_CODES, part="intake"),
    Route("POST", f"{V1}/alerts/preview", posting.preview, "What a message would do; stores and sends nothing", roles=POSTERS,
          pace="posts", takes=MESSAGE, gives=shapes.Preview, codes=POST_CODES, part="intake"),
    Route("GET", f"{V1}/alerts", reading.alerts, "Alerts, newest first", query=(*ALERT_FILTERS, *PAGED),
          gives=shapes.AlertPage, codes=("query_invalid",)),
    Route("GET", ALERT, reading.alert, "One alert: CAP as JSON, state, chain", gives=shapes.AlertDetail, codes=READ_CODES),
    Route("GET", f"{ALERT}/cap", reading.cap, "The bytes received", gives="application/cap+xml", codes=READ_CODES),
    Route("GET", f"{ALERT}/coverage", reading.coverage, "Coverage of a region and its children", query=(REGION, DEPTH, *CUTS),
          gives=shapes.Coverage, codes=READ_CODES),
    Route("GET", f"{ALERT}/curve", reading.curve, "Coverage over time", query=(REGION,), gives=shapes.Curve, codes=READ_CODES),
    Route("GET", f"{ALERT}/channels", reading.channels_of, "What each channel did", gives=shapes.ChannelFigures, many=True,
          codes=READ_CODES),
    Route("GET", f"{ALERT}/failures", reading.failures_of, "Failures by reason", gives=shapes.Failure, many=True,
          codes=READ_CODES),
    Route("GET", f"{ALERT}/deliveries", reading.deliveries, "Endpoint by endpoint, addresses masked",
          query=(*DELIVERY_FILTERS, *PAGED), gives=shapes.DeliveryPage, codes=READ_CODES),
    Route("GET", f"{ALERT}/log", reading.log, "What happened, newest first", query=PAGED, gives=shapes.LogPage,
          codes=READ_CODES),
    Route("GET", f"{ALERT}/report", reading.report, "All that is known, in one document", query=(FORMAT,), gives=shapes.Report,
          codes=READ_CODES),
    Route("GET", f"{ALERT}/events", sse.alert_events, "Live frames of one alert", query=(REGION, DEPTH),
          gives="text/event-stream", codes=READ_CODES),
    Route("POST", f"{ALERT}/approve", acting.approve, "Release a held alert", roles=deeds.DEEDS["approve"], pace="acts",
          takes=JSON, codes=ACT_CODES),
    Route("POST", f"{ALERT}/reject", acting.reject, "Refuse a held alert for good", roles=deeds.DEEDS["reject"], pace="acts",
          takes=JSON, codes=ACT_CODES),
    Route("POST", f"{ALERT}/stop", acting.stop, "Stop what has not been sent; tells nobody", roles=deeds.DEEDS["stop"],
          pace="acts", takes=JSON, codes=ACT_CODES),
    Route("POST", f"{ALERT}/cancel", acting.cancel, "End an alert and tell those it may have reached",
          roles=deeds.DEEDS["cancel"], pace="acts", takes=JSON, codes=ACT_CODES),
    Route("GET", f"{V1}/events", sse.all_events, "Live frames of the whole gateway", gives="text/event-stream"),
    Route("GET", f"{V1}/whoami", reading.whoami, "The caller: source, roles, regions, limits", gives=shapes.Whoami, part=""),
    Route("GET", f"{V1}/channels", reading.channels, "The configured channels and how they are", gives=shapes.ChannelState,
          many=True),
    Route("GET", f"{V1}/deadletters", reading.dead_letters, "Batches given up, and queue messages nobody could read",
          gives=shapes.DeadLetter, many=True),
    Route("POST", f"{V1}/deadletters/{{id}}/replay", acting.replay, "Put a dead letter back to work",
          roles=frozenset({Role.APPROVER}), pace="acts", codes=("unknown_dead_letter", "store_unavailable")),
    Route("GET", f"{V1}/regions", reading.regions, "Children of a region", query=(PARENT,), gives=shapes.RegionRow, many=True,
          codes=("query_invalid",)),
    Route("GET", f"{V1}/readiness", reading.readiness, "Who could be reached now", gives=shapes.Readiness),
    Route("GET", f"{V1}/openapi.json", outside.openapi, "This document", roles=OPEN, part=""),
    Route("GET", f"{V1}/media/{{sha256:[0-9a-f]+}}.wav", outside.media, "Speech, by the hash of its bytes", roles=OPEN,
          gives="audio/wav", part=""),
    Route("GET", "/healthz", outside.healthz, "The process lives", roles=OPEN, gives=shapes.Health, part=""),
    Route("GET", "/readyz", outside.readyz, "Each part by name", roles=OPEN, gives=shapes.Ready, statuses=(200, 503), part=""),
    Route("GET", "/metrics", outside.metrics, "Prometheus and OpenMetrics text", roles=OPEN, gives="text/plain",
          part=""),
    Route("*", "/callbacks/{name:[^/]+}{tail:.*}", outside.callback, "The far side of a channel reports", roles=OPEN,
          gives="text/plain", codes=("store_unavailable", *BODY_CODES), part="intake"),
)

PAGES = (
    Route("GET", "/", pages.watch, "值班台 Watch", gives=HTML),
    Route("GET", "/fragments", pages.watch_fragments, "Watch, moving parts only", gives=HTML),
    Route("GET", "/alerts", pages.alerts, "预警 Alerts", query=(*ALERT_FILTERS, *PAGED), gives=HTML),
    Route("GET", "/deadletters", pages.dead_letters, "死信 Dead letters", gives=HTML),
    Route("POST", "/deadletters/{id}/replay", deeds.replay, "Puts one back to work", pace="acts", takes=FORM_TYPE, gives=HTML),
    Route("GET", "/alerts/{id}", pages.live, "发布态势 Live", query=(REGION,), gives=HTML),
    Route("GET", "/alerts/{id}/fragments", pages.live_fragments, "Live, moving parts only", query=(REGION,), gives=HTML),
    Route("GET", "/alerts/{id}/deliveries", pages.deliveries, "投递明细 Deliveries", query=(*DELIVERY_FILTERS, *PAGED),
          gives=HTML),
    Route("GET", "/alerts/{id}/{deed:approve|reject|stop|cancel}", deeds.ask, "Asks before a deed", gives=HTML),
    Route("POST", "/alerts/{id}/{deed:approve|reject|stop|cancel}", deeds.do, "Does it", pace="acts", takes=FORM_TYPE,
          gives=HTML),
    Route("GET", "/sign-in", pages.offer_sign_in, "登录 Sign in", roles=OPEN, gives=HTML),
    Route("POST", "/sign-in", pages.sign_in, "Spends the link", roles=OPEN, takes=FORM_TYPE, gives=HTML),
    Route("POST", "/sign-out", pages.sign_out, "Ends the session", takes=FORM_TYPE, gives=HTML),
    Route("GET", "/static/{name}", render.static, "Style, script and icon", roles=OPEN, gives="text/css"),
)
# fmt: on
