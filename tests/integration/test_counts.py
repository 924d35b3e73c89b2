"""The counts that every write keeps are those that counting would find."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from app.adapters.database.migration_files import Bundle, read_bundle
from app.adapters.database.migrations import migrate
from app.store import Store
from tests.integration.test_guards import mailed
from tests.support.factories import (
    Arrange,
    all_sent,
    claim,
    claim_mailout,
    living_sender,
    started_mailout,
)
from tests.support.waiting import eventually

COUNTED = """
select jsonb_object_agg(key, n) as counted from (
    select concat_ws(' ', mailout_id, status, error_code, bounce_type, bounce_subtype) as key,
           {} as n
      from {} group by 1 having {} <> 0) groups
"""
PEOPLE = """
select jsonb_object_agg(status, n) from (select status, {} as n from {} group by 1) p where n <> 0
"""
RECIPIENTS = "sum(recipients * 1000 + unsubscribed)"
ROWS = "count(*) * 1000 + count(unsubscribed_at)"


async def what_is_kept_is_what_is_there(arrange: Arrange) -> None:
    kept = await arrange.one(COUNTED.format(RECIPIENTS, "recipient_counts", RECIPIENTS))
    rows = "(select * from send_logs where not is_test) l"
    assert kept == await arrange.one(COUNTED.format(ROWS, rows, ROWS))
    kept = await arrange.one(PEOPLE.format("sum(subscribers)", "subscriber_counts"))
    assert kept == await arrange.one(PEOPLE.format("count(*)", "subscribers"))


async def test_they_follow_a_mailout(store: Store, arrange: Arrange) -> None:
    one = await mailed(store, arrange, 20)
    await store.apply_ses_events(
        one.delivered(range(5, 15)) + one.bounced([5]) + one.bounced([6, 7])
    )
    await store.apply_ses_events([*one.complained([8]), one.event(9, "reject", detail="No.")])
    reader = await arrange.one("select subscriber_id from send_logs order by id desc limit 1")
    await store.unsubscribe(reader, one.mailout)
    await store.cancel_mailout(one.mailout)
    await what_is_kept_is_what_is_there(arrange)
    shown = await store.show_mailout(one.mailout)
    assert {s: n for s, n in shown["counts"].items() if n} == await arrange.counts(one.mailout)
    assert shown["unsubscribed"] == 1


async def test_they_follow_whoever_writes(arrange: Arrange, direct_store: Store) -> None:
    """Also a person's hand in the tables, whatever it does there. Test mails never count."""
    mailout = await started_mailout(direct_store, arrange, 10)
    await direct_store.queue_test(mailout, ["me@example.com"])
    for statement in (
        "update subscribers set status = 'bounced' where email like '%1%'",
        "update subscribers set name = 'New'",
        "delete from subscribers where email like '%2@%'",
        "update send_logs set status = 'failed', error_code = 'x' where email like '%3@%'",
        "update send_logs set mailout_id = gen_random_uuid() where email like '%4@%'",
        "update send_logs set is_test = true where email like '%5@%'",
        "delete from send_logs where email like '%6@%'",
        "select acting('database', 'He asked.'); insert into subscribers (email) "
        "values ('reader1@example.com') on conflict (address) do update set status = 'active'",
    ):
        await arrange.sql.execute(statement.encode())
        await what_is_kept_is_what_is_there(arrange)
    await arrange.sql.execute("truncate send_logs, subscribers cascade")
    await what_is_kept_is_what_is_there(arrange)


async def test_who_may_write_the_tables_needs_no_right_to_the_counts(arrange: Arrange) -> None:
    """A sign-up form with a role of its own goes on adding subscribers."""
    role = f"form_{uuid4().hex[:8]}"
    await arrange.sql.execute(f"create role {role}".encode())
    await arrange.sql.execute(f"grant insert on subscribers to {role}".encode())
    await arrange.sql.execute("alter table subscribers disable row level security")
    async with arrange.sql.transaction():
        await arrange.sql.execute(f"set local role {role}".encode())
        await arrange.sql.execute("insert into subscribers (email) values ('ann@example.com')")
    await what_is_kept_is_what_is_there(arrange)
    await arrange.sql.execute(f"drop owned by {role}".encode())
    await arrange.sql.execute(f"drop role {role}".encode())


