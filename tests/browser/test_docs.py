"""`/docs`: the API's description as a page, read and tried."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenVisit
from tests.browser.support import Site, judge_by_axe
from tests.support.service import SECRET

pytestmark = pytest.mark.browser

PICTURES = os.environ.get("PYTEST_DASHBOARD_PICTURES")


async def test_an_operation_is_read_and_tried_with_a_credential(
    visit: OpenVisit, site: Site
) -> None:
    tab = await visit()
    page = tab.page
    await page.goto(f"{site.service}/docs")
    keys = page.locator("#get-keys")
    await keys.locator("summary").click()
    await keys.get_by_role("button", name="Send GET").click()
    await expect(keys.locator(".outcome")).to_contain_text("401")
    tab.complaints.clear()  # of that

    await page.get_by_label("Shared secret or API key").fill(SECRET)
    await page.get_by_role("button", name="Authorize").click()
    await expect(page.locator("#authorized")).to_contain_text("Authorized")
    await keys.get_by_role("button", name="Send GET").click()
    await expect(keys.locator(".outcome")).to_contain_text("200")
    await expect(keys.locator(".answer")).to_contain_text('"items"')
    await keys.get_by_role("link", name="KeyList").click()
    await expect(page.locator("#schema-KeyList")).to_have_attribute("open", "")
    assert SECRET not in page.url + await page.content()
    assert tab.foreign(site.service) == [] == tab.complaints


@pytest.mark.short
@pytest.mark.parametrize(
    ("width", "scheme"), [(390, "dark"), pytest.param(1280, "light", marks=pytest.mark.short)]
)
async def test_it_is_for_eyes_fingers_and_screen_readers(
    visit: OpenVisit, site: Site, width: int, scheme: str
) -> None:
    tab = await visit(viewport={"width": width, "height": 844}, color_scheme=scheme)
    await tab.page.goto(f"{site.service}/docs#post-mailouts-mailout_id-schedule")
    await tab.page.locator("#schema-Mailout summary").click()
    assert await tab.problems() == []
    await judge_by_axe(tab)
    if PICTURES:
        await tab.page.screenshot(path=Path(PICTURES) / f"docs-{width}-{scheme}.png")
