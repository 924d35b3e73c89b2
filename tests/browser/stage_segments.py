"""Segments as people make them: of lines, of a rule that lines can't show, and one that is used."""

from __future__ import annotations

import asyncio
from typing import Any

from playwright.async_api import Page, Route, expect
from psycopg.types.json import Jsonb

from tests.support.factories import Arrange


async def stage_segments(arrange: Arrange) -> dict[str, str]:
    """Gives their ids by what they are for."""

    async def made(name: str, rule: dict[str, Any]) -> str:
        segment = await arrange.one(
            "insert into segments (name, audience) values (%s, %s) returning id", name, Jsonb(rule)
        )
        return str(segment)

    used = await made("Readers in Vienna", {"tags": ["newsletter", "vienna"]})
    lines = await made(
        "Members who were away for a while",
        {
            "all": [
                {"segment": used},
                {"not": {"tags": ["press"]}},
                {"field": "fields.shoe size", "op": "gt", "value": 37},
                {"field": "created_at", "op": "before", "value": "2030-05-31"},
                {"field": "timezone", "op": "exists", "value": False},
                {"field": "opened", "op": "is_not", "value": "any", "days": 90},
            ]
        },
    )
    rule = await made(
        "A rule of rules",
        {"any": [{"all": [{"tags": ["gone"]}, {"segment": used}]}, {"not": {"tags": ["press"]}}]},
    )
    return {"used": used, "lines": lines, "rule": rule}


async def put_together(page: Page, arrange: Arrange, name: str, *, counts: bool) -> None:
    """Make a segment with the builder. counts: press its button after each change."""

    async def counted() -> None:
        if counts:
            await page.get_by_role("button", name="Count again").click()

    await page.fill("#name", name)
    await page.fill("#audience-value-0", "vienna")
    await page.get_by_role("button", name="Add a condition").click()
    await expect(page.locator("#audience-field-1")).to_be_visible()
    await expect(page.locator("#audience-value-0")).to_have_value("vienna")
    await page.select_option("#audience-field-1", "name")
    await counted()
    await page.select_option("#audience-op-1", "contains")
    await counted()
    await page.fill("#audience-value-1", "BOGDAN")
    await counted()
    fitting = await arrange.one(
        "select count(*) from subscribers where status = 'active' and tags && '{vienna}' "
        "and name ilike '%%bogdan%%'"
    )
    assert fitting > 0
    await expect(page.locator(".audience-count b")).to_have_text(str(fitting))
    await expect(page.locator("#name")).to_have_value(name)
    await page.get_by_role("button", name="Remove condition 1").click()
    await expect(page.locator("#audience-field-1")).to_have_count(0)
    await page.get_by_role("button", name="Save", exact=True).last.click()
    await expect(page.get_by_role("status")).to_have_text("Saved.")
    stored = await arrange.one("select audience from segments where name = %s", name)
    assert stored == {"field": "name", "op": "contains", "value": "BOGDAN"}


async def hurry(page: Page) -> None:
    """Go on in the builder before it is answered: the answer to each button is held until the next
    question is asked, which a key alone asks."""
    asked = 0
    more = asyncio.Event()

    async def hold(route: Route) -> None:
        nonlocal asked, more
        asked += 1
        more.set()
        more = own = asyncio.Event()
        if asked in (1, 3):
            await own.wait()
        await route.continue_()

    await page.route("**/dashboard/audience", hold)
    await page.get_by_role("button", name="Add a condition").click()
    await page.fill("#audience-value-0", "vienna")
    await expect(page.locator("#audience-field-1")).to_be_visible()
    await expect(page.locator("#audience-value-0")).to_have_value("vienna")
    await page.select_option("#audience-field-1", "name")
    await page.fill("#audience-value-1", "bogdan")
    await page.select_option("#audience-op-1", "contains")
    await expect(page.locator("#audience-value-0")).to_have_value("vienna")
    await expect(page.locator("#audience-value-1")).to_have_value("bogdan")
    await expect(page.locator("[data-audience][aria-busy]")).to_have_count(0)
    await expect(page.locator("#audience-op-1")).to_have_value("contains")
    await page.unroute("**/dashboard/audience")


_ESTIMATED = (
    "would get it</p><p data-audience-more>Estimated from some of them"
    '<span class="audience-counting" hidden>, counting…</span></p>'
)
"""What the server says of a list that is too long for a first look
(tests/integration/test_segment_pages.py)."""


async def count_slowly(page: Page, found: int) -> None:
    """Of a long list an estimate comes first, and stays when what all people say doesn't come.
    found: whose name has an `a`."""
    reach = page.locator("[data-audience-reach]")
    go_on = asyncio.Event()
    whole = 0

    async def hold(route: Route) -> None:
        nonlocal whole
        if "audience-all" in (route.request.post_data or ""):
            whole += 1
            if whole == 1:
                await route.fulfill(status=503)
                return
            await go_on.wait()
            await route.continue_()
            return
        answer = await route.fetch()
        body = (await answer.text()).replace("would get it</p>", _ESTIMATED)
        await route.fulfill(response=answer, body=body)

    await page.select_option("#audience-field-0", "name")
    await page.select_option("#audience-op-0", "contains")
    await page.route("**/dashboard/audience", hold)
    await page.fill("#audience-value-0", "o")
    await expect(reach).to_contain_text("Estimated from some of them", use_inner_text=True)
    await expect(reach).not_to_contain_text("counting…", use_inner_text=True)
    assert whole == 1
    await page.fill("#audience-value-0", "a")
    await expect(reach).to_contain_text("counting…", use_inner_text=True)
    await expect(page.locator("[data-audience][aria-busy]")).to_have_count(0)
    go_on.set()
    await expect(reach).not_to_contain_text("Estimated")
    await expect(page.locator(".audience-count b")).to_have_text(f"{found:,}")
    await page.unroute("**/dashboard/audience")