async def test_a_publication_of_all_tables_stops_no_write(
    direct_store: Store, arrange: Arrange
) -> None:
    """What is replicated needs an identity, else PostgreSQL refuses its updates and with them every
    mail. (A publication does so whether anybody subscribes or not.)"""
    await arrange.sql.execute("create publication everything for all tables")
    mailout = await started_mailout(direct_store, arrange, 2)
    sender = await living_sender(direct_store)
    batch = await claim(direct_store, mailout, sender)
    await direct_store.record_results(batch.attempt_id, all_sent(batch))
    while await direct_store.keep_house():
        pass
    await what_is_kept_is_what_is_there(arrange)


async def test_two_that_count_the_same_do_not_wait_for_each_other(
    direct_store: Store, arrange: Arrange, dsn: str
) -> None:
    """Many calls to SES are recorded at once: a shared row would line them up."""
    await started_mailout(direct_store, arrange, 4)
    async with await psycopg.AsyncConnection.connect(dsn) as other, arrange.sql.transaction():
        for connection, email in ((arrange.sql, "reader1"), (other, "reader2")):
            await connection.execute("set lock_timeout = '2s'")
            await connection.execute(
                "update send_logs set status = 'failed' where email like %s", [f"{email}@%"]
            )
            await connection.execute(
                "update subscribers set status = 'bounced' where email like %s", [f"{email}@%"]
            )
        await other.commit()
    await what_is_kept_is_what_is_there(arrange)


async def test_the_rows_of_connections_that_are_gone_are_merged(
    direct_store: Store, arrange: Arrange, dsn: str
) -> None:
    """They don't grow with the years; those of living connections stay apart."""
    await started_mailout(direct_store, arrange, 30)
    for n in range(5):
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as passing:
            await passing.execute(
                "update send_logs set status = 'failed' where email like %s", [f"reader{n}@%"]
            )
            await passing.execute(
                "update subscribers set status = 'bounced' where email like %s", [f"reader{n}@%"]
            )

    async def left() -> Any:
        await direct_store.keep_house()
        return await arrange.one(
            "select count(*) from (select connection from recipient_counts union all "
            "select connection from subscriber_counts) c "
            "where connection <> 0 and connection not in (select pid from pg_stat_activity)"
        )

    await eventually(left, until=lambda rows: rows == 0)
    await what_is_kept_is_what_is_there(arrange)
    assert await arrange.one("select count(*) from recipient_counts where connection = 0") > 0


async def test_counting_anew_mends_what_was_written_uncounted(
    direct_store: Store, arrange: Arrange
) -> None:
    """After a restore with triggers disabled."""
    await started_mailout(direct_store, arrange, 5)
    await arrange.sql.execute("set session_replication_role = replica")
    await arrange.sql.execute("delete from send_logs where email like 'reader1@%'")
    await arrange.sql.execute("delete from subscribers where email like 'reader1@%'")
    await arrange.sql.execute("reset session_replication_role")
    with pytest.raises(AssertionError):
        await what_is_kept_is_what_is_there(arrange)
    await arrange.sql.execute("select recount()")
    await what_is_kept_is_what_is_there(arrange)


async def test_what_a_group_of_failures_was_told_is_found_again(
    store: Store, arrange: Arrange
) -> None:
    """The dashboard shows the other side's words for each group, also after some rows moved on."""
    one = await mailed(store, arrange, 6)
    await store.apply_ses_events(
        [one.event(n, "reject", detail="Bad content") for n in range(3)]
        + one.bounced([3], subtype="NoEmail")
    )
    await store.apply_ses_events(one.delivered([2]))
    outcomes = await store.mailout_outcomes(one.mailout)
    assert {(g["status"], g["n"], g["message"]) for g in outcomes["groups"]} == {
        ("failed", 2, "Bad content"),
        ("bounced", 1, None),
    }


# What was there before


@pytest.fixture
def before() -> Bundle:
    """The first release's tables."""
    bundle = read_bundle()
    return Bundle(bundle.numbered[:1], (), 1, 1)


async def test_a_ledger_that_is_there_is_counted_once(empty_dsn: str, before: Bundle) -> None:
    await migrate(empty_dsn, before)
    mailout = uuid4()
    async with await psycopg.AsyncConnection.connect(empty_dsn, autocommit=True) as sql:
        await sql.execute(
            "insert into subscribers (email, status) select n || '@example.com', "
            "case when n < 4 then 'bounced' else 'active' end from generate_series(1, 10) n"
        )
        await sql.execute(
            "insert into send_logs (mailout_id, email, status, is_test) select %s, "
            "n || '@example.com', case when n < 4 then 'failed' else 'sent' end, n = 1 "
            "from generate_series(1, 10) n",
            [mailout],
        )
        await migrate(empty_dsn)
        found = await (await sql.execute("select mailout_counts(%s)", [mailout])).fetchone()
        assert found is not None
        assert {s: n for s, n in found[0].items() if n} == {"failed": 2, "sent": 7}
        found = await (await sql.execute("select subscribers_in('{active}')")).fetchone()
        assert found == (7,)


