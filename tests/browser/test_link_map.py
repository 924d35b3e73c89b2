"""The badges at a mail's links: seen, and out of everything's way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.domain.engagement.link_map import link_map
from tests.browser.conftest import OpenVisit

pytestmark = pytest.mark.browser

MAILS = sorted((Path(__file__).parent.parent / "mails").glob("*.html"))
STUBBORN = """<!doctype html><style>* { display: none !important; position: static; float: left }
html, body, a { display: block !important } as-badge { width: 900px }</style>
<a href="https://example.com/a">A</a>"""

PLACES = """() => [...document.body.querySelectorAll("*:not(as-badge, as-badge *)")].map(one => {
    const {x, y, width, height} = one.getBoundingClientRect();
    return [one.tagName, x, y, width, height];
})"""
BADGES = """() => [...document.querySelectorAll("as-badge")].map(one => {
    const {width, height} = one.getBoundingClientRect();
    return [Math.round(width), Math.round(height)];
})"""


async def test_no_badge_moves_anything(visit: OpenVisit) -> None:
    """Of mails as they come from elsewhere, on a desktop and on a phone."""
    page = (await visit(java_script_enabled=False)).page
    seen = 0
    for width in (800, 390):
        await page.set_viewport_size({"width": width, "height": 800})
        for mail in MAILS:
            html = mail.read_text("utf-8")
            before = await _look(page, html, PLACES)
            with_badges = link_map(html, [])["html"]
            assert await _look(page, with_badges, PLACES) == before, (mail.name, width)
            seen += with_badges.count("<as-badge")
    assert seen > len(MAILS)


async def test_a_badge_is_seen_whatever_the_mail_says_of_its_elements(visit: OpenVisit) -> None:
    page = (await visit(java_script_enabled=False)).page
    [(width, height)] = await _look(page, link_map(STUBBORN, [])["html"], BADGES)
    assert 20 < width < 80 and 15 < height < 24


async def _look(page: Any, html: str, question: str) -> Any:
    # Until its pictures have failed, too: each has another size then.
    await page.set_content(html, wait_until="load")
    return await page.evaluate(question)
