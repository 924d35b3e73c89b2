"""Signing up, and a click by mistake, as a reader meets them."""

from __future__ import annotations

import os
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from app.domain.tokens import UnsubscribeTokens
from tests.browser.conftest import OpenVisit
from tests.browser.support import LOOKS, PHONE_OR_DESKTOP, SCHEMES, Site, Visit
from tests.support.factories import Arrange
from tests.support.service import UNSUBSCRIBE_SECRET
from tests.support.signup import confirmation_mail, link_to

pytestmark = pytest.mark.browser

AXE = Axe()
PICTURES = os.environ.get("PYTEST_DASHBOARD_PICTURES")


def someone() -> str:
    return f"{uuid4().hex}@example.com"


async def status(arrange: Arrange, email: str) -> Any:
    return await arrange.one("select status from subscribers where address = %s", email)


async def send_form(page: Page, email: str) -> None:
    await page.get_by_label("Email address").fill(email)
    await page.get_by_role("button", name="Sign up").click()
    await expect(page.get_by_role("heading")).to_contain_text("look into your inbox")


@pytest.mark.short
async def test_the_whole_way_by_keyboard_and_without_script(
    visit: OpenVisit, site: Site, arrange: Arrange
) -> None:
    email = someone()
    page = (await visit(java_script_enabled=False)).page
    await page.goto(f"{site.service}/subscribe?tag=news&tag=unknown")
    for text in (email, "Ann Lee"):
        await page.keyboard.press("Tab")
        await page.keyboard.type(text)
    await page.keyboard.press("Tab")  # over the trap
    button = page.get_by_role("button", name="Sign up")
    await expect(button).to_be_focused()
    await expect(button).to_have_css("outline-width", "3px")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("main")).to_contain_text(f"An email to {email} is on its way.")
    assert await status(arrange, email) == "pending"

    await page.goto(site.service + await link_to(site.sandbox, email))
    await expect(page.get_by_role("main")).to_contain_text(email)
    assert await status(arrange, email) == "pending"
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading")).to_have_text("You are on the list")
    found = await arrange.sql.execute(
        "select status, name, tags, consent->>'page' as page from subscribers where address = %s",
        [email],
    )
    assert await found.fetchone() == {
        "status": "active", "name": "Ann Lee", "tags": ["news"],
        "page": f"{site.service}/subscribe",
    }  # fmt: skip
    await page.go_back()
    await expect(page.get_by_role("heading")).to_have_text("You are on the list")


async def test_the_form_that_is_to_be_pasted_works_on_another_site(
    visit: OpenVisit, site: Site, arrange: Arrange
) -> None:
    email = someone()
    page = (await visit()).page
    await page.goto(f"{site.service}/subscribe?tag=news")
    await page.get_by_text("Put this form on it").click()
    form = await page.locator("pre").inner_text()
    await page.goto("about:blank")
    await page.set_content(f"<!doctype html><title>Shop</title><main>{form}</main>")
    await expect(page.get_by_label("Leave this empty")).not_to_be_in_viewport()
    await page.get_by_label("Name (optional)").fill("Ann")
    await send_form(page, email)
    assert await arrange.one("select tags from subscribers where address = %s", email) == ["news"]


async def test_a_misspelt_address_is_told_beside_its_field(visit: OpenVisit, site: Site) -> None:
    page = (await visit()).page
    await page.goto(f"{site.service}/subscribe")
    await page.get_by_label("Name").fill("Ann")
    await page.get_by_label("Email address").fill("ann@localhost")
    await page.get_by_role("button", name="Sign up").click()
    field = page.get_by_label("Email address")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_accessible_description(
        "This mail address doesn't look right: the part after the @ is not a valid domain."
    )
    await expect(field).to_have_value("ann@localhost")
    await expect(field).to_be_focused()
    await expect(page.get_by_label("Name")).to_have_value("Ann")


