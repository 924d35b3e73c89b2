"""Judging goes on beside what comes, beside another process, and after one that was killed."""

from __future__ import annotations

import asyncio

from app.domain.engagement.recipients import judged
from app.domain.engagement.rules import RULES
from app.services.engagement import judge_recipients
from app.services.engagement.judge_recipients import JudgeRecipients
from app.store import Store
from tests.support.engagement import happened, judge_all, mailed, told, tracked_mailout
from tests.support.factories import Arrange
from tests.support.service import in_process, settings_for
from tests.support.waiting import eventually

DUE = "select count(*) from engagement_recipients where due_at is not null"


async def test_nobody_is_judged_twice_at_once_and_nobody_is_lost(
    store: Store, arrange: Arrange
) -> None:
    mailout = await tracked_mailout(arrange)
    mails = [await mailed(arrange, mailout) for _ in range(4)]
    await happened(store, *(told(mail) for mail in mails))
    first = await store.claim_engagement(3, 60)
    second = await store.claim_engagement(3, 60)
    assert sorted(r.id for r in [*first, *second]) == [mail.log for mail in mails]
    assert await store.claim_engagement(3, 60) == []

    assert await store.settle_engagement(RULES, [judged(r) for r in second]) == 1
    # The first was killed: its recipients are due again when its lease is over.
    await arrange.sql.execute(
        "update engagement_recipients set due_at = now() where due_at > now()"
    )
    again = await store.claim_engagement(9, 60)
    assert {r.id for r in again} == {r.id for r in first}
    assert await store.settle_engagement(RULES, [judged(r) for r in again]) == 3
    assert await store.settle_engagement(RULES, [judged(r) for r in first]) == 0
    assert await arrange.one(DUE) == 0


async def test_what_comes_meanwhile_is_judged_with_the_rest(store: Store, arrange: Arrange) -> None:
    mail = await mailed(arrange, await tracked_mailout(arrange))
    await happened(store, told(mail, agent="curl/8.0"))
    claimed = await store.claim_engagement(10, 60)
    await happened(store, told(mail, "Click", 4000))
    assert await store.settle_engagement(RULES, [judged(r) for r in claimed]) == 0
    classes = "select open_class || ' ' || click_class from engagement_recipients"
    assert await arrange.one(classes) is None
    await judge_all(store)
    assert await arrange.one(classes) == "machine human"
    assert await arrange.one("select count(*) from engagement_signals where class is null") == 0


async def test_two_at_once_judge_everybody_once(direct_store: Store, arrange: Arrange) -> None:
    """While more comes."""
    mailout = await tracked_mailout(arrange)
    mails = [await mailed(arrange, mailout) for _ in range(40)]
    settings = settings_for("postgresql://nobody@127.0.0.1/none", None)

    async def work() -> int:
        judging = JudgeRecipients(direct_store, settings)
        return sum([await judging.judge_slice() for _ in range(12)])

    async def come() -> None:
        for n in range(6):
            await happened(direct_store, *(told(mail, "Click", 700 * n) for mail in mails))

    judge_recipients.SLICE, before = 7, judge_recipients.SLICE
    try:
        await asyncio.gather(work(), work(), come())
    finally:
        judge_recipients.SLICE = before
    await judge_all(direct_store)
    assert await arrange.one(DUE) == 0
    assert await arrange.one("select count(*) from engagement_recipients where rules is null") == 0
    assert await arrange.one("select sum(events) from engagement_signals") == 240


async def test_the_service_judges_by_itself(
    dsn: str, direct_store: Store, arrange: Arrange
) -> None:
    """And reads the links of what was begun; one whose content can't be read has none."""
    mailout = await tracked_mailout(arrange)
    await tracked_mailout(arrange, body_html="{{ nothing.such }}")
    mail = await mailed(arrange, mailout)
    async with in_process(settings_for(dsn, None, AWS_REGION=None)):
        await happened(direct_store, told(mail, "Click", 60))

        async def verdict() -> object:
            return await arrange.one("select click_class from engagement_recipients")

        assert await eventually(verdict, until=bool) is not None

        async def unread() -> object:
            return await arrange.one("select count(*) from mailout_snapshots where not links_read")

        await eventually(unread, until=lambda count: count == 0)
    assert await arrange.one("select array_agg(place order by position) from mailout_links") == [
        "body",
        "body",
    ]
