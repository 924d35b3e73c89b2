"""The unsubscribe pages as a recipient meets them."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from uuid import UUID, uuid4

import pytest
from playwright.async_api import expect

from app.domain.tokens import UnsubscribeTokens
from tests.browser.conftest import OpenVisit
from tests.browser.support import LOOKS, PHONE_OR_DESKTOP, SCHEMES, Site
from tests.support.factories import Arrange
from tests.support.service import UNSUBSCRIBE_SECRET

pytestmark = pytest.mark.browser

TOKENS = UnsubscribeTokens([UNSUBSCRIBE_SECRET])


@dataclass(frozen=True)
class Reader:
    """A subscriber with the link of a mail."""

    id: UUID
    link: str
    test_link: str
    arrange: Arrange

    async def status(self) -> str:
        found: str = await self.arrange.one("select status from subscribers where id = %s", self.id)
        return found


@pytest.fixture
async def reader(site: Site, arrange: Arrange) -> Reader:
    subscriber = await arrange.subscriber()
    base = f"{site.service}/unsubscribe?token="
    mailout = uuid4()
    return Reader(
        subscriber,
        base + TOKENS.sign(subscriber, mailout),
        base + TOKENS.sign(subscriber, mailout, test=True),
        arrange,
    )


@pytest.mark.parametrize("javascript", [True, False])
async def test_one_button_unsubscribes(visit: OpenVisit, reader: Reader, javascript: bool) -> None:
    """Looking changes nothing; the one button does it, with JavaScript and without."""
    bystander = await reader.arrange.subscriber()
    page = (await visit(java_script_enabled=javascript)).page
    await page.goto(reader.link)
    assert await reader.status() == "active"

    buttons = page.locator("a, button, input, select")
    await expect(buttons).to_have_count(1)
    await buttons.click()

    await expect(page).to_have_title("You are unsubscribed – Example Org")
    await expect(page.get_by_role("heading")).to_have_text("You are unsubscribed")
    assert await reader.status() == "unsubscribed"
    others = await reader.arrange.one("select status from subscribers where id = %s", bystander)
    assert others == "active"


async def test_the_keyboard_is_enough(visit: OpenVisit, reader: Reader) -> None:
    page = (await visit()).page
    await page.goto(reader.link)
    await page.keyboard.press("Tab")
    button = page.get_by_role("button", name="Unsubscribe")
    await expect(button).to_be_focused()
    await expect(button).to_have_css("outline-style", "solid")
    await expect(button).to_have_css("outline-width", "3px")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading")).to_have_text("You are unsubscribed")
    assert await reader.status() == "unsubscribed"


async def test_going_back_shows_what_is_so_now(visit: OpenVisit, reader: Reader) -> None:
    """The page isn't kept by the browser, and the link says later on that it is done."""
    page = (await visit()).page
    await page.goto(reader.link)
    await page.get_by_role("button").click()
    await expect(page.get_by_role("heading")).to_have_text("You are unsubscribed")
    await page.go_back()
    await expect(page.get_by_role("heading")).to_have_text("You are unsubscribed")
    await expect(page.get_by_role("button")).to_have_count(0)


@pytest.mark.short
async def test_the_link_of_a_test_mail_unsubscribes_nobody(
    visit: OpenVisit, reader: Reader
) -> None:
    page = (await visit()).page
    await page.goto(reader.test_link)
    await expect(page.get_by_role("main")).to_contain_text("test email")
    await page.get_by_role("button", name="Unsubscribe").click()
    await expect(page.get_by_role("heading")).to_have_text("The test worked")
    assert await reader.status() == "active"


async def test_a_damaged_link_says_what_to_do(visit: OpenVisit, reader: Reader) -> None:
    page = (await visit()).page
    answer = await page.goto(reader.link[:-1])
    assert answer is not None
    assert answer.status == HTTPStatus.BAD_REQUEST
    await expect(page.get_by_role("heading")).to_have_text("This link does not work")
    await expect(page.get_by_role("main")).to_contain_text("reply to that email")
    await expect(page.get_by_role("button")).to_have_count(0)


@PHONE_OR_DESKTOP
@pytest.mark.parametrize("kind", ["asks", "done", "done before", "test", "damaged"])
async def test_every_page_is_legible_and_keeps_to_itself(
    visit: OpenVisit, site: Site, reader: Reader, kind: str, look: str
) -> None:
    """On each screen: readable, usable, no request to elsewhere, no complaint of the browser."""
    if kind == "done before":
        await reader.arrange.sql.execute(
            "update subscribers set status = 'unsubscribed' where id = %s", [reader.id]
        )
    seen = await visit(**LOOKS[look])
    addresses = {"test": reader.test_link, "damaged": reader.link[:-1]}
    await seen.page.goto(addresses.get(kind, reader.link))
    if kind == "done":
        await seen.page.get_by_role("button").click()
        await expect(seen.page.get_by_role("heading")).to_have_text("You are unsubscribed")

    for scheme, background in zip(SCHEMES, ("rgb(244, 245, 246)", "rgb(20, 23, 26)"), strict=True):
        await seen.page.emulate_media(color_scheme=scheme)
        assert await seen.problems(contrast_alone=scheme == "dark") == [], scheme
        await expect(seen.page.locator("body")).to_have_css("background-color", background)
    assert seen.foreign(site.service) == []
    # Chromium reports the answer 400 itself there.
    assert [text for text in seen.complaints if "status of 400" not in text] == []
