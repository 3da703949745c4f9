"""Who makes a request, and may they: keys, session cookies, forged requests, roles, pace. Called for every route that is not
open, by `gateway.web.gate`.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Iterable
from urllib.parse import urlsplit

from aiohttp import web
from aiolimiter import AsyncLimiter

from gateway.errors import Refused
from gateway.ports import Principal, Role
from gateway.web import bodies
from gateway.web.problems import refuse
from gateway.web.site import FORM, Caller, Rates, site_of

COOKIE = "tongluo_session"
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_WRONG_KEYS_PER_MINUTE = 10
_ADDRESSES_REMEMBERED = 10_000


class Paces:
    """Token buckets: one for each key and purpose, and one for the wrong keys of each remote address."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._buckets: dict[tuple[str, str], AsyncLimiter] = {}
        self._wrong: dict[str, AsyncLimiter] = {}

    async def spend(self, principal: Principal, purpose: str) -> None:
        """Take one token of `purpose` (reads, posts, acts). Raises Refused (429) if there is none."""
        key = (principal.id, purpose)
        bucket = self._buckets.setdefault(key, AsyncLimiter(getattr(self._rates, purpose), 60))
        if not bucket.has_capacity():
            raise refuse("too_fast", retry_after=max(1, math.ceil(bucket.time_period / bucket.max_rate)))
        await bucket.acquire()

    async def wrong_key(self, remote: str, error: Refused) -> Refused:
        """What to answer to a wrong key: `error` at first, 429 when one address tries too many."""
        if len(self._wrong) >= _ADDRESSES_REMEMBERED:
            self._wrong.clear()
        bucket = self._wrong.setdefault(remote, AsyncLimiter(_WRONG_KEYS_PER_MINUTE, 60))
        if not bucket.has_capacity():
            return refuse("wrong_keys", retry_after=60)
        await bucket.acquire()
        return error


PACES = web.AppKey("paces", Paces)


async def identify(request: web.Request) -> Caller:
    """The caller by `Authorization: Bearer`, `X-API-Key` or session cookie. Raises Refused (401, 429)."""
    if key := _key(request):
        return Caller(await _owner(request, key))
    token = request.cookies.get(COOKIE, "")
    if not token:
        raise refuse("key_missing")
    principal = await site_of(request).keys.session(token)
    if principal is None:
        raise refuse("session_ended")
    return Caller(principal, token)


async def check_origin(request: web.Request) -> None:
    """Refuse (403) what a browser says another site sent (OWASP: verifying origin with standard headers)."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise refuse("request_foreign")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        raise refuse("request_foreign")


async def check_forgery(request: web.Request, caller: Caller) -> None:
    """A write by cookie has to carry the session's token, in a header or a form field. Raises Refused (403).

    The fields of a form are left under `FORM` for the handler.
    """
    if request.method in _SAFE or not caller.token:
        return
    await check_origin(request)
    given = request.headers.get(CSRF_HEADER, "")
    if request.content_type == "application/x-www-form-urlencoded":
        request[FORM] = await bodies.form(request, site_of(request).settings.body_seconds)
        given = given or request[FORM].get(CSRF_FIELD, "")
    if not hmac.compare_digest(given.encode(), csrf_token(caller.token).encode()):
        raise refuse("request_foreign")


def check_role(principal: Principal, roles: Iterable[Role]) -> None:
    """Refuse (403) who has none of `roles`; no roles = anybody who is known."""
    wanted = sorted(roles)
    if wanted and not principal.may(*wanted):
        raise refuse("role_denied", name=principal.name, roles=", ".join(wanted))


def csrf_token(session: str) -> str:
    """The token that pages of a session put into their forms; nobody without the session's secret can make it."""
    return hashlib.sha256(b"tongluo csrf " + session.encode()).hexdigest()


def _key(request: web.Request) -> str:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "").strip()


async def _owner(request: web.Request, key: str) -> Principal:
    principal = await site_of(request).keys.principal(key)
    if principal is None:
        raise await request.app[PACES].wrong_key(request.remote or "", refuse("key_unknown"))
    return principal
