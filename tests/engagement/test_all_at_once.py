"""Events, judging, reading of links, erasing and merging at the same time block nobody for good."""

from __future__ import annotations

import asyncio
import random

import pytest

from app.services.engagement import judge_recipients
from app.services.engagement.judge_recipients import JudgeRecipients
from app.store import Store
from tests.support.engagement import happened, judge_all, mailed, told, tracked_mailout
from tests.support.factories import Arrange
from tests.support.service import settings_for

READERS = 30


@pytest.mark.short
async def test_all_at_once(direct_store: Store, arrange: Arrange) -> None:
    store = direct_store
    mailout = await tracked_mailout(
        arrange, body_html='<a href="https://example.com/?u={{ fields.id }}">A</a>'
    )
    mails = [await mailed(arrange, mailout, f"r{n}@example.com") for n in range(READERS)]
    chance = random.Random(5)

    async def come() -> None:
        for n in range(8):
            some = chance.sample(mails, 12)
            await happened(
                store,
                *(told(m, "Click", 700 * n, link=f"https://example.com/?u={m.log}") for m in some),
                *(told(m, "Click", 800 * n, link=f"https://else.example/{n}") for m in some),
                *(told(m, "Delivery", n) for m in some),
            )

    async def work() -> None:
        judging = JudgeRecipients(store, settings_for("postgresql://nobody@127.0.0.1/none", None))
        for n in range(12):
            if n % 3 == 0:
                await judging.read_links()
            await judging.judge_slice()

    async def read_again() -> None:
        for _ in range(4):
            await arrange.sql.execute("update mailout_snapshots set links_read = false")
            await asyncio.sleep(0)

    async def erase() -> None:
        for mail in mails[:8]:
            await store.erase_subscriber(mail.email, "cli")

    judge_recipients.SLICE, before = 10, judge_recipients.SLICE
    try:
        await asyncio.gather(come(), come(), work(), work(), read_again(), erase())
    finally:
        judge_recipients.SLICE = before
    await judge_all(store)
    gone = [mail.log for mail in mails[:8]]
    for table in ("engagement_signals", "engagement_recipients"):
        left = f"select count(*) from {table} where send_log_id = any(%s)"
        assert await arrange.one(left, gone) == 0
    alone = "select count(*) from mailout_links where url like 'https://example.com/?u=%%'"
    assert await arrange.one(alone) == 1
    assert await arrange.one("select count(*) from engagement_signals where class is null") == 0
