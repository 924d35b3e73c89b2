"""From a first draft to its release, by somebody who sees the pages for the first time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import OpenVisit
from tests.browser.support import SCRIPT_OR_NOT, Site
from tests.support.service import BEARER, SECRET
from tests.support.waiting import eventually

pytestmark = pytest.mark.browser

READERS = ("winter.ann@example.com", "winter.bob@example.com")


async def signed_in(page: Page) -> None:
    await page.goto("/dashboard")
    await page.get_by_label("Shared secret").fill(SECRET)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Mailouts", exact=True)).to_be_visible()


async def add_readers(site: Site) -> None:
    for email in READERS:
        answer = await site.http.post(
            "/subscribers",
            headers=BEARER,
            json={"email": email, "name": "Ann Winter", "tags": ["winter"]},
        )
        assert answer.status_code in {201, 409}, answer.text  # or the other run added them


async def got(site: Site, subject: str) -> list[str]:
    """Who has a mail of this subject in the sandbox's inbox."""
    mails = [mail for mail in site.sandbox.mails() if mail["subject"] == subject]
    return sorted(address for mail in mails for address in mail["to"])


@pytest.mark.short
async def test_what_is_typed_before_the_script_came_is_saved(site: Site, visit: OpenVisit) -> None:
    tab = await visit(base_url=site.service)
    page = tab.page
    await signed_in(page)
    await page.get_by_role("link", name="New mailout").click()
    await page.get_by_label("Subject", exact=True).fill("Typed early")
    come = asyncio.Event()

    async def late(route: Route) -> None:
        await come.wait()
        await route.continue_()

    await page.route("**/write.js*", late)
    await page.get_by_role("button", name="Start writing").click(no_wait_after=True)
    await page.get_by_label("What you write").fill("It snowed.")
    come.set()
    await expect(page.locator("#saved")).to_contain_text("Saved at")
    await page.reload()
    await expect(page.get_by_label("What you write")).to_have_value("It snowed.")
    assert tab.complaints == []


@pytest.mark.short
async def test_what_nobody_changed_is_not_saved(site: Site, visit: OpenVisit) -> None:
    """Opening the page leaves the version alone, so that another's changes aren't in the way."""
    tab = await visit(base_url=site.service)
    page = tab.page
    await signed_in(page)
    await page.get_by_role("link", name="New mailout").click()
    await page.get_by_label("Subject", exact=True).fill("Looked at")
    await page.get_by_text("Letter", exact=True).click()
    await page.get_by_role("button", name="Start writing").click()
    await expect(page.get_by_label("What you write")).to_be_visible()
    await page.reload()
    await page.clock.install()
    await page.reload()
    await page.clock.run_for(10_000)
    await expect(page.locator("#saved")).to_have_text("")


@SCRIPT_OR_NOT
async def test_a_mailout_is_made_seen_tested_scheduled_and_sent(
    site: Site, visit: OpenVisit, *, javascript: bool
) -> None:
    subject = f"Snow is here ({javascript})"
    await add_readers(site)
    tab = await visit(base_url=site.service, java_script_enabled=javascript)
    page = tab.page
    await signed_in(page)

    await page.get_by_role("link", name="New mailout").click()
    await page.get_by_label("Subject", exact=True).fill("{{ nome }}")
    await page.get_by_text("Letter", exact=True).click()
    await page.get_by_role("button", name="Start writing").click()
    await expect(page.get_by_label("What you write")).to_be_visible()
    await page.get_by_label("What you write").fill("# Hello {{ name }}\n\nIt snowed.")
    if javascript:
        await expect(page.locator("#saved")).to_contain_text("Saved at")
    else:
        await page.get_by_role("button", name="Save draft").click()
    await expect(page.locator("#findings")).to_contain_text("1 thing to put right")
    await page.locator("#findings").get_by_role("link", name="Subject").click()
    await page.get_by_label("Subject", exact=True).fill(subject)
    await page.get_by_role("button", name="Save and go on").click()

    await page.get_by_role("button", name="Add a condition").click()
    await page.get_by_label("Condition 1: what").fill("winter")
    await page.get_by_role("button", name="Save and go on").click()

    await page.get_by_label("To whom").fill("me@example.com")
    await page.get_by_role("button", name="Send the test").click()
    await expect(page.get_by_text("The test is on its way")).to_be_visible()
    await expect(page.get_by_text("unchanged since")).to_be_visible()
    await eventually(lambda: got(site, f"[Test] {subject}"), until=bool)

    await page.get_by_role("link", name="Go on to sending").click()
    await expect(page.locator("#count")).to_contain_text("2")
    await page.get_by_role("link", name="Choose a time").click()
    day = (datetime.now(UTC) + timedelta(days=9)).strftime("%Y-%m-%d")
    await page.get_by_label("Day").fill(day)
    await page.locator("#look").click()
    await page.locator("#do-schedule").click()
    await expect(page.locator(".pill").first).to_have_text("Scheduled")
    await page.get_by_role("button", name="Take it off its schedule").click()

    await page.get_by_role("link", name="Send or schedule").click()
    await page.get_by_role("button", name="Send to 2 people now").click()
    await expect(page.locator(".pill").first).to_have_text("Sent")
    assert await got(site, subject) == list(READERS)

    await page.get_by_role("link", name="Recipients").click()
    await page.get_by_label("Search the addresses").fill("winter.bob")
    await page.keyboard.press("Enter")
    await expect(page.locator(".recipients li")).to_have_count(1)
    assert tab.complaints == []