@pytest.mark.short
async def test_the_migration_and_an_event_do_not_block_each_other(
    empty_dsn: str, before: Bundle
) -> None:
    """It waits for an event that is being stored, which still needs the subscriber's row."""
    await migrate(empty_dsn, before)
    async with (
        await psycopg.AsyncConnection.connect(empty_dsn) as event,
        await psycopg.AsyncConnection.connect(empty_dsn, autocommit=True) as looking,
    ):
        reader = await one_of(
            event, "insert into subscribers (email) values ('a@b.c') returning id"
        )
        await event.commit()
        await event.execute(
            "insert into ses_events (sns_message_id, type, payload, occurred_at) "
            "values ('one', 'bounce', '{}', now())"
        )
        upgrade = asyncio.create_task(migrate(empty_dsn))

        async def waits() -> Any:
            return await one_of(
                looking, "select count(*) from pg_locks where not granted and locktype = 'relation'"
            )

        await eventually(waits, until=lambda locks: locks > 0)
        await event.execute("update send_logs set status = 'bounced' where id = 0")
        await event.execute("update subscribers set status = 'bounced' where id = %s", [reader])
        await event.commit()
        assert "0003_counts.sql" in await upgrade
        found = await one_of(looking, "select subscribers_in('{bounced}')")
        assert found == 1


async def one_of(sql: psycopg.AsyncConnection[Any], query: str) -> Any:
    row = await (await sql.execute(query.encode())).fetchone()
    assert row is not None
    return row[0]


# How many will get it


@pytest.mark.short
async def test_a_large_audience_by_tags_is_told_as_an_estimate(
    direct_store: Store, arrange: Arrange
) -> None:
    """Counting ten million would take longer than an answer may; queueing then finds the number."""
    await arrange.sql.execute(
        "insert into subscribers (email, tags, created_at) select n || '@example.com', "
        "array[case when n % 2 = 0 then 'even' else 'odd' end], now() - interval '1 day' "
        "from generate_series(1, 60000) n"
    )
    await arrange.sql.execute(
        "insert into subscribers (email, tags, created_at) values "
        "('few@example.com', '{few}', now() - interval '1 day')"
    )
    large = await arrange.mailout(audience={"tags": ["even"]})
    few = await arrange.mailout(audience={"tags": ["few"]})
    # As if a million were there: then about a tenth is looked at.
    await arrange.sql.execute("update subscriber_counts set subscribers = 1000001")
    await arrange.sql.execute("update tag_counts set subscribers = 500000 where tag <> 'few'")
    told = await answer_of(direct_store, large)
    assert told["recipients_estimated"] is True
    assert 400_000 < told["recipients"] < 600_000
    assert (await answer_of(direct_store, few))["recipients_estimated"] is False
    for mailout, recipients in ((large, 30_000), (few, 1)):
        while not (await direct_store.queue_recipients(mailout, 20_000))[1]:
            pass
        assert (await direct_store.show_mailout(mailout))["recipients"] == recipients


async def answer_of(store: Store, mailout: UUID) -> dict[str, Any]:
    claimed = await claim_mailout(store, mailout)
    assert claimed.response is not None
    return claimed.response


async def test_who_was_deleted_since_the_start_is_not_missed_in_the_end(
    store: Store, arrange: Arrange
) -> None:
    """`recipients` is whom there is to account for: the statement adds up to it."""
    await arrange.subscribers(5)
    mailout = await arrange.mailout()
    assert (await answer_of(store, mailout))["recipients"] == 5
    await arrange.sql.execute("delete from subscribers where email like 'reader1@%'")
    await store.queue_recipients(mailout, 100)
    sender = await living_sender(store)
    batch = await claim(store, mailout, sender)
    await store.record_results(batch.attempt_id, all_sent(batch))
    shown = await store.show_mailout(mailout)
    assert (shown["status"], shown["recipients"], shown["counts"]["sent"]) == ("sent", 4, 4)
