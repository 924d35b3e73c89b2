"""Which rows of Notion are due to be written, over each way to the database."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

from app.domain.notion.writes import Write, Written
from app.store import Store
from tests.support.factories import Arrange

LEASE, GAP = 60.0, 10.0


async def row(arrange: Arrange, mailout: UUID | None = None, **columns: Any) -> UUID:
    page = uuid4()
    await arrange.sql.execute(
        "insert into notion_rows (page_id, mailout_id, delivery, problem) values (%s, %s, %s, %s)",
        [page, mailout, columns.get("delivery"), columns.get("problem")],
    )
    return page


async def claimed(store: Store, limit: int = 10) -> list[Write]:
    return await store.claim_notion_writes(limit, LEASE, GAP)


async def claimed_one(store: Store) -> Write:
    [write] = await claimed(store)
    return write


async def make_due(arrange: Arrange) -> None:
    """As if the time had come."""
    await arrange.sql.execute("update notion_writes set due_at = now() where due_at is not null")


async def end_leases(arrange: Arrange) -> None:
    await arrange.sql.execute("update notion_writes set due_at = now(), lease_until = now()")


async def test_a_row_that_was_asked_for_is_claimed_once_with_what_it_says(
    store: Store, arrange: Arrange
) -> None:
    page = await row(arrange, delivery="Problem", problem="No tag.")
    assert await claimed(store) == []
    await store.notion_write_due(page)
    await store.notion_write_due(page)
    write = await claimed_one(store)
    assert (write.page_id, write.mailout, write.written, write.sure) == (page, None, {}, False)
    assert (write.row["delivery"], write.row["problem"]) == ("Problem", "No tag.")
    assert await claimed(store) == []

    done = Written(patched=True, written={"Delivery": "Problem"}, told=("press:1",))
    assert await store.settle_notion_write(write, done, GAP)
    assert await claimed(store) == []  # until something changes
    await store.notion_write_due(page)
    assert await claimed(store) == []  # it was written within ten seconds
    await make_due(arrange)
    again = await claimed_one(store)
    assert (again.written, again.told, again.sure) == ({"Delivery": "Problem"}, ("press:1",), True)


async def test_who_asks_while_a_row_is_written_is_not_forgotten(
    store: Store, arrange: Arrange
) -> None:
    """The holder read the row before the change: it is due again, after its ten seconds."""
    page = await row(arrange)
    await store.notion_write_due(page)
    write = await claimed_one(store)
    await store.notion_write_due(page)
    assert await claimed(store) == []  # one writer at a time
    await store.settle_notion_write(write, Written(patched=True, written={}), GAP)
    due = await arrange.one(
        "select due_at between now() and now() + interval '10 seconds' from notion_writes"
    )
    assert due is True


async def test_a_dead_holders_row_is_taken_over_and_read_first(
    store: Store, arrange: Arrange
) -> None:
    """And the dead one, should it come back, changes nothing."""
    page = await row(arrange)
    await store.notion_write_due(page)
    await store.settle_notion_write(await claimed_one(store), Written(next_seconds=1), GAP)
    await make_due(arrange)
    dead = await claimed_one(store)
    assert dead.sure
    await end_leases(arrange)
    heir = await claimed_one(store)
    assert (heir.page_id, heir.sure) == (page, False)
    assert not await store.settle_notion_write(dead, Written(written={"Failed": 1}), GAP)
    assert await store.settle_notion_write(heir, Written(written={"Failed": 2}), GAP)
    assert await arrange.one("select written from notion_writes") == {"Failed": 2}


async def test_many_writers_share_the_rows(store: Store, arrange: Arrange) -> None:
    pages = {await row(arrange) for _ in range(6)}
    for page in pages:
        await store.notion_write_due(page)
    shares = await asyncio.gather(*(claimed(store, limit=2) for _ in range(3)))
    shares.append(await claimed(store))  # what a look at the same moment passed over
    got = [write.page_id for share in shares for write in share]
    assert sorted(got) == sorted(pages)


async def test_rows_that_somebody_watches_go_first(store: Store, arrange: Arrange) -> None:
    late, live = await row(arrange), await row(arrange)
    for page in (late, live):
        await store.notion_write_due(page)
    for write in await claimed(store):
        done = Written(next_seconds=0 if write.page_id == late else 1, live=write.page_id == live)
        await store.settle_notion_write(write, done, GAP)
    await make_due(arrange)
    [first] = await claimed(store, limit=1)
    assert first.page_id == live


async def test_a_mailouts_own_changes_make_its_row_due(store: Store, arrange: Arrange) -> None:
    """Whoever makes them; and what is written comes with the figures."""
    mailout = await arrange.mailout("sending", recipients=3)
    await row(arrange, mailout)
    await store.pause_mailout(mailout, "quota", "quota: used up")
    write = await claimed_one(store)
    assert write.mailout is not None
    assert write.mailout["status_reason"] == "quota: used up"
    assert (write.mailout["pause_code"], write.mailout["notice"]["status"]) == ("quota", "paused")
    assert write.mailout["counts"]["queued"] == 0
    await store.settle_notion_write(write, Written(), GAP)
    await arrange.sql.execute("update mailouts set preheader = 'x'")
    await make_due(arrange)
    assert await claimed(store) == []  # nothing that a row says


async def test_a_change_never_waits_for_a_writer(store: Store, arrange: Arrange) -> None:
    """Nor does a sender's: it only adds a line."""
    mailout = await arrange.mailout("sending")
    await row(arrange, mailout)
    await store.pause_mailout(mailout, "person", "x")
    await claimed_one(store)
    async with arrange.sql.transaction():
        await arrange.sql.execute("select from notion_writes for update")
        assert (await store.resume_mailout(mailout)) is not None
        await store.cancel_mailout(mailout)


async def test_what_went_wrong_is_kept_until_it_goes_well(store: Store, arrange: Arrange) -> None:
    mailout = await arrange.mailout("paused")
    page = await row(arrange, mailout)
    assert await store.notion_write_trouble(mailout) is None
    await store.notion_write_due(page)
    write = await claimed_one(store)
    refused = Written(sure=False, error="The token was revoked.", next_seconds=0)
    await store.settle_notion_write(write, refused, GAP)
    trouble = await store.notion_write_trouble(mailout)
    assert trouble is not None
    assert trouble["error"] == "The token was revoked."
    write = await claimed_one(store)
    assert (write.failures, write.error) == (1, "The token was revoked.")
    await store.settle_notion_write(write, Written(), GAP)
    assert await store.notion_write_trouble(mailout) is None


async def test_metrics_tell_how_long_the_oldest_row_waits(store: Store, arrange: Arrange) -> None:
    page = await row(arrange)
    assert (await store.metrics_snapshot())["notion_oldest_due_seconds"] == 0
    await store.notion_write_due(page)
    await arrange.sql.execute("update notion_write_asks set asked_at = now() - interval '1 hour'")
    assert (await store.metrics_snapshot())["notion_oldest_due_seconds"] >= 3600
