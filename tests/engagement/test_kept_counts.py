"""What a report says from counts that are kept is what counting anew says, whatever happened."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import psycopg
from hypothesis import HealthCheck, given, settings
from psycopg.rows import dict_row

from app.adapters.database.postgres import PostgresDatabase
from app.store import Store
from tests.support.engagement import (
    BROWSER,
    MICROSOFT,
    SOMEWHERE,
    SPRING,
    Mailed,
    happened,
    judge_all,
    mailed,
    told,
    tracked_mailout,
)
from tests.support.factories import Arrange
from tests.support.transactions import Transaction, blocked, open_transaction

# The report's functions as they were while they counted anew, but that events count once they are
# judged.
TOTALS = """
with grouped as (
    select open_class, click_class, rules, due_at is not null or rules is null as waits,
           count(*) as n
      from engagement_recipients where mailout_id = %(m)s group by 1, 2, 3, 4)
select jsonb_build_object(
    'engaged', coalesce(sum(n), 0), 'waiting', coalesce(sum(n) filter (where waits), 0),
    'opens', by_class(coalesce(sum(n) filter (where open_class = 'human'), 0)::bigint,
                      coalesce(sum(n) filter (where open_class = 'machine'), 0)::bigint,
                      coalesce(sum(n) filter (where open_class = 'unknown'), 0)::bigint),
    'clicks', by_class(coalesce(sum(n) filter (where click_class = 'human'), 0)::bigint,
                       coalesce(sum(n) filter (where click_class = 'machine'), 0)::bigint,
                       coalesce(sum(n) filter (where click_class = 'unknown'), 0)::bigint),
    'readers', by_class(
        coalesce(sum(n) filter (where 'human' in (open_class, click_class)), 0)::bigint,
        coalesce(sum(n) filter (where 'machine' in (open_class, click_class)
                            and not '{human,unknown}' && array[open_class, click_class]),
                 0)::bigint,
        coalesce(sum(n) filter (where 'unknown' in (open_class, click_class)
                            and not '{human}' && array[open_class, click_class]), 0)::bigint),
    'judged', (select coalesce(jsonb_agg(to_jsonb(r) order by rules), '[]')
                 from (select rules, sum(n) as people from grouped
                        where rules is not null group by rules) r))
  from grouped
"""
LINKS = """
with people as (
    select link_id, send_log_id, bool_or(class = 'human') as human,
           bool_or(class = 'unknown') as maybe,
           bool_or(class = 'machine') as machine, sum(coalesce(counted, events)) as events
      from engagement_signals where mailout_id = %(m)s and kind = 'click' and class is not null
     group by link_id, send_log_id
), links as (
    select link_id, count(*) filter (where human) as human,
           count(*) filter (where maybe and not human) as maybe,
           count(*) filter (where machine and not human and not maybe) as machine,
           sum(events) as events
      from people group by link_id)
select coalesce(jsonb_agg(jsonb_build_object(
           'url', l.url, 'events', coalesce(k.events, 0), 'human', coalesce(human, 0),
           'machine', coalesce(machine, 0), 'unknown', coalesce(maybe, 0)) order by l.url), '[]')
  from mailout_links l left join links k on k.link_id = l.id where l.mailout_id = %(m)s
"""
REASONS = """
select coalesce(jsonb_agg(to_jsonb(r) order by people desc, kind, class, reason), '[]')
  from (select kind, class, reason, count(*) as people, sum(events) as events
          from (select kind, class, reason, send_log_id, sum(coalesce(counted, events)) as events
                  from engagement_signals where mailout_id = %(m)s and class is not null
                 group by kind, class, reason, send_log_id) each
         group by kind, class, reason) r
"""
SERIES = """
with start as (select date_bin('1 hour', started_at, 'epoch') as at from mailouts where id = %(m)s)
select coalesce(jsonb_agg(to_jsonb(p) order by at, kind, class), '[]') from (
    select kind, class, sum(events) as events, sum(people) as people,
           case when each.at < start.at + interval '48 hours' then each.at
                else date_bin('1 day', each.at, start.at) end as at
      from start, (
        select kind, class, date_bin('1 hour', first_at, 'epoch') as at, sum(coalesce(counted, events)) as events,
               0 as people
          from engagement_signals where mailout_id = %(m)s and class is not null group by 1, 2, 3
        union all
        select 'open', open_class, date_bin('1 hour', opened_at, 'epoch'), 0, count(*)
          from engagement_recipients where mailout_id = %(m)s and open_class is not null group by 1, 2, 3
        union all
        select 'click', click_class, date_bin('1 hour', clicked_at, 'epoch'), 0, count(*)
          from engagement_recipients where mailout_id = %(m)s and click_class is not null group by 1, 2, 3) each
     where each.at is not null group by 1, 2, 5) p
