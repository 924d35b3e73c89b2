"""The preview of a mail as its author meets it: in each look, live, whatever the mail tries."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import FrameLocator, Page, expect

from tests.browser.conftest import OpenVisit
from tests.browser.support import LOOKS, SCHEMES, Site
from tests.support.factories import Arrange
from tests.support.service import SECRET
from tests.support.waiting import eventually

pytestmark = pytest.mark.browser

SENT_AT = datetime(2026, 11, 20, tzinfo=UTC)
HOSTILE = (Path(__file__).parent / "hostile.html").read_text("utf-8")
PICTURES = os.environ.get("PYTEST_DASHBOARD_PICTURES")
READ: Literal["domcontentloaded"] = "domcontentloaded"
"""How far a page is waited for: where its frame refuses what a mail asks for, Chromium on a busy
machine sometimes never tells that all of it has loaded."""

LETTER = """\
<style>
.card { background: #ffffff; color: #111111; padding: 24px }
@media (prefers-color-scheme: dark) { .card { background: #101010; color: #eeeeee } }
@media (max-width: 480px) { h1 { font-size: 20px } }
</style>
<div class="card"><h1>Hello {{ name | default: "you" }}</h1>
<p>There is news from the shop, and a walk through the harbour on Sunday.</p>
<p>{{ fields.city }} is where we meet. <a href="https://shop.example/">To the shop</a></p></div>
"""


async def signed_in(visit: OpenVisit, site: Site, path: str, **settings: Any) -> Page:
    page = (await visit(**settings)).page
    await page.goto(f"{site.service}/dashboard/login?next={path}")
    await page.get_by_label("Shared secret").fill(SECRET)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"**{path}", wait_until=READ)
    return page


def mail_in(page: Page | FrameLocator) -> FrameLocator:
    return page.frame_locator("iframe.mail")


async def sees(mail: FrameLocator, question: str) -> Any:
    return await mail.locator("body").evaluate(f"() => {question}")


def paths(mailout: UUID) -> tuple[str, str]:
    there = f"/dashboard/mailouts/{mailout}"
    return f"{there}/preview", f"{there}/edit"


async def test_a_hostile_mail_does_nothing(
    visit: OpenVisit, site: Site, arrange: Arrange, other_origin: tuple[str, list[str]]
) -> None:
    """No script runs, nothing is loaded, and no click leads anywhere; alone, beside the form, and
    with badges at its links."""
    elsewhere, asked = other_origin
    content = HOSTILE.replace("{elsewhere}", elsewhere)
    bare = await visit(new=True)
    await bare.page.set_content(content, wait_until="commit")  # where nothing holds it back

    async def harm() -> set[str]:
        return set(asked)

    await eventually(harm, until={"/image", "/script", "/onload", "/refresh"}.issubset)
    await bare.page.close()
    asked.clear()

    # Without what no mail may have, which is refused; the frame has to hold the rest.
    content = re.sub(r"<meta http-equiv=.*|.*javascript:.*", "", content)
    mailout = await arrange.mailout("draft", subject="</title><script>", body_html=content)
    sent = await arrange.mailout("sent", body_html=content, tracking=True, started_at=SENT_AT)
    alone, beside = paths(mailout)
    page = await signed_in(visit, site, alone)
    for path in (alone, beside, f"/dashboard/mailouts/{sent}/engagement/links"):
        await page.goto(f"{site.service}{path}", wait_until=READ)
        around = page.frame_locator(".preview-frame") if path == beside else page
        mail = mail_in(around)
        await expect(mail.get_by_role("heading", name="You have won")).to_be_visible()
        # By keyboard: how a frame in a frame has scrolled is no matter to it.
        await mail.get_by_role("button", name="Claim it").press("Enter")
        await expect(mail.get_by_role("heading", name="You have won")).to_be_visible()
        await page.wait_for_load_state("networkidle")
        assert await sees(mail, "self.origin") == "null"
        assert page.url == f"{site.service}{path}"
        await mail.get_by_role("link", name="Claim it there").press("Enter", no_wait_after=True)
        await page.wait_for_load_state("networkidle")
        assert page.url == f"{site.service}{path}"
        assert "taken over" not in await page.title()
    assert asked == []

    await page.goto(f"{site.service}{alone}?preview_pictures=yes", wait_until=READ)
    await eventually(harm, until=lambda seen: "/image" in seen)
    await page.wait_for_load_state("networkidle")
    # What a browser takes for pictures, and nothing else.
    pictures = {"/image", "/background", "/svg", "/preload", "/poster", "/prefetch"}
    assert set(asked) <= pictures


@pytest.mark.short
async def test_it_is_seen_as_on_each_device(visit: OpenVisit, site: Site, arrange: Arrange) -> None:
    """Wide and narrow, light and dark are what the mail's own rules are asked for."""
    await arrange.subscriber(name="Ann", fields={"city": "Bonn"})
    mailout = await arrange.mailout("draft", subject="For {{ name }}", body_html=LETTER)
    page = await signed_in(visit, site, paths(mailout)[0])
    await page.emulate_media(color_scheme="null")  # else it holds in every frame
    mail = mail_in(page)
    size = "getComputedStyle(document.querySelector('h1')).fontSize"
    colour = "getComputedStyle(document.querySelector('.card')).backgroundColor"
    width = "innerWidth"
    await expect(mail.get_by_role("heading", name="Hello")).to_be_visible()
    assert await sees(mail, width) >= 700
    assert await sees(mail, colour) == "rgb(255, 255, 255)"
    await page.get_by_label("Dark", exact=True).check()
    assert await sees(mail, colour) == "rgb(16, 16, 16)"
    await page.get_by_label("Phone", exact=True).check()
    assert await sees(mail, width) == 390
    assert await sees(mail, size) == "20px"
    await page.get_by_label("Light", exact=True).check()
    assert await sees(mail, colour) == "rgb(255, 255, 255)"
    await page.get_by_label("Text", exact=True).check()
    await expect(page.locator(".mailtext")).to_contain_text("a walk through the harbour")
    await expect(page.locator("iframe.mail")).to_be_hidden()


async def test_it_follows_what_is_typed(visit: OpenVisit, site: Site, arrange: Arrange) -> None:
    """Before it is saved, and in the look that was chosen."""
    mailout = await arrange.mailout("draft", subject="Stored", body_html="<h1>Stored</h1>")
    page = await signed_in(visit, site, paths(mailout)[1])
    around = page.frame_locator(".preview-frame")
    await expect(mail_in(around).get_by_role("heading", name="Stored")).to_be_visible()
    await around.get_by_label("Phone", exact=True).check()
    await page.locator("#body").fill("<h1>Typed just now</h1>")
    await expect(mail_in(around).get_by_role("heading", name="Typed just now")).to_be_visible()
    await expect(around.get_by_label("Phone")).to_be_checked()
    await page.locator("#body").fill("{% for %}")
    await expect(around.get_by_role("alert")).to_contain_text("Text, line 1")
    assert "preview" not in page.url


@pytest.mark.short
async def test_without_script_its_button_shows_what_is_typed(
    visit: OpenVisit, site: Site, arrange: Arrange
) -> None:
    await arrange.subscriber("worst@example.com")
    mailout = await arrange.mailout("draft", body_html="<h1>Stored</h1>")
    page = await signed_in(visit, site, paths(mailout)[1], java_script_enabled=False)
    around = page.frame_locator(".preview-frame")
    await page.locator("#body").fill("<h1>Typed</h1>")
    await page.get_by_label("Seen by").select_option("chosen")
    await page.get_by_label("Address of the reader").fill("worst@example.com")
    await page.get_by_role("button", name="Show").click()
    await expect(mail_in(around).get_by_role("heading", name="Typed")).to_be_visible()
    await expect(around.locator(".mailhead")).to_contain_text("worst@example.com")
    assert await arrange.one("select body_html from mailouts where id = %s", mailout) == (
        "<h1>Stored</h1>"
    )


@pytest.mark.short  # the dashboard's own tests judge the page of a draft
@pytest.mark.parametrize("look", LOOKS)
async def test_its_page_is_legible(
    visit: OpenVisit, site: Site, arrange: Arrange, look: str
) -> None:
    await arrange.subscriber(name="Ann", fields={"city": "Bonn"})
    mailout = await arrange.mailout(
        "draft", subject="A walk through the harbour, {{ name }}", body_html=LETTER
    )
    for path in paths(mailout):
        page = await signed_in(visit, site, path, **LOOKS[look])
        await page.wait_for_load_state("networkidle")
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme)
            if PICTURES:
                name = f"{path.rsplit('/', 1)[1]}-{look}-{scheme}.png"
                await page.screenshot(path=Path(PICTURES) / name, full_page=True)
            results = await Axe().run(page, options={"iframes": False})
            serious = [
                (found["id"], found["nodes"][0]["html"])
                for found in results.response["violations"]
                if found["impact"] in {"serious", "critical"}
            ]
            assert serious == [], (path, scheme)
            if path.endswith("preview"):
                frame = page.main_frame
                assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
                assert frame.child_frames
