"""Mails in the shapes of what editors export look as they were designed, footer included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from app.domain.notion.blocks import document
from tests.browser.conftest import OpenVisit
from tests.browser.test_inlining import Pair, differences, mails, pairs
from tests.support.mails import mail
from tests.support.notion_page import PICTURES, newsletter

pytestmark = pytest.mark.browser

MAILS = sorted((Path(__file__).parent.parent / "mails").glob("*.html"))
MARKDOWN = """\
# A long word: Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft

https://example.com/a/very/long/address/that/nobody/would/type/but/everybody/pastes/0123456789

[Read on](https://example.com){.button} ~~gone~~[^1]

> [!TIP]
> Boxes

- [x] done

| a | https://example.com/a-long-address-in-a-table-cell-that-must-break-somewhere |
|---|---|
| b | c |

[^1]: Note
"""
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (900, 360)]

# The least contrast of a text. Of the footer: its contrast against what is behind it, as far as
# colours go, where it stands in relation to the middle of the page, and how far the mail reaches
# beyond the screen.
MEASURE = """() => {
    const parse = (text) => text.match(/[\\d.]+/g).map(Number);
    const luminance = (rgb) => rgb.slice(0, 3).map((each) => each / 255)
        .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
        .reduce((sum, each, place) => sum + each * [0.2126, 0.7152, 0.0722][place], 0);
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = parse(getComputedStyle(at).backgroundColor);
            if (color.length < 4 || color[3] > 0) return color;
        }
        const probe = document.createElement("p");
        probe.style.color = "Canvas";
        document.body.append(probe);
        const color = parse(getComputedStyle(probe).color);
        probe.remove();
        return color;
    };
    const contrast = (element) => {
        const [a, b] = [parse(getComputedStyle(element).color), behind(element)].map(luminance);
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    };
    const footer = document.querySelector(".mail-footer");
    const box = footer.getBoundingClientRect();
    const texts = [...document.querySelectorAll("body *")].filter((each) =>
        each.checkVisibility({opacityProperty: true, visibilityProperty: true})
        && [...each.childNodes].some((node) => node.nodeType == 3 && node.data.trim()));
    return {
        legible: Math.min(...texts.map(contrast)),
        contrast: Math.min(contrast(footer), contrast(footer.querySelector("a"))),
        width: box.width,
        middle: Math.abs(box.left + box.right - document.documentElement.clientWidth) / 2,
        beyond: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        background: behind(footer).join(),
        around: behind(footer.parentElement).join(),
    };
}"""


async def measured(page: Page, html: str, scheme: Any, width: int) -> dict[str, Any]:
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 900})
    await page.set_content(html)
    found: dict[str, Any] = await page.evaluate(MEASURE)
    return found


@pytest.mark.short
async def test_designs_arrive(visit: OpenVisit) -> None:
    """Inlined and not they look the same; the footer can be read and is as wide as the mail."""
    page = (await visit(viewport={"width": 900, "height": 900})).page
    await page.route("**/*", lambda route: route.abort())
    widths = {"dark.html": 640, "wrap.html": 560}
    for path in MAILS:
        for scheme, width in LOOKS:
            found = await measured(page, mails(path.read_text())[0].html, scheme, width)
            where = (path.name, scheme, width, found)
            assert found["contrast"] >= 4.5, where
            assert found["legible"] >= 4.4, where
            assert found["middle"] <= 1, where
            assert found["background"] == found["around"], where
            assert found["beyond"] == 0, where
            assert found["width"] <= widths.get(path.name, 600) + 48, where
    shown: list[Pair] = [pair for path in MAILS for pair in pairs(path.read_text())]
    assert len(shown) >= 3 * len(MAILS)
    assert not await differences(page, shown)


async def test_markdown_fits_a_phone_with_long_words(visit: OpenVisit) -> None:
    page = (await visit(viewport={"width": 900, "height": 900})).page
    for scheme, width in LOOKS:
        found = await measured(page, mail(body_markdown=MARKDOWN).html, scheme, width)
        assert found["beyond"] == 0, (scheme, width)
        assert min(found["legible"], found["contrast"]) >= 4.5, (scheme, width)


async def test_a_page_of_notion_is_legible_everywhere(visit: OpenVisit) -> None:
    """Every block and colour; columns stand side by side, and below each other on a phone."""
    page = (await visit(viewport={"width": 900, "height": 900})).page
    html = mail(body_markdown=document(newsletter(), PICTURES).markdown).html
    for scheme, width in LOOKS:
        found = await measured(page, html, scheme, width)
        assert found["beyond"] == 0, (scheme, width)
        assert min(found["legible"], found["contrast"]) >= 4.5, (scheme, width)
        left, right, wide = await page.evaluate(
            """() => [...document.querySelectorAll(".n-column")].slice(0, 2)
                .map((each) => each.getBoundingClientRect().top)
                .concat(document.querySelector(".n-column img").getBoundingClientRect().width)"""
        )
        assert (left == right) == (width == 900), (scheme, width)
        assert wide > 250, (scheme, width)
