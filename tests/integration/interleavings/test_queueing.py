"""Queueing beside a cancel, an unsubscribe or another sender's queueing."""

from __future__ import annotations

from uuid import UUID

from app.store import Store
from tests.support.factories import (
    Arrange,
    claim,
    claim_mailout,
    living_sender,
)
from tests.support.schedules import HOUR, in_hours, passes, schedule
from tests.support.transactions import (
    Transaction,
    blocked,
)

LEAVE = "update subscribers set status = 'unsubscribed' where email = 'reader1@example.com'"


async def opened(store: Store, arrange: Arrange, readers: int) -> UUID:
    """A claimed mailout of which nobody is queued yet."""
    await arrange.subscribers(readers)
    mailout = await arrange.mailout()
    await claim_mailout(store, mailout)
    return mailout


async def test_what_is_queued_while_a_cancel_commits_is_cancelled_too(
    direct_store: Store, arrange: Arrange, first: Transaction
) -> None:
    mailout = await opened(direct_store, arrange, 3)
    await first.call("queue_recipients", p_mailout=mailout, p_limit=10)
    assert (await direct_store.cancel_mailout(mailout)).changed
    await first.commit()
    assert mailout in (await direct_store.sender_work()).cancelling
    assert await direct_store.cancel_recipients(mailout, 100) == 3
    assert await arrange.counts(mailout) == {"cancelled": 3}


async def test_who_leaves_while_their_slice_is_queued_is_not_mailed(
    direct_store: Store, arrange: Arrange, first: Transaction
) -> None:
    mailout = await opened(direct_store, arrange, 2)
    await first.call("queue_recipients", p_mailout=mailout, p_limit=10)
    await arrange.sql.execute(LEAVE.encode())
    await first.commit()
    batch = await claim(direct_store, mailout, await living_sender(direct_store))
    assert [r.email for r in batch.recipients] == ["reader2@example.com"]
    assert await arrange.counts(mailout) == {"sending": 1, "skipped": 1}


async def test_two_senders_queue_a_slice_once(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout = await opened(direct_store, arrange, 4)
    await first.call("queue_recipients", p_mailout=mailout, p_limit=10)
    busy = await second.call("queue_recipients", p_mailout=mailout, p_limit=10)
    assert busy == {"queued": 0, "done": False}
    await first.commit()
    await second.commit()
    assert await arrange.counts(mailout) == {"queued": 4}


async def test_a_slice_and_a_look_at_the_waves_wait_for_each_other(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    """The one locks the mailout and then its waves, so the other may not begin with the waves."""
    for zone in ("Asia/Tokyo", "Europe/Berlin", "UTC"):
        await arrange.subscriber(timezone=zone)
    mailout = await arrange.mailout()
    await schedule(direct_store, mailout, {"at": in_hours(30), "zone": "recipient"})
    await passes(arrange, 20.9 * HOUR)
    await direct_store.start_due_mailouts()
    await direct_store.queue_recipients(mailout, 10)
    # Tokyo was missed, and Berlin's time has just come; whoever lives there is still to be queued.
    await arrange.sql.execute(
        "update mailout_waves set begun_at = null, at = at - interval '2 days'"
        " where recipients = 1 and at = (select min(at) from mailout_waves where recipients = 1)"
    )
    await arrange.sql.execute(
        "with berlin as (select min(at) as at from mailout_waves"
        "                 where recipients = 1 and at > now() - interval '1 day'),"
        " moved as (update send_logs set next_attempt_at = now() - interval '1 minute'"
        "            where next_attempt_at = (select at from berlin))"
        " update mailout_waves set begun_at = null, at = now() - interval '1 minute'"
        "  where at = (select at from berlin)"
    )
    await second.call("lock_mailout", p_mailout=mailout)
    looking = await blocked(arrange, first, first.call("start_due_mailouts"))
    free = (
        "select count(*) from (select from mailout_waves where begun_at is null"
        " for update skip locked) free"
    )
    assert await arrange.one(free) == await arrange.one(
        "select count(*) from mailout_waves where begun_at is null"
    )
    await second.commit()
    assert (await looking)["held"] == [str(mailout)]
