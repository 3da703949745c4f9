"""The console's pages as a browser without JavaScript gets them."""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncIterator
from html import unescape

import pytest
from web_data import ALERT, CHANNELS, DRILL, HELD
from web_world import House, serve

from gateway.web import render
from gateway.web.auth import csrf_token
from gateway.web.catalogue import STRINGS
from gateway.web.happenings import REASONS, SENTENCES, sentence

PAGES = [
    "/",
    "/alerts",
    f"/alerts/{ALERT}",
    f"/alerts/{HELD}",
    f"/alerts/{ALERT}/deliveries",
    f"/alerts/{ALERT}/cancel",
    "/sign-in",
]
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> {{7*7}} ${1}"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with serve() as house:
        yield house


async def page(house: House, path: str, session: str = "session-admin") -> str:
    async with house.ask(path, session=session) as answer:
        assert answer.status == 200, path
        return str(await answer.text())


@pytest.mark.parametrize("path", PAGES)
async def test_pages_are_chinese_first_with_an_english_switch(house: House, path: str) -> None:
    chinese = await page(house, path)
    assert '<html lang="zh-CN">' in chinese
    assert re.search(r'<a href="[^"]*lang=en"', chinese)
    async with house.ask(path, session="session-admin", headers={"Cookie": "lang=en"}, params={"lang": "en"}) as answer:
        english = await answer.text()
        assert "lang=en" in answer.headers["Set-Cookie"]
    assert '<html lang="en">' in english


async def test_the_switch_is_remembered(house: House) -> None:
    async with house.ask("/", key="", headers={"Cookie": "tongluo_session=session-admin; lang=en"}) as answer:
        assert "Watch · Tongluo" in await answer.text()


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_has_anything_inline_or_from_elsewhere(house: House, path: str) -> None:
    html = await page(house, path)
    assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=\"/static/)|\son\w+=|javascript:", html)
    assert not re.search(r'(src|href|action)="(?!/|\?|#)', html)


async def test_every_page_of_the_demo_says_so() -> None:
    async with serve(sample_data=True) as house:
        for path in PAGES:
            assert "示例数据" in await page(house, path)
    async with serve(sample_data=False) as house:
        assert "示例数据" not in await page(house, "/")


async def test_live_page_shows_the_same_digits_as_the_api(house: House) -> None:
    html = await page(house, f"/alerts/{ALERT}")
    async with house.ask(f"/api/v1/alerts/{ALERT}/coverage") as answer:
        coverage = await answer.json()
    region = coverage["region"]
    for share in (region["lo"], region["est"], region["hi"]):
        assert f"<strong>{int(share * 1000) / 10:.1f}</strong>" in html
    assert f"{region['gap_people']:,}" in html
    gaps = [row["gap_people"] for row in coverage["children"] if row["est"] is not None]
    shown = [
        int(text.replace(",", "")) for text in re.findall(r'class="number strong" data-label="[^"]*">([\d,]+)<', html)
    ]
    assert shown == sorted(gaps, reverse=True)


async def test_live_page_leads_down_and_up(house: House) -> None:
    assert f'href="/alerts/{ALERT}?region=210106001000"' in await page(house, f"/alerts/{ALERT}")
    html = await page(house, f"/alerts/{ALERT}?region=210106001000")
    path = re.search(r'<nav class="path".*?</nav>', html, re.DOTALL)
    assert path
    assert re.findall(r">([^<>›\s]+)<", path[0]) == ["全部目标区域", "辽宁省", "沈阳市", "铁西区", "昆明湖街道"]
    assert f'href="/alerts/{ALERT}?region=210106" data-up' in path[0]


async def test_fragments_are_the_moving_parts_of_the_page(house: House) -> None:
    whole, parts = await page(house, f"/alerts/{ALERT}"), await page(house, f"/alerts/{ALERT}/fragments?region=")
    assert parts.strip() in whole
    ids = re.findall(r'data-part id="([\w-]+)"', parts)
    assert {"part-head", "part-coverage", "part-regions", "part-curve", "part-channels", "part-map", "part-log"} <= set(
        ids
    )
    assert len(ids) == len(set(ids))


async def test_a_drill_is_marked_and_an_actual_alert_is_not(house: House) -> None:
    drill, actual = await page(house, f"/alerts/{DRILL}"), await page(house, f"/alerts/{ALERT}")
    assert 'body class="exercise"' in drill
    assert "演练,不对公众发布" in drill
    assert "演练,不对公众发布" not in actual


async def test_a_held_alert_says_that_nobody_was_told_and_offers_approval(house: House) -> None:
    html = await page(house, f"/alerts/{HELD}")
    assert "没有收到任何消息" in html
    assert f"/alerts/{HELD}/approve" in html
    assert f"/alerts/{HELD}/approve" not in await page(house, f"/alerts/{HELD}", "session-viewer")


