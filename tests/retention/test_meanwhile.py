"""What others do between two slices of a mailout that shrinks, or in the moment it is marked."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from app.errors import DetailsDropped
from app.store import Store
from tests.retention.test_ledger import an_old_mailout, shrunk
from tests.support.factories import Arrange


async def first_slice(arrange: Arrange, rows: int = 2) -> None:
    while not (await arrange.one("select shrink_old_mailouts(365, %s)", rows))["rows"]:
        pass


async def test_rows_of_people_who_are_merged_go_as_well(
    direct_store: Store, arrange: Arrange
) -> None:
    """Their row comes to lie before what was done already."""
    await an_old_mailout(direct_store, arrange)
    await first_slice(arrange)
    later = await arrange.one("select subscriber_id from send_logs order by 1 offset 2 limit 1")
    await arrange.subscriber("first@example.com", id=UUID(int=1))
    await arrange.sql.execute("select merge_subscribers(%s, %s)", [later, UUID(int=1)])
    await shrunk(direct_store)
    assert await arrange.one("select count(*) from send_logs") == 0
    marks = "select sum(cardinality(marks)) from shrunk_rows"
    assert await arrange.one(marks) == 6


async def test_once_rows_are_gone_the_mark_stays(direct_store: Store, arrange: Arrange) -> None:
    """Also where none of them had a subscriber: who got the mailout isn't known any more."""
    await an_old_mailout(direct_store, arrange)
    await arrange.sql.execute("update send_logs set subscriber_id = null, sent_at = null")
    await first_slice(arrange)
    other = await arrange.mailout("sending")
    await arrange.sql.execute("insert into mailout_queues (mailout_id) values (%s)", [other])
    await shrunk(direct_store)
    assert await arrange.one("select count(*) from shrunk_mailouts where done_at is not null") == 1


async def schedule(connection: psycopg.AsyncConnection, mailout: UUID) -> None:
    await connection.execute(
        "select schedule_mailout(id, mailout_content_hash(m), '{}', now(), null, 5) "
        "from mailouts m where id = %s",
        [mailout],
    )


async def asking_for_an_old_one(store: Store, arrange: Arrange) -> UUID:
    mails = await an_old_mailout(store, arrange)
    rule = {"not": {"field": "received", "op": "is", "value": str(mails[0].mailout)}}
    return await arrange.mailout("ready", audience=rule)


async def test_a_mailout_that_is_scheduled_in_between_takes_the_mark_back(
    direct_store: Store, arrange: Arrange, dsn: str
) -> None:
    asking = await asking_for_an_old_one(direct_store, arrange)
    await arrange.subscribers(3)
    async with await psycopg.AsyncConnection.connect(dsn) as scheduling:
        await schedule(scheduling, asking)
        await direct_store.shrink_old_mailouts(365)
    await shrunk(direct_store)
    assert await arrange.one("select count(*) from shrunk_mailouts") == 0
    assert (await direct_store.start_due_mailouts())["status"] == "sending"


async def test_a_scheduled_mailout_whose_rule_cannot_be_asked_holds_up_nobody_else(
    direct_store: Store, arrange: Arrange, dsn: str
) -> None:
    """Its scheduling took as long as all of the shrinking."""
    asking = await asking_for_an_old_one(direct_store, arrange)
    await arrange.subscribers(3)
    async with await psycopg.AsyncConnection.connect(dsn) as scheduling:
        await schedule(scheduling, asking)
        await shrunk(direct_store)
    other = await arrange.mailout("scheduled", scheduled_at=datetime.now(UTC))
    assert (await direct_store.start_due_mailouts())["status"] == "paused"
    started = await direct_store.start_due_mailouts()
    assert (started["started"], started["status"]) == (str(other), "sending")
    held = await direct_store.show_mailout(asking)
    assert "Take this condition out" in held["status_reason"]
    with pytest.raises(DetailsDropped):
        await direct_store.resume_mailout(asking, by="test")


async def test_a_shrunk_mailout_is_not_tested_any_more(store: Store, arrange: Arrange) -> None:
    """The test's address would stay in the ledger for good."""
    mails = await an_old_mailout(store, arrange)
    await shrunk(store)
    with pytest.raises(DetailsDropped, match="Duplicate it"):
        await store.queue_test(mails[0].mailout, ["me@example.com"])
    assert await arrange.one("select count(*) from send_logs") == 0
