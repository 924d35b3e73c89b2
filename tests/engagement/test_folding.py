"""Opens and clicks are folded into few rows, whatever comes how often and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from app.store import Store
from tests.support.engagement import (
    MICROSOFT,
    SPRING,
    happened,
    judge_all,
    mailed,
    row,
    told,
    tracked_mailout,
)
from tests.support.factories import Arrange


async def rows(arrange: Arrange, query: str, *values: Any) -> list[dict[str, Any]]:
    return await (await arrange.sql.execute(query.encode(), values)).fetchall()


async def test_an_open_and_a_click_are_kept_judged_and_told_apart(
    store: Store, arrange: Arrange
) -> None:
    mailout = await tracked_mailout(arrange)
    ann, bot = await mailed(arrange, mailout), await mailed(arrange, mailout)
    await happened(
        store,
        told(ann, "Delivery", 2),
        told(ann, "Open", 3600),
        told(ann, "Click", 3660, link=SPRING),
        told(bot, "Delivery", 2),
        told(bot, "Click", 3, link=SPRING, agent="curl/8.0"),
    )
    await judge_all(store)
    found = await rows(
        arrange,
        "select send_log_id, open_class, click_class, delivered_at is not null as delivered, "
        "due_at, subscriber_id, rules from engagement_recipients order by send_log_id",
    )
    assert [(r["open_class"], r["click_class"]) for r in found] == [
        ("human", "human"),
        (None, "machine"),
    ]
    assert all(r["delivered"] and r["due_at"] is None and r["rules"] for r in found)
    assert found[0]["subscriber_id"] == ann.person
    links = await rows(arrange, "select url, place, position from mailout_links order by position")
    assert [(r["url"], r["place"]) for r in links] == [
        (SPRING, "body"),
        ("https://example.com/sale", "body"),
    ]


@pytest.mark.short
async def test_ten_thousand_clicks_of_one_scanner_are_few_rows(
    direct_store: Store, arrange: Arrange
) -> None:
    mail = await mailed(arrange, await tracked_mailout(arrange))
    clicks = [told(mail, "Click", n / 100, link=SPRING, ip=MICROSOFT) for n in range(500)]
    for _ in range(4):
        await direct_store.apply_ses_events([row(click) for click in clicks])
    assert await rows(arrange, "select events from engagement_signals") == [{"events": 2000}]
