"""The reads of the API, its problems, and the addresses without a key."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from pydantic import TypeAdapter
from web_data import ALERT, HELD, RELEASED
from web_world import House, serve

from gateway.model.time import rfc3339
from gateway.web.routes import API

ONE = f"/api/v1/alerts/{ALERT}"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with serve() as house:
        yield house


async def get(house: House, path: str, **how: Any) -> tuple[int, Any]:
    async with house.ask(path, **how) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize("route", [one for one in API if one.method == "GET" and not isinstance(one.gives, str)])
async def test_every_read_answers_in_its_shape(house: House, route: Any) -> None:
    status, body = await get(house, route.address.replace("{id}", ALERT))
    assert status == 200
    TypeAdapter(list[route.gives] if route.many else route.gives).validate_python(body)


@pytest.mark.parametrize(
    "part", ["", "/cap", "/coverage", "/curve", "/channels", "/failures", "/deliveries", "/log", "/report", "/events"]
)
async def test_an_unknown_alert_is_404_everywhere(house: House, part: str) -> None:
    status, problem = await get(house, f"/api/v1/alerts/nobody{part}")
    assert (status, problem["code"]) == (404, "unknown_alert")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=x",
        "limit=１０",
        "state=gone",
        "since=yesterday",
        "sent=2026-07-22T14:30:00",
        "cursor=" + "x" * 600,
    ],
)
async def test_wrong_parameters_are_named(house: House, query: str) -> None:
    status, problem = await get(house, f"/api/v1/alerts?{query}")
    assert (status, problem["code"]) == (400, "query_invalid")
    assert query.split("=")[0] in problem["detail"]


async def test_a_filter_on_sent_takes_any_offset_and_an_unescaped_plus(house: House) -> None:
    for sent in ("2026-07-22T14:32:01+08:00", "2026-07-22T06:32:01Z", "2026-07-22T14:32:01%2B08:00"):
        _, page = await get(house, f"/api/v1/alerts?sent={sent}")
        assert len(page["items"]) == 3, sent
    _, page = await get(house, "/api/v1/alerts?sent=2026-07-22T14:32:02%2B08:00")
    assert page["items"] == []


async def test_lists_are_paged(house: House) -> None:
    _, first = await get(house, "/api/v1/alerts?limit=2")
    _, second = await get(house, f"/api/v1/alerts?limit=2&cursor={first['next']}")
    assert [len(first["items"]), len(second["items"]), second["next"]] == [2, 1, None]


async def test_coverage_as_it_stood(house: House) -> None:
    _, body = await get(house, f"{ONE}/coverage?as_of=2026-07-22T14:35:00%2B08:00&depth=0")
    assert (body["as_of"], body["children"]) == ("2026-07-22T06:35:00.000Z", [])
    assert body["released_at"] == rfc3339(RELEASED)


async def test_failures_are_the_channels_own_added_up(house: House) -> None:
    _, rows = await get(house, f"{ONE}/failures")
    assert rows[0] == {"reason": "unreachable", "count": 3118, "channels": {"sms": 3118}}
    _, channels = await get(house, f"{ONE}/channels")
    assert sum(row["count"] for row in rows) == sum(sum(channel["failed"].values()) for channel in channels)


async def test_an_unchanged_read_is_304(house: House) -> None:
    async with house.ask(ONE) as answer:
        tag = answer.headers["ETag"]
    async with house.ask(ONE, headers={"If-None-Match": f"W/{tag}"}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")
    house.world.rows[ALERT] = {**house.world.rows[ALERT], "state": "expired"}
    async with house.ask(ONE, headers={"If-None-Match": tag}) as answer:
        assert answer.status == 200


async def test_received_bytes_come_back_as_a_file_a_browser_will_not_run(house: House) -> None:
    async with house.ask(f"{ONE}/cap") as answer:
        assert await answer.read() == house.world.raw_bytes
        assert answer.content_type == "application/cap+xml"
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert "sandbox" in answer.headers["Content-Security-Policy"]


async def test_deeds_over_the_api(house: House) -> None:
    for name in ("approve", "stop"):
        status, _ = await get(house, f"/api/v1/alerts/{HELD}/{name}", method="POST", json={"note": "好"})
        assert status == 200
    assert [row[:2] for row in house.world.done] == [("approve", HELD), ("stop", HELD)]


@pytest.mark.parametrize("body", [{"note": 1}, {"kind": "gone"}, {"other": 1}, [], {"note": "x" * 2001}])
async def test_a_wrong_deed_is_422_and_not_done(house: House, body: Any) -> None:
    status, problem = await get(house, f"{ONE}/cancel", method="POST", json=body)
    assert (status, problem["code"]) == (422, "body_invalid")
    assert house.world.done == []


async def test_a_deed_in_another_type_is_415(house: House) -> None:
    status, _ = await get(house, f"{ONE}/cancel", method="POST", data=b"{}", headers={"Content-Type": "text/plain"})
    assert status == 415


@pytest.mark.parametrize(
    ("header", "words"),
    [("", "没有这条预警"), ("en-GB,en;q=0.9,zh;q=0.1", "no such alert"), ("fr, en;q=0.2", "no such")],
)
async def test_problems_speak_the_readers_language(house: House, header: str, words: str) -> None:
    async with house.ask("/api/v1/alerts/nobody", headers={"Accept-Language": header}) as answer:
        problem = await answer.json()
        assert answer.content_type == "application/problem+json"
        assert words in problem["detail"]
        assert problem["request_id"] == answer.headers["X-Request-Id"]
        assert {"type", "title", "status", "detail", "code", "request_id", "findings"} == set(problem)


async def test_unknown_addresses_and_methods(house: House) -> None:
    assert (await get(house, "/api/v1/nothing"))[1]["code"] == "not_found"
    status, problem = await get(house, ONE, method="DELETE")
    assert (status, problem["code"]) == (405, "method_unknown")


async def test_a_bug_is_500_without_its_traceback_and_is_logged_once(house: House) -> None:
    house.world.trouble = RuntimeError("secret 10000001234")
    with structlog.testing.capture_logs() as lines:
        async with house.ask(ONE) as answer:
            text = await answer.text()
    assert answer.status == 500
    assert "secret" not in text
    assert "Traceback" not in text
    assert [line["event"] for line in lines] == ["request failed", "request"]


async def test_the_access_log_names_the_route_and_keeps_no_query(house: House) -> None:
    with structlog.testing.capture_logs() as lines:
        await get(house, "/api/v1/alerts?identifier=hidden")
    assert lines[0]["log_level"] == logging.getLevelName(logging.INFO).lower()
    assert (lines[0]["route"], lines[0]["by"], lines[0]["status"]) == ("/api/v1/alerts", "user:admin", 200)
    assert "hidden" not in str(lines)


async def test_whoami_tells_limits_and_mode(house: House) -> None:
    _, me = await get(house, "/api/v1/whoami", key="key-met")
    assert (me["source"], me["roles"], me["regions"], me["mode"]) == ("tiexi-met", ["source"], ["210106"], "sample")
    assert me["limits"]["body_bytes"] == 4_000_000


async def test_health_and_readiness_need_no_key_and_no_name(house: House) -> None:
    async with house.ask("/healthz", key="", headers={"Host": "10.0.0.7:8080"}) as answer:
        assert (answer.status, (await answer.json())["status"]) == (200, "ok")
    house.world.ready_now = False
    status, body = await get(house, "/readyz", key="")
    assert (status, body["parts"]["store"]["ok"]) == (503, False)


async def test_callbacks_pass_plain_values_both_ways(house: House) -> None:
    headers = {"X-Far": "far"}
    async with house.ask("/callbacks/wechat/in?x=1", method="POST", key="", data=b"<xml/>", headers=headers) as answer:
        assert (answer.status, await answer.text(), answer.headers["X-Far"]) == (200, "success", "far")
    assert house.world.calls == [("wechat", "POST", "/in", {"x": "1"}, b"<xml/>")]
    assert (await get(house, "/callbacks/nobody", method="POST", key=""))[0] == 404


async def test_speech_is_fetched_by_hash_in_ranges(tmp_path: Path) -> None:
    (tmp_path / f"{'a' * 64}.wav").write_bytes(b"RIFF1234")
    (tmp_path / "secret.wav").write_bytes(b"x")
    async with serve(media_dir=tmp_path) as house:
        async with house.ask(f"/api/v1/media/{'a' * 64}.wav", key="", headers={"Range": "bytes=0-3"}) as answer:
            assert (answer.status, await answer.read(), answer.content_type) == (206, b"RIFF", "audio/wav")
        for name in ("secret", "b" * 64, "..%2Fsecret"):
            assert (await get(house, f"/api/v1/media/{name}.wav", key=""))[0] == 404


async def test_metrics_are_the_given_handlers() -> None:
    async def metrics(request: web.Request) -> web.StreamResponse:
        return web.Response(text="tongluo_build_info 1\n")

    async with serve(metrics=metrics) as house, house.ask("/metrics", key="") as answer:
        assert await answer.text() == "tongluo_build_info 1\n"
    async with serve() as house:
        assert (await get(house, "/metrics", key=""))[0] == 404