async def test_watch_counts_what_needs_attention(house: House) -> None:
    assert "3 项需要注意" in await page(house, "/")
    for row in CHANNELS:
        assert row["channel"] in await page(house, "/")


@pytest.mark.parametrize("path", PAGES)
async def test_hostile_texts_stay_texts(house: House, path: str) -> None:
    for row in house.world.rows.values():
        for name in ("identifier", "sender", "headline", "event", "event_code", "source", "grade", "msg_type"):
            row[name] = HOSTILE
        row["regions"] = [HOSTILE]
    house.world.hostile = HOSTILE
    html = await page(house, path)
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert not re.search(r"<[^>]*\sonerror=", html)
    if path.startswith("/alerts/0198"):
        assert HOSTILE in unescape(html)


@pytest.mark.parametrize("query", ["region=%22%3E%3Cscript%3E", "lang=%22%3E%3Cscript%3E", "state=%3Cscript%3E"])
async def test_hostile_queries_stay_texts(house: House, query: str) -> None:
    for path in ("/alerts", f"/alerts/{ALERT}/deliveries"):
        async with house.ask(f"{path}?{query}", session="session-admin") as answer:
            assert answer.status in {200, 400}
            assert "<script>" not in await answer.text()


async def test_a_deed_asks_first_and_is_done_by_its_form(house: House) -> None:
    html = await page(house, f"/alerts/{ALERT}/cancel")
    token = re.search(r'name="csrf" value="(\w+)"', html.split("</header>")[1])
    assert token
    assert "424,900" in html
    assert not house.world.done
    form = {"csrf": token[1], "kind": "withdrawn", "note": "误发 <b>", "sure": "yes"}
    path = f"/alerts/{ALERT}/cancel"
    async with house.ask(
        path, method="POST", session="session-admin", data=form, headers={"Origin": house.url}
    ) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, f"/alerts/{ALERT}")
    assert house.world.done == [("cancel withdrawn", ALERT, "user:admin", "误发 <b>")]


@pytest.mark.parametrize(
    ("session", "form", "status"),
    [
        ("session-admin", {"csrf": csrf_token("session-admin")}, 422),
        ("session-admin", {"sure": "yes"}, 403),
        ("session-viewer", {"csrf": csrf_token("session-viewer"), "sure": "yes"}, 403),
        ("", {"sure": "yes"}, 401),
    ],
)
async def test_a_deed_without_tick_token_or_role_is_not_done(
    house: House, session: str, form: dict[str, str], status: int
) -> None:
    for deed in ("cancel", "stop"):
        path = f"/alerts/{ALERT}/{deed}"
        async with house.ask(path, method="POST", key="", session=session, data=form) as answer:
            assert answer.status == status
    assert not house.world.done


async def test_a_problem_is_a_page_for_people(house: House) -> None:
    async with house.ask("/alerts/nobody", session="session-admin") as answer:
        text = await answer.text()
        assert (answer.status, answer.content_type) == (404, "text/html")
        assert "没有这条预警" in text
        assert answer.headers["X-Request-Id"] in text


async def test_the_console_is_light(house: House) -> None:
    sent = await page(house, f"/alerts/{ALERT}")
    for asset in render.look().assets.values():
        sent += asset.content.decode()
    assert len(zlib.compress(sent.encode(), 6)) < 150_000


async def test_files_are_kept_and_their_addresses_change_with_them(house: House) -> None:
    html = await page(house, "/")
    for address in re.findall(r'"(/static/[^"]+)"', html):
        async with house.ask(address, key="") as answer:
            assert (answer.status, "immutable" in answer.headers["Cache-Control"]) == (200, True)
            assert len(address.split("?v=")[1]) == 16
    async with house.ask("/static/../site.py", key="") as answer:
        assert answer.status == 404


def test_every_word_is_there_in_both_languages_with_the_same_places() -> None:
    for key, (zh, en) in {**STRINGS, **SENTENCES, **REASONS}.items():
        assert bool(zh) == bool(en), key
        assert set(re.findall(r"{(\w+)}", zh)) == set(re.findall(r"{(\w+)}", en)), key


def test_templates_use_no_word_that_the_catalogue_lacks() -> None:
    sources = [entry.read_text("utf-8") for entry in render.PAGES.iterdir()]
    used = {key for source in sources for key in re.findall(r"\bt\('([\w.]+)'[,)]", source)}
    assert used
    assert used <= set(STRINGS)


def test_the_log_speaks_and_shows_what_it_does_not_know() -> None:
    assert sentence("goal_met", {"region": "铁西区"}, "zh") == "铁西区 已达标"
    assert sentence("alert_stored", {"why": "draft"}, "zh") == "仅存档,不发送 (草稿)"
    assert sentence("alert_released", {"why": "released"}, "en") == "released"
    assert sentence("new_code", {"n": 1}, "zh") == "new_code n=1"
    assert sentence("channel_up", {"channel": "{0.__class__}"}, "en") == "{0.__class__} works again"
