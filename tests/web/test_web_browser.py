"""The console in a real browser: sign in by the link, see a number rise, hear when the gateway is gone, act by keyboard alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright, expect
from web_data import ALERT, TICKET
from web_world import House, World, serve

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 20_000


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        if os.environ.get("STRICT") == "1":
            pytest.fail("Chromium is not installed, and STRICT=1 allows no skip")
        pytest.skip("Chromium is not installed")
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        await browser.close()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with serve(World(), heartbeat=0.5) as house:
        yield house


async def test_signs_in_by_the_link_and_watches_a_number_rise(house: House, browser: Browser) -> None:
    page = await browser.new_page(locale="zh-CN")
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    await page.goto(f"{house.url}/sign-in?ticket={TICKET}")
    await page.get_by_role("button", name="登录本浏览器").click()
    await page.get_by_role("link", name="铁西区气象局发布暴雨橙色预警").first.click()
    estimate = page.locator("#part-coverage .figure.main strong")
    await expect(estimate).to_have_text("88.4", timeout=PATIENCE)
    await expect(page.locator("#pulse")).to_have_attribute("data-state", "on", timeout=PATIENCE)
    await page.locator("#part-curve details summary").click()
    house.world.estimate = 0.9357
    house.world.happen("coverage", {"changed": [{"id": "210106", "est": 0.9357}]})
    await expect(estimate).to_have_text("93.5", timeout=PATIENCE)
    await expect(page.locator("#part-curve details")).to_have_attribute("open", "", timeout=PATIENCE)
    assert faults == []


async def test_says_so_when_the_gateway_is_gone_and_resumes_without_a_reload(browser: Browser) -> None:
    world = World()
    async with serve(world, heartbeat=0.5) as house:
        page = await browser.new_page(locale="zh-CN")
        await page.context.add_cookies([{"name": "tongluo_session", "value": "session-admin", "url": house.url}])
        await page.goto(f"{house.url}/alerts/{ALERT}")
        pulse = page.locator("#pulse")
        await expect(pulse).to_have_attribute("data-state", "on", timeout=PATIENCE)
        port = int(house.url.rsplit(":", 1)[1])
    await expect(pulse).to_have_attribute("data-state", "away", timeout=PATIENCE)
    world.estimate = 0.9101
    async with serve(world, port=port, heartbeat=0.5):
        await expect(pulse).to_have_attribute("data-state", "on", timeout=PATIENCE)
        await expect(page.locator("#part-coverage .figure.main strong")).to_have_text("91.0", timeout=PATIENCE)


async def test_cancels_by_keyboard_alone_and_never_by_one_key(house: House, browser: Browser) -> None:
    page = await browser.new_page(locale="zh-CN")
    await page.context.add_cookies([{"name": "tongluo_session", "value": "session-admin", "url": house.url}])
    await page.goto(f"{house.url}/alerts/{ALERT}")
    for key in "abcdefhilnoqrstvxyzCS":
        await page.keyboard.press(key)
    assert page.url.endswith(ALERT)
    await page.get_by_role("link", name="解除…").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cancel")
    await page.get_by_label("撤回更正").focus()
    await page.keyboard.press("Space")
    await page.get_by_label("我已核对").focus()
    await page.keyboard.press("Space")
    await page.get_by_role("button", name="确认解除").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/alerts/{ALERT}")
    assert house.world.done == [("cancel withdrawn", ALERT, "user:admin", "")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_fits_a_phone_and_drills_down_by_touch(house: House, browser: Browser, scheme: str) -> None:
    dark = scheme == "dark"
    context = await browser.new_context(
        viewport={"width": 360, "height": 740}, color_scheme="dark" if dark else "light", locale="zh-CN"
    )
    await context.add_cookies([{"name": "tongluo_session", "value": "session-admin", "url": house.url}])
    page = await context.new_page()
    for path in ("/", f"/alerts/{ALERT}", "/alerts", f"/alerts/{ALERT}/cancel", f"/alerts/{ALERT}/deliveries"):
        await page.goto(house.url + path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360, path
    await page.goto(f"{house.url}/alerts/{ALERT}")
    await page.locator("#regions [data-row]").first.click()
    await expect(page.locator("nav.path strong")).to_have_text("大青中朝友谊街道", timeout=PATIENCE)
    await context.close()
