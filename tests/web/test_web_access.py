"""Who may come in, from where, how fast, and how a browser signs in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from web_data import ALERT, HELD, TICKET
from web_world import House, serve

from gateway.web import Rates
from gateway.web.auth import csrf_token

ALERTS = "/api/v1/alerts"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with serve() as house:
        yield house


async def code(house: House, path: str, **how: Any) -> tuple[int, str]:
    async with house.ask(path, **how) as answer:
        return answer.status, (await answer.json()).get("code", "")


async def test_without_a_key_the_answer_says_how_to_bring_one(house: House) -> None:
    async with house.ask(ALERTS, key="") as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert (await answer.json())["code"] == "key_missing"


async def test_a_wrong_key_is_401(house: House) -> None:
    assert await code(house, ALERTS, key="nonsense") == (401, "key_unknown")


@pytest.mark.parametrize("headers", [{"X-API-Key": "key-view"}, {"Authorization": "bearer  key-view"}])
async def test_both_ways_of_bringing_a_key_work(house: House, headers: dict[str, str]) -> None:
    assert (await code(house, ALERTS, key="", headers=headers))[0] == 200


async def test_many_wrong_keys_from_one_address_have_to_wait_while_right_ones_pass(house: House) -> None:
    for _ in range(10):
        assert (await code(house, ALERTS, key="guess"))[0] == 401
    async with house.ask(ALERTS, key="guess") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
    assert (await code(house, ALERTS, key="key-view"))[0] == 200


async def test_one_key_that_asks_too_fast_gets_429_and_others_do_not() -> None:
    async with serve(rates=Rates(reads=3, posts=3, acts=3)) as house:
        assert [(await code(house, ALERTS, key="key-view"))[0] for _ in range(4)] == [200, 200, 200, 429]
        async with house.ask(ALERTS, key="key-view") as answer:
            assert int(answer.headers["Retry-After"]) >= 1
        assert (await code(house, ALERTS, key="key-admin"))[0] == 200
        assert (await code(house, f"{ALERTS}/{ALERT}/cancel", method="POST"))[0] == 200


async def test_roles_are_checked(house: House) -> None:
    assert await code(house, f"{ALERTS}/{HELD}/approve", method="POST", key="key-view") == (403, "role_denied")
    assert await code(house, ALERTS, method="POST", key="key-view", data=b"<a/>") == (403, "role_denied")
    assert not house.world.done
    assert not house.world.accepted


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "evil.example:80"]
)
async def test_a_foreign_host_is_400(house: House, host: str) -> None:
    assert await code(house, ALERTS, headers={"Host": host}) == (400, "host_refused")
    async with house.ask("/sign-in", headers={"Host": host}) as answer:
        assert answer.status == 400
        assert "evil.example" not in await answer.text()


async def test_configured_hosts_are_served() -> None:
    async with serve(allowed_hosts=frozenset({"gong.example"})) as house:
        for host in ("gong.example", "GONG.example:8080", "localhost:1", "[::1]:8080", "[::1]"):
            assert (await code(house, ALERTS, headers={"Host": host}))[0] == 200


async def test_every_answer_carries_the_protective_headers(house: House) -> None:
    for path in ("/", "/nothing", "/healthz", ALERTS, "/static/console.css", "/sign-in"):
        async with house.ask(path, session="session-admin") as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert len(answer.headers["X-Request-Id"]) == 32
            assert "aiohttp" not in answer.headers["Server"]


async def test_opening_the_link_does_not_spend_it_and_the_button_does(house: House) -> None:
    for _ in range(2):
        async with house.ask(f"/sign-in?ticket={TICKET}", key="") as answer:
            text = await answer.text()
            assert (answer.status, f'value="{TICKET}"' in text) == (200, True)
            assert f"/sign-in?ticket={TICKET}&amp;lang=en" in text
    form = {"ticket": TICKET}
    async with house.ask("/sign-in", method="POST", key="", data=form, headers={"Origin": house.url}) as answer:
        cookie = answer.headers["Set-Cookie"]
        assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    token = cookie.split("=", 1)[1].split(";")[0]
    async with house.ask("/", session=token) as answer:
        assert answer.status == 200
    async with house.ask("/sign-in", method="POST", key="", data=form) as answer:
        assert (answer.status, "ticket_spent" in await answer.text()) == (403, True)


async def test_sign_in_posted_from_elsewhere_is_refused(house: House) -> None:
    form, headers = {"ticket": TICKET}, {"Origin": "http://evil.example"}
    async with house.ask("/sign-in", method="POST", key="", data=form, headers=headers) as answer:
        assert answer.status == 403
    assert TICKET in house.world.tickets


async def test_who_is_not_signed_in_learns_how(house: House) -> None:
    async with house.ask("/", key="") as answer:
        text = await answer.text()
        assert answer.status == 401
        assert "tongluo users link" in text
        assert "session_ended" not in text
    async with house.ask("/", session="old") as answer:
        assert (answer.status, "session_ended" in await answer.text()) == (401, True)


async def test_signing_out_forgets_the_session(house: House) -> None:
    form = {"csrf": csrf_token("session-admin")}
    async with house.ask("/sign-out", method="POST", session="session-admin", data=form) as answer:
        assert answer.status == 303
    assert "session-admin" not in house.world.sessions


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-CSRF-Token": "guess"},
        {"X-CSRF-Token": csrf_token("session-viewer")},
        {"X-CSRF-Token": csrf_token("session-admin"), "Origin": "http://evil.example"},
        {"X-CSRF-Token": csrf_token("session-admin"), "Origin": "null"},
        {"X-CSRF-Token": csrf_token("session-admin"), "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_a_forged_write_by_cookie_changes_nothing(house: House, headers: dict[str, str]) -> None:
    path = f"{ALERTS}/{ALERT}/cancel"
    assert await code(house, path, method="POST", session="session-admin", headers=headers) == (403, "request_foreign")
    assert house.world.done == []


async def test_a_write_by_cookie_with_its_token_is_done(house: House) -> None:
    headers = {"X-CSRF-Token": csrf_token("session-admin"), "Origin": house.url}
    path = f"{ALERTS}/{ALERT}/cancel"
    assert (await code(house, path, method="POST", session="session-admin", headers=headers))[0] == 200
    assert house.world.done == [("cancel lifted", ALERT, "user:admin", "")]


async def test_unlike_a_cookie_a_key_needs_no_token(house: House) -> None:
    act = {"kind": "withdrawn", "note": "误发"}
    assert (await code(house, f"{ALERTS}/{ALERT}/cancel", method="POST", json=act))[0] == 200
    assert house.world.done == [("cancel withdrawn", ALERT, "user:admin", "误发")]