"""  # noqa: E501

FILE = Path(__file__).parents[2] / "migrations" / "0071_engagement_counts.sql"
BEFORE = """
drop table engagement_counts, engagement_counting;
drop function uncounted_engagement, hour_number, best_class, count_readers, count_signals,
    count_written_readers, count_changed_readers, count_written_signals, count_changed_signals,
    forget_engagement_counts cascade;
alter table engagement_signals drop column counted;
drop index engagement_recipients_waiting;
create index engagement_recipients_mailout on engagement_recipients (mailout_id)
"""

CLASS = st.sampled_from(["human", "unknown", "machine", None])
WHO = st.integers(0, 3)
EVENT = st.tuples(
    st.just("event"),
    WHO,
    st.sampled_from(["Delivery", "Open", "Click"]),
    st.sampled_from([0.4, 30.0, 610.0, 700.0, 9_000.0, 400_000.0]),
    st.sampled_from([SPRING, "https://example.com/sale", "https://example.com/x?u=1"]),
    st.sampled_from([SOMEWHERE, MICROSOFT]),
    st.sampled_from([BROWSER, "curl/8.0"]),
)
OPERATION = st.one_of(
    EVENT,
    EVENT,
    st.tuples(st.just("judge")),
    st.tuples(st.just("judge again")),
    st.tuples(st.just("other verdicts"), CLASS, CLASS),
    st.tuples(st.just("erase"), WHO),
    st.tuples(st.just("count anew")),
    st.tuples(st.just("count a slice"), st.integers(1, 3)),
    st.tuples(st.just("a connection ends")),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(OPERATION, min_size=3, max_size=14))
def test_kept_counts_are_what_counting_anew_gives(dsn: str, operations: list[Any]) -> None:
    asyncio.run(_compare(dsn, operations))


async def _compare(dsn: str, operations: list[Any]) -> None:
    database = PostgresDatabase(dsn)
    async with (
        AsyncExitStack() as stack,
        await psycopg.AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row) as sql,
    ):
        stack.push_async_callback(database.close)
        store, arrange = Store(database), Arrange(sql)
        await sql.execute(
            "truncate engagement_recipients, engagement_signals, mailout_links, ses_events, "
            "engagement_counting; delete from send_logs; delete from subscribers; "
            "delete from mailout_snapshots; delete from mailouts"
        )
        mailouts = [await tracked_mailout(arrange) for _ in range(2)]
        mails = [await mailed(arrange, mailouts[n % 2]) for n in range(4)]
        for operation in operations:
            await _do(store, arrange, mails, *operation)
            for mailout in mailouts:
                await _same(arrange, mailout)
        while await arrange.one("select count_engagement(2)"):
            pass
        assert await arrange.one("select count(*) from engagement_counting") == 0
        for mailout in mailouts:
            await _same(arrange, mailout)


async def _do(store: Store, arrange: Arrange, mails: list[Mailed], what: str, *how: Any) -> None:
    match what, how:
        case "event", (whose, kind, after, link, ip, agent):
            event = told(mails[whose], kind, after, link=link, ip=ip, agent=agent)
            await happened(store, event)
        case "judge", ():
            await judge_all(store)
        case "judge again", ():
            await store.mark_engagement(0, None, 100, "me")
            await judge_all(store)
        case "other verdicts", (name, other):
            await arrange.sql.execute(
                "update engagement_recipients set open_class = %s, click_class = %s, "
                "opened_at = delivered_at, rules = 2",
                [name, other],
            )
            await arrange.sql.execute(
                "update engagement_signals set reason = 'other', "
                "class = case when id %% 2 = 0 then %s else %s end",
                [name, other],
            )
        case "erase", (whose,):
            await store.erase_subscriber(mails[whose].email, "cli")
        case "count anew", ():
            await arrange.sql.execute("select recount()")
        case "count a slice", (limit,):
            await arrange.one("select count_engagement(%s)", limit)
        case "a connection ends", ():
            await arrange.sql.execute(
                "update engagement_counts set connection = connection + 90000000 "
                "where connection <> 0; "
                "select merge_engagement_counts(1000)"
            )
            left = "select count(*) from engagement_counts where connection <> 0"
            assert await arrange.one(left) == 0


async def _same(arrange: Arrange, mailout: UUID) -> None:
    totals = await _asked(arrange, "select engagement_totals(%(m)s)", mailout)
    expected = await _asked(arrange, TOTALS, mailout)
    assert totals["tracked"] >= expected.pop("engaged")
    assert {name: totals[name] for name in expected} == expected
    links = await _asked(arrange, "select engagement_links(%(m)s, 100)", mailout)
    names = ("url", "events", "human", "machine", "unknown")
    told_links = [{name: link[name] for name in names} for link in links]
    expected = await _asked(arrange, LINKS, mailout)
    assert sorted(told_links, key=lambda link: link["url"]) == expected
    reasons = await _asked(arrange, "select engagement_reasons(%(m)s)", mailout)
    assert reasons == await _asked(arrange, REASONS, mailout)
    series = await _asked(arrange, "select engagement_series(%(m)s)", mailout)
    assert series["points"] == await _asked(arrange, SERIES, mailout)


async def _asked(arrange: Arrange, query: str, mailout: UUID) -> Any:
    found = await (await arrange.sql.execute(query.encode(), {"m": mailout})).fetchone()
    assert found is not None
    return next(iter(found.values()))


async def _judged_and_uncounted(store: Store, arrange: Arrange) -> list[Mailed]:
    """Three who opened, in a database of before the counts."""
    mailout = await tracked_mailout(arrange)
    mails = [await mailed(arrange, mailout) for _ in range(3)]
    await happened(store, *map(told, mails))
    await judge_all(store)
    await arrange.sql.execute("select recount()")
    assert await arrange.one("select count(*) from engagement_counts") == 0
    return mails


async def test_an_upgrade_counts_what_was_there_and_what_comes(
    direct_store: Store, arrange: Arrange
) -> None:
    mailout = await tracked_mailout(arrange)
    mails = [await mailed(arrange, mailout) for _ in range(3)]
    await happened(direct_store, *map(told, mails), told(mails[0], "Click"))
    await judge_all(direct_store)
    for statement in BEFORE.split(";"):
        await arrange.sql.execute(statement.encode())
    await arrange.sql.execute(f"begin; {FILE.read_text('utf-8')}; commit".encode())
    assert await arrange.one("select ends_at from engagement_counting") == mails[2].log
    late = await mailed(arrange, mailout)
    await happened(direct_store, told(late), told(mails[1], "Click"))
    await judge_all(direct_store)
    await _same(arrange, mailout)
    while await direct_store.keep_house():
        pass
    assert await arrange.one("select count(*) from engagement_counting") == 0
    await _same(arrange, mailout)


async def test_what_was_there_before_is_counted_by_upkeep(
    direct_store: Store, arrange: Arrange
) -> None:
    mails = await _judged_and_uncounted(direct_store, arrange)
    await _same(arrange, mails[0].mailout)
    while await direct_store.keep_house():
        pass
    assert await arrange.one("select count(*) from engagement_counting") == 0
    counted = "select sum(people) from engagement_counts where part = 'totals'"
    assert await arrange.one(counted) == 3
    await _same(arrange, mails[0].mailout)


async def test_a_verdict_in_hand_is_counted_once_by_it_or_by_the_slice(
    direct_store: Store, arrange: Arrange, dsn: str
) -> None:
    """A slice waits for it for a moment only, and a verdict waits for a slice."""
    mails = await _judged_and_uncounted(direct_store, arrange)
    change = "update engagement_recipients set open_class = 'machine' where send_log_id = %s"
    async with await psycopg.AsyncConnection.connect(dsn) as judging:
        await judging.execute(change, [mails[0].log])
        assert await arrange.one("select count_engagement(2)") == 0
        await judging.commit()
        async with open_transaction(dsn) as counting:
            assert await counting.call("count_engagement", p_limit=2) == 2
            late = judging.execute(change, [mails[1].log])
            task = await blocked(arrange, Transaction(judging), late)
            await counting.commit()
            await task
        await judging.commit()
    while await arrange.one("select count_engagement(2)"):
        pass
    await _same(arrange, mails[0].mailout)


async def test_a_mailout_that_shrank_keeps_no_counts(direct_store: Store, arrange: Arrange) -> None:
    mails = await _judged_and_uncounted(direct_store, arrange)
    while await direct_store.keep_house():
        pass
    await arrange.sql.execute(
        "update mailouts set sent_at = now() - interval '400 days', "
        "started_at = now() - interval '400 days'"
    )
    report = "select engagement_reasons(%(m)s)"
    before = await _asked(arrange, report, mails[0].mailout)
    while await direct_store.shrink_old_mailouts(365):
        pass
    assert await arrange.one("select count(*) from engagement_recipients") == 0
    assert await arrange.one("select count(*) from engagement_counts") == 0
    assert before and await _asked(arrange, report, mails[0].mailout) == before
