"""Who stores events, judges, merges or erases takes locks in one order."""

from __future__ import annotations

import psycopg

from app.store import Store
from tests.support.engagement import happened, judge_all, mailed, row, told, tracked_mailout
from tests.support.factories import Arrange
from tests.support.transactions import beside, blocked, open_transaction

ALONE = "https://alone.example/"


async def test_a_merge_waits_where_events_of_both_come(
    direct_store: Store, arrange: Arrange, dsn: str
) -> None:
    """It holds nothing yet that they still need."""
    mailouts = [await tracked_mailout(arrange) for _ in range(2)]
    old, new = await arrange.subscriber("old@example.com"), await arrange.subscriber()
    mails = [await mailed(arrange, each, "old@example.com", person=old) for each in mailouts]
    for mail in reversed(mails):
        await happened(direct_store, told(mail))

    async with open_transaction(dsn) as web, open_transaction(dsn) as merging:
        await web.call("apply_ses_events", p_events=[row(told(mails[0], "Click"))])
        merge = merging.call("merge_subscribers", p_from=old, p_into=new)
        task = await blocked(arrange, merging, merge)
        await web.call("apply_ses_events", p_events=[row(told(mails[1], "Click"))])
        await web.commit()
        await task
        await merging.commit()

    whose = "select array_agg(distinct subscriber_id) from engagement_recipients"
    assert await arrange.one(whose) == [new]


async def test_a_bounce_comes_before_or_after_a_change_of_the_person(
    direct_store: Store, arrange: Arrange, dsn: str
) -> None:
    mail = await mailed(arrange, await tracked_mailout(arrange), "ann@example.com")
    bounce = told(mail, "Delivery")
    bounce |= {
        "eventType": "Bounce",
        "bounce": {"bounceType": "Permanent", "bouncedRecipients": []},
    }

    async with await psycopg.AsyncConnection.connect(dsn) as erasing, open_transaction(dsn) as web:
        await erasing.execute("select from subscribers where id = %s for update", [mail.person])
        storing = web.call("apply_ses_events", p_events=[row(bounce)])
        task = await blocked(arrange, web, storing)
        await erasing.execute("select erase_subscriber('ann@example.com', 'cli')")
        await erasing.commit()
        await task
        await web.commit()

    assert await arrange.one("select status from send_logs") == "bounced"
    assert await arrange.one("select payload from ses_events") == {}


async def test_a_link_that_goes_with_who_clicked_it_is_there_for_the_next(
    direct_store: Store, arrange: Arrange, dsn: str
) -> None:
    mailout = await tracked_mailout(arrange)
    ann, bob = await mailed(arrange, mailout, "ann@example.com"), await mailed(arrange, mailout)
    await happened(direct_store, told(ann, "Click", link=ALONE))

    async with open_transaction(dsn) as erasing, open_transaction(dsn) as web:
        await erasing.call("erase_subscriber", p_email="ann@example.com", p_by="cli")
        storing = web.call("apply_ses_events", p_events=[row(told(bob, "Click", link=ALONE))])
        await beside(arrange, web, storing, erasing)

    await judge_all(direct_store)
    [link] = [each for each in await direct_store.engagement_links(mailout, 9) if each["events"]]
    assert (link["url"], link["human"]) == (ALONE, 1)
