"""The whole of it, as a duty officer sees it: sign in by the link, post an alert, watch a number rise in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from messages import area, cap, info
from playwright.async_api import Browser, async_playwright, expect

from gateway.rules.measuring import floor_display
from gateway.testing.hamlet import QINGYUAN
from gateway.testing.town import town

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
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


async def test_sign_in_post_and_watch_coverage_rise(tmp_path: Path, browser: Browser) -> None:
    async with town(tmp_path, "sms", "speakers") as it:
        it.far["sms"].set_faults("throttle")
        page = await browser.new_page(locale="zh-CN")
        await page.goto(await it.gateway.sign_in_link())
        await page.get_by_role("button").first.click()
        alert = await it.post(cap(it, info(it, area(QINGYUAN), minutes=60)))
        await page.goto(f"{it.gateway.url}/alerts/{alert}")
        await expect(page.locator("#pulse")).to_have_attribute("data-state", "on", timeout=PATIENCE)
        receipted = page.locator("#part-coverage .figure strong").nth(1)
        await expect(receipted).to_have_text("0.0", timeout=PATIENCE)
        it.far["sms"].set_faults("")

        async def risen() -> bool:
            await it.forward(minutes=0.2)
            return await receipted.inner_text() not in ("", "–", "0.0")

        await it.until(risen, "the page's receipted share rises without a reload")
        shown = (await it.coverage(alert))["region"]
        await expect(receipted).to_have_text(floor_display(shown["lo"]), timeout=PATIENCE)