async def test_a_click_by_mistake_is_taken_back(
    visit: OpenVisit, site: Site, arrange: Arrange
) -> None:
    email = someone()
    reader = await arrange.subscriber(email)
    token = UnsubscribeTokens([UNSUBSCRIBE_SECRET]).sign(reader, uuid4())
    page = (await visit(java_script_enabled=False)).page
    await page.goto(f"{site.service}/unsubscribe?token={token}")
    await page.get_by_role("button", name="Unsubscribe").click()
    assert await status(arrange, email) == "unsubscribed"
    await page.get_by_role("button", name="I clicked by mistake").click()
    await expect(page.get_by_role("heading")).to_have_text("You are back")
    assert await status(arrange, email) == "active"


async def judge(seen: Visit, site: Site, name: str, look: str) -> None:
    """Nothing is wrong for eyes, fingers and screen readers, in both schemes."""
    for scheme in SCHEMES:
        await seen.page.emulate_media(color_scheme=scheme)
        assert await seen.problems(contrast_alone=scheme == "dark") == [], (name, scheme)
        if scheme == "light":  # the contrast of both is among the problems above
            await seen.page.evaluate(AXE.axe_script)
            run = (  # `problems` measures the contrast more strictly, and of both schemes
                "axe.run({resultTypes: ['violations'], rules: {'color-contrast': {enabled: false}}"
                "}).then(results => results.violations)"
            )
            found = await seen.page.evaluate(run)
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], (name, scheme)
        if PICTURES:
            path = Path(PICTURES) / f"signup-{name}-{look}-{scheme}.png"
            await seen.page.screenshot(path=str(path), full_page=True)
    assert seen.foreign(site.service) == []
    # Chromium reports the answers 400, 422 and 429 itself.
    assert [text for text in seen.complaints if "the server responded" not in text] == []


@PHONE_OR_DESKTOP
async def test_every_page_is_legible_and_keeps_to_itself(
    visit: OpenVisit, site: Site, arrange: Arrange, look: str
) -> None:
    seen = await visit(**LOOKS[look])
    page, email = seen.page, someone()
    await page.goto(f"{site.service}/subscribe")
    await judge(seen, site, "form", look)
    await page.get_by_text("Put this form on it").click()
    await judge(seen, site, "paste", look)
    await page.get_by_label("Email address").fill("ann@localhost")
    await page.get_by_role("button", name="Sign up").click()
    await judge(seen, site, "error", look)
    await send_form(page, email)
    await judge(seen, site, "asked", look)
    mail = await confirmation_mail(site.sandbox, email)
    link = await link_to(site.sandbox, email)
    await page.goto(site.service + link)
    await judge(seen, site, "confirm", look)
    await page.get_by_role("button", name="Confirm").click()
    await judge(seen, site, "confirmed", look)

    reader = await arrange.one("select id from subscribers where address = %s", email)
    token = UnsubscribeTokens([UNSUBSCRIBE_SECRET]).sign(reader, uuid4())
    await page.goto(f"{site.service}/unsubscribe?token={token}")
    await page.get_by_role("button").click()
    await judge(seen, site, "unsubscribed", look)
    await page.get_by_role("button", name="I clicked by mistake").click()
    await judge(seen, site, "back", look)
    await arrange.sql.execute(
        "update subscribers set status = 'complained' where id = %s", [reader]
    )
    await page.goto(site.service + link)
    await judge(seen, site, "used", look)
    answer = await page.goto(f"{site.service}/confirm?token=x")
    assert answer
    assert answer.status == HTTPStatus.BAD_REQUEST
    await judge(seen, site, "invalid", look)

    await arrange.sql.execute("update signup_clients set tries = 1000")
    await page.goto(f"{site.service}/subscribe")
    await page.get_by_label("Email address").fill(email)
    await page.get_by_role("button", name="Sign up").click()
    await expect(page.get_by_role("heading")).to_have_text("Please try again later")
    await judge(seen, site, "many", look)
    await arrange.sql.execute("delete from signup_clients")

    if PICTURES:
        reading = (await visit(**LOOKS[look])).page
        await reading.set_content(mail["html"])
        for scheme in SCHEMES:
            await reading.emulate_media(color_scheme=scheme)
            path = Path(PICTURES) / f"signup-mail-{look}-{scheme}.png"
            await reading.screenshot(path=str(path), full_page=True)
