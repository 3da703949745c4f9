"""Placeholders: values arrive literally wherever they stand, and mistakes are refused when the settings are read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from http_channels import NOON, batch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from yarl import URL

from channels.webhook.answer import at_path, judge
from channels.webhook.config import Settings
from channels.webhook.request import Form
from channels.webhook.signing import Seen, dingtalk, feishu
from gateway.channel import Endpoint, Message, Reason

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


def settings(**values: Any) -> Settings:
    return Settings.model_validate({"type": "webhook", "url": "http://127.0.0.1:9/send"} | values)


def body_of(config: Settings, text: str, address: str = "A", **fields: str) -> str:
    one = batch([address], message=Message("zh-CN", text, "title", tuple(fields.items())))
    request = Form(config).bind(one, one.endpoints, NOON).to(one.endpoints[0])
    assert request.body is not None
    return request.body.decode()


@given(TEXT, TEXT)
def test_any_text_arrives_literally_in_json(text: str, address: str) -> None:
    body = json.loads(body_of(settings(body={"a": "<{text}>", "b": {"c": ["{address}", 7]}}), text, address))
    assert body == {"a": f"<{text}>", "b": {"c": [address, 7]}}


@given(TEXT)
def test_any_text_arrives_literally_in_a_form_and_a_query(text: str) -> None:
    config = settings(body={"words & more": "={text}="}, encode="form", url="http://127.0.0.1:9/x?to={address}&n=1")
    one = batch([text], message=Message("zh-CN", text))
    request = Form(config).bind(one, one.endpoints, NOON).to(one.endpoints[0])
    assert request.body is not None
    form = URL.build(path="/", query_string=request.body.decode(), encoded=True).query
    assert form["words & more"] == f"={text}="
    assert URL(str(request.url)).query["to"] == text


def test_placeholders_inside_values_are_not_filled() -> None:
    assert json.loads(body_of(settings(body={"t": "{text}"}), '{key} {{7*7}} "'))["t"] == '{key} {{7*7}} "'


def test_header_values_cannot_start_a_new_header() -> None:
    one = batch(["A"], message=Message("zh-CN", "x", "title\r\nX-Evil: 1"))
    request = Form(settings(headers={"x-title": "{title}"})).bind(one, one.endpoints, NOON).to(one.endpoints[0])
    assert request.headers["X-Title"] == "title  X-Evil: 1"


def test_named_fields_are_available() -> None:
    assert json.loads(body_of(settings(body={"h": "{field.headline}"}), "", headline="雨"))["h"] == "雨"


def test_a_key_is_the_same_on_every_retry_and_lists_replace_whole_strings() -> None:
    config = settings(many=True, body={"to": "{addresses}", "keys": "{keys}", "t": "{text}"})
    one = batch(["A", '"B'])
    request = Form(config).bind(one, one.endpoints, NOON).to_all(one.endpoints)
    assert json.loads(request.body or b"")["to"] == ["A", '"B']
    assert json.loads(request.body or b"")["keys"] == ["d1.pager.0", "d1.pager.1"]
    assert request.headers["Idempotency-Key"] == "d1.pager.0+1"


@pytest.mark.parametrize(
    "values",
    [
        {"body": {"t": "{txt}"}},
        {"headers": {"X": "{nope}"}},
        {"url": "http://{address}/x"},
        {"url": "ftp://127.0.0.1/x"},
        {"url": "//127.0.0.1/x"},
        {"many": True, "body": {"to": "{address}"}},
        {"many": True, "url": "{address}", "body": {}},
        {"reject": {"429": "slow_down"}},
        {"sign": "hmac"},
        {"delivered_by": "callback"},
        {"delivered_by": "callback", "callback": {}},
        {"callback": {"secret": "s", "statuses": {"OK": "arrived"}}},
        {"request_timeout": 40},
        {"unheard_of": 1},
    ],
)
def test_mistakes_are_refused_when_the_settings_are_read(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**values)


def test_secrets_do_not_show_in_the_settings() -> None:
    config = settings(bearer="TOPSECRET", sign="hmac", secret="TOPSECRET", callback={"secret": "TOPSECRET"})
    assert "TOPSECRET" not in repr(config)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, b"", Reason.REJECTED),
        (200, b'{"d":{"errcode":0}}', Reason.NONE),
        (200, b'{"d":{"errcode":"0"}}', Reason.NONE),
        (200, b'{"d":{"errcode":45009}}', Reason.THROTTLED),
        (200, b'{"d":{"errcode":40003}}', Reason.REJECTED),
        (200, b"[" * 100_000, Reason.REJECTED),
        (400, b'{"d":{"errcode":45009}}', Reason.THROTTLED),
        (400, b"", Reason.REJECTED),
        (401, b"", Reason.MISCONFIGURED),
        (302, b"", Reason.MISCONFIGURED),
        (404, b"", Reason.UNREACHABLE),
        (429, b"", Reason.THROTTLED),
        (500, b"", Reason.UNAVAILABLE),
    ],
)
def test_answers_are_judged(status: int, body: bytes, reason: Reason) -> None:
    config = settings(ok={"path": "d.errcode", "equals": 0}, reject={45009: "throttled", "404": "unreachable"})
    assert judge(config, status, body, 0.0).reason is reason


def test_refusals_at_ones_own_address_speak_for_that_address_alone() -> None:
    config = settings(url="{address}")
    assert judge(config, 404, b"", 0).reason is Reason.INVALID_ADDRESS
    assert judge(config, 401, b"", 0).reason is Reason.REJECTED


def test_json_paths() -> None:
    document: Any = {"data": [{"id": 7}], "ok": True}
    assert at_path(document, "data.0.id") == 7
    assert at_path(document, "data.5.id") is None
    assert at_path(document, "ok.x") is None


def test_robot_signatures() -> None:
    # Independent values: openssl dgst -sha256 -hmac ... -binary | base64
    assert dingtalk("SECabc", "1700000000000") == "jcUpW0QmtKduN03n4JqQ0PBosVjqnM8gU7fIIvsDmCM="
    assert feishu("SECabc", "1700000000") == "XprR1de+0SSBnwWyU/4k6x2TL+Q2SJlM5NNEdAv7MWg="


def test_signatures_are_honoured_once_and_forgotten_when_stale() -> None:
    seen = Seen()
    assert seen.add("a", now=0, until=10)
    assert not seen.add("a", now=5, until=15)
    assert seen.add("b", now=11, until=20)
    assert seen.add("a", now=12, until=20)


def test_a_sign_may_stand_in_the_query() -> None:
    config = settings(url="http://127.0.0.1:9/r?timestamp={timestamp_ms}&sign={sign}", sign="dingtalk", secret="SECabc")
    one = batch(["A"])
    request = Form(config).bind(one, one.endpoints, NOON).to(Endpoint(0, "A"))
    assert URL(str(request.url)).query["sign"] == dingtalk("SECabc", str(NOON))
