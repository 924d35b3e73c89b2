"""Mails look the same in Chromium with their styles inlined as they did before."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from random import Random
from typing import Any
from unittest import mock

import pytest
from playwright.async_api import Page

from app.domain.content.render import (
    Content,
    Footer,
    Rendered,
    RenderError,
    compile_content,
    template_variables,
)
from app.domain.css import inlining
from app.domain.css.properties import overlap
from app.errors import TemplateInvalid
from tests.browser.conftest import OpenVisit
from tests.support.documents import Writer

pytestmark = pytest.mark.browser

MAILS = int(os.environ.get("PYTEST_INLINED_MAILS", "6"))
"""How many random mails are compared. The seeds are the numbers below it."""

READERS: tuple[dict[str, Any], ...] = (
    {"name": "Ann", "fields": {"class": "d", "n": 3, "list": ["p", "q", "r"]}},
    {"name": None, "fields": {"list": []}},
    {"name": "Bo", "fields": {"class": "b", "n": 1, "list": ["p"]}},
)
LOOKS: tuple[dict[str, Any], ...] = (
    {"width": 800, "media": "screen", "color_scheme": "light"},
    {"width": 800, "media": "screen", "color_scheme": "dark"},
    {"width": 300, "media": "screen", "color_scheme": "light"},
    {"width": 300, "media": "print", "color_scheme": "light"},
)
PROPERTIES = (
    *("display", "visibility", "opacity", "color", "background-color", "background-image"),
    *("margin-top", "margin-left", "padding-left", "border-top-width", "border-top-color"),
    *("border-left-color", "border-left-style", "font-size", "font-family", "font-style"),
    *("font-weight", "line-height", "text-align", "width", "max-width"),
    *("text-decoration-line", "text-decoration-color"),
)

SHOW = """mails => Promise.all(mails.map(mail => new Promise(done => {
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-same-origin";
    frame.onload = done;
    frame.srcdoc = mail;
    document.body.append(frame);
})))"""
WIDEN = "width => document.querySelectorAll('iframe').forEach(each => each.width = width)"
# Of each two mails: the first element that looks different, and how.
COMPARE = """properties => {
    const mails = [...document.querySelectorAll("iframe")].map(frame =>
        [...frame.contentDocument.querySelectorAll("*")].map(element =>
            [element, frame.contentWindow.getComputedStyle(element)]));
    const found = [];
    for (let i = 0; i < mails.length; i += 2) {
        found.push(mails[i].length == mails[i + 1].length ? null : "other elements");
        mails[i].forEach(([element, style], place) => {
            const other = mails[i + 1][place]?.[1];
            const changed = other && properties.filter(each => style[each] != other[each]);
            if (changed?.length) found[i / 2] ??= element.outerHTML.slice(0, 200) + changed.map(
                each => `\n${each}: ${style[each]} -> ${other[each]}`).join("");
        });
    }
    return found;
}"""


@dataclass(frozen=True)
class Pair:
    """A mail to one reader, with its styles where the author put them, and inlined."""

    source: str
    plain: str
    inlined: str


def mails(source: str) -> list[Rendered]:
    compiled = compile_content(
        Content("News", source, None, "text", "Hello {{ name }}"), Footer("Example", "1 Street")
    )
    return [
        compiled.paste(
            compiled.values(
                template_variables(
                    email="a@example.com",
                    mailout_id="7b0e",
                    unsubscribe_url="https://example.com/",
                    **reader,
                )
            )
        )
        for reader in READERS
    ]


def pairs(source: str) -> Iterator[Pair]:
    """For each reader; and for one whose pointer is over everything."""
    with mock.patch.object(inlining, "inline_styles", lambda html, *_: inlining.Styled(html, {})):
        plain = [each.html for each in mails(source)]
    inlined = [each.html for each in mails(source)]
    for before, after in zip(plain, inlined, strict=True):
        yield Pair(source, before, after)
    if ":hover" in plain[0]:
        hovered = (html.replace(":hover", ":not(.x-x)") for html in (plain[0], inlined[0]))
        yield Pair(source, *hovered)


async def differences(page: Page, shown: list[Pair]) -> list[str]:
    await page.set_content("<body></body>")
    await page.evaluate(SHOW, [html for pair in shown for html in (pair.plain, pair.inlined)])
    found = []
    for look in LOOKS:
        await page.emulate_media(media=look["media"], color_scheme=look["color_scheme"])
        await page.evaluate(WIDEN, look["width"])
        changes: list[str | None] = await page.evaluate(COMPARE, PROPERTIES)
        for pair, change in zip(shown, changes, strict=True):
            # Rules for the screen are inlined.
            meant = look["media"] == "print" and re.search("media=.*screen", pair.source)
            if change and not meant:
                found.append(f"{look}: {change}\n{pair.source}")
    return found


async def test_inlining_changes_no_computed_style(visit: OpenVisit) -> None:
    """Whoever reads it, in the light and in the dark, on a phone and on paper."""
    page = (await visit(viewport={"width": 1000, "height": 800})).page
    shown: list[Pair] = []
    for seed in range(MAILS):
        try:
            shown += pairs(Writer(Random(seed)).mail())
        except (TemplateInvalid, RenderError):
            continue
    assert len(shown) > MAILS
    assert sum(pair.inlined.count("style=") - pair.plain.count("style=") for pair in shown) > MAILS
    for start in range(0, len(shown), 60):
        found = await differences(page, shown[start : start + 60])
        assert not found, found[0]


async def test_properties_that_set_the_same_are_known(visit: OpenVisit) -> None:
    """Each shorthand of Chromium overlaps what it sets, and each old name the new one."""
    page = (await visit()).page
    longhands: dict[str, list[str]] = await page.evaluate(
        """() => {
            const names = Object.keys(Object.getOwnPropertyDescriptors(
                Object.getPrototypeOf(document.body.style))).concat([...function*() {
                for (const key in document.body.style) yield key }()]);
            const set = {};
            for (const key of names) {
                const name = key.replace(/[A-Z]/g, each => "-" + each.toLowerCase())
                    .replace(/^webkit/, "-webkit");
                const style = document.createElement("p").style;
                style.setProperty(name, "inherit");
                if (style.length) set[name] = [...style];
            }
            return set;
        }"""
    )
    assert len(longhands) > 300
    missed = [
        (one, other)
        for one, other in combinations(longhands, 2)
        if set(longhands[one]) & set(longhands[other]) and not overlap(one, other)
    ]
    assert missed == []
