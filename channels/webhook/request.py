"""The request of one batch: everything its endpoints share is written once, so that an endpoint costs a join and a hash.

The channel makes one `Form` at start-up and binds it to each batch.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from yarl import URL

from channels.webhook import signing
from channels.webhook.config import Settings, secret_of
from channels.webhook.template import (
    FIELD,
    LIST_NAMES,
    Escape,
    Pattern,
    cut,
    for_form,
    for_header,
    for_json,
    for_url,
)
from gateway.channel import Batch, Endpoint, Instant, moment

ADDRESS = Pattern(("", ""), ("address",))


class Request(NamedTuple):
    """What goes on the wire for one endpoint, or for a whole batch."""

    url: URL
    headers: dict[str, str]
    body: bytes | None


class Form:
    """The settings of a channel turned into patterns; credentials are read here, once. Raises Misconfigured."""

    def __init__(self, config: Settings) -> None:
        self.config = config
        self.secret = secret_of(config.secret, config.secret_file, "secret_file")
        self.escape: Escape = for_form if config.encode == "form" else for_json
        self.url = ADDRESS if config.by_address else cut(config.url)
        self.body = config.body_pattern()
        self.headers = self._standing() | {name.title(): cut(value) for name, value in config.headers.items()}

    def bind(self, batch: Batch, endpoints: Sequence[Endpoint], now: Instant) -> Bound:
        """The form filled with what the batch's endpoints share; signed with the time `now` where it is signed."""
        values = _values(batch) | self._signature(now)
        if self.config.many:
            values |= _lists(batch, endpoints, form=self.config.encode == "form")
        fields = {name for pattern in self._patterns() for name in pattern.names if name.startswith(FIELD)}
        values |= {name: batch.message.field(name.removeprefix(FIELD)) for name in fields}
        return Bound(self, batch, values)

    def _patterns(self) -> list[Pattern]:
        return [self.url, self.body, *self.headers.values()]

    def _standing(self) -> dict[str, Pattern]:
        config = self.config
        kind = "application/x-www-form-urlencoded" if config.encode == "form" else "application/json; charset=utf-8"
        headers = {"Accept-Encoding": "identity"} | ({} if config.method == "GET" else {"Content-Type": kind})
        bearer = secret_of(config.bearer, config.bearer_file, "bearer_file")
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        elif config.user:
            password = secret_of(config.password, config.password_file, "password_file")
            headers["Authorization"] = "Basic " + base64.b64encode(f"{config.user}:{password}".encode()).decode()
        return {name: Pattern((value,)) for name, value in headers.items()}

    def _signature(self, now: Instant) -> dict[str, str]:
        seconds, milliseconds = str(now // 1000), str(now)
        sign = ""
        if self.config.sign == "dingtalk":
            sign = signing.dingtalk(self.secret, milliseconds)
        elif self.config.sign == "feishu":
            sign = signing.feishu(self.secret, seconds)
        return {"timestamp": seconds, "timestamp_ms": milliseconds, "sign": sign}


class Bound:
    """The form of one batch: `to` gives the request of an endpoint, `to_all` the one of the whole batch."""

    def __init__(self, form: Form, batch: Batch, values: Mapping[str, str]) -> None:
        self._form, self._batch, self._timestamp = form, batch, values["timestamp"]
        self._url = form.url if form.config.by_address else form.url.bind(values, for_url)
        self._fixed = None if self._url.names else _url(self._url.literals[0])
        self._body = form.body.bind(values, form.escape)
        headers = {name: pattern.bind(values, for_header) for name, pattern in form.headers.items()}
        self._headers = {name: pattern.literals[0] for name, pattern in headers.items() if not pattern.names}
        self._open = {name: pattern for name, pattern in headers.items() if pattern.names}

    def to(self, endpoint: Endpoint) -> Request:
        """The request for one endpoint. Raises ValueError if its address is no URL where one is needed."""
        key = self._batch.key(endpoint)
        return self._request({"address": endpoint.address, "key": key, "region": endpoint.region}, key)

    def to_all(self, endpoints: Sequence[Endpoint]) -> Request:
        """The one request for all of `endpoints`."""
        return self._request({}, f"{self._batch.key(endpoints[0])}+{len(endpoints) - 1}")

    def _request(self, own: Mapping[str, str], key: str) -> Request:
        form = self._form
        url = self._fixed or self._address(own)
        headers = self._headers | {form.config.idempotency_header: key}
        for name, pattern in self._open.items():
            headers[name] = pattern.fill(own, for_header)
        if form.config.method == "GET":
            return Request(url, headers, None)
        body = self._body.fill(own, form.escape).encode("utf-8", "replace")
        if form.config.sign == "hmac":
            headers[form.config.timestamp_header] = self._timestamp
            headers[form.config.signature_header] = signing.over_body(form.secret, self._timestamp, body)
        return Request(url, headers, body)

    def _address(self, own: Mapping[str, str]) -> URL:
        if self._form.config.by_address:
            return URL(own["address"])
        return _url(self._url.fill(own, for_url))


def _url(text: str) -> URL:
    # What is plain ASCII is sent as the operator wrote it; yarl must not quote our quoted values again.
    return URL(text, encoded=text.isascii())


def _values(batch: Batch) -> dict[str, str]:
    return {
        "text": batch.message.text,
        "title": batch.message.title,
        "language": batch.message.language,
        "alert": batch.alert,
        "identifier": batch.identifier,
        "dispatch": batch.dispatch,
        "channel": batch.channel,
        "cause": str(batch.cause),
        "grade": batch.grade,
        "event": batch.event,
        "event_code": batch.event_code,
        "status": batch.status,
        "sender": batch.sender,
        "sent": _rfc3339(batch.sent_at),
        "expires": _rfc3339(batch.expires_at),
        "supersedes": batch.supersedes,
    }


def _lists(batch: Batch, endpoints: Sequence[Endpoint], *, form: bool) -> dict[str, str]:
    lists = {
        "addresses": [endpoint.address for endpoint in endpoints],
        "keys": [batch.key(endpoint) for endpoint in endpoints],
    }
    if form:
        return {name: for_form(",".join(items)) for name, items in lists.items()}
    return {name: json.dumps(lists[name], ensure_ascii=False) for name in LIST_NAMES}


def _rfc3339(at: Instant) -> str:
    """UTC with milliseconds; an instant no calendar knows becomes the empty text."""
    try:
        return (moment(0) + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return ""
