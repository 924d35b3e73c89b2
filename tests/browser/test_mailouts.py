"""From a first draft to its release, in Chromium, as somebody who sees the pages for the first time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenVisit
from tests.browser.support import Site
from tests.support.service import SECRET

pytestmark = pytest.mark.browser


async def sign_in(page: Page) -> None:
    await page.goto("/dashboard")
    await page.get_by_label("Shared secret").fill(SECRET)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Mailouts")).to_be_visible()
