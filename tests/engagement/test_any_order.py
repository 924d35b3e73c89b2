"""Events come in any order, doubled and in any groups, before and after judging: the same is kept,
and the same is judged."""

from __future__ import annotations

import asyncio
from typing import Any

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
    judge_all,
    mailed,
    row,
    told,
    tracked_mailout,
)
from tests.support.factories import Arrange
from tests.support.wide import examples

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["Delivery", "Open", "Click"]),
        st.integers(0, 1),  # whose
        st.sampled_from([-90.0, 0.0, 0.4, 2.0, 30.0, 610.0, 700.0, 9_000.0]),
        st.sampled_from([SPRING, "https://example.com/sale", "https://example.com/x?u=1"]),
        st.sampled_from([SOMEWHERE, MICROSOFT]),
        st.sampled_from([BROWSER, "curl/8.0", ""]),
    ),
    min_size=1,
    max_size=10,
)
TABLES = """
select jsonb_build_object(
  'signals', (select jsonb_agg(to_jsonb(s) - '{id,link_id}'::text[]
                               || jsonb_build_object('link', l.url)
                               order by s.send_log_id, s.kind, l.url, s.network, s.agent, s.slot)
                from engagement_signals s left join mailout_links l on l.id = s.link_id),
  'recipients', (select jsonb_agg(to_jsonb(r) order by send_log_id) from engagement_recipients r),
  'links', (select jsonb_agg(to_jsonb(l) - 'id' order by url) from mailout_links l)) as tables
"""


@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, data=st.data())
def test_the_same_tables_in_the_end(dsn: str, events: list[Any], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(events))))
    doubled = data.draw(st.lists(st.sampled_from(range(len(events))), max_size=4))
    # After which of them a group ends, and after which all is judged.
    ends = data.draw(st.sets(st.integers(0, len(events) + 3)))
    looks = data.draw(st.sets(st.integers(0, len(events) + 3), max_size=3))
    asyncio.run(_compare(dsn, events, [*order, *doubled], ends, looks))


async def _compare(
    dsn: str, events: list[Any], order: list[int], ends: set[int], looks: set[int]
) -> None:
    database = PostgresDatabase(dsn)
    store = Store(database)
    async with await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, row_factory=dict_row
    ) as sql:
        await sql.execute("delete from send_logs; delete from subscribers; delete from mailouts")
        arrange = Arrange(sql)
        mailout = await tracked_mailout(arrange)
        mails = [await mailed(arrange, mailout) for _ in range(2)]
        rows = [_row(mails, n, event) for n, event in enumerate(events)]
        await _forget(arrange)
        await store.apply_ses_events(rows)
        await judge_all(store)
        expected = await arrange.one(TABLES)

        await _forget(arrange)
        group: list[dict[str, Any]] = []
        for place, n in enumerate(order):
            group.append(rows[n])
            if place in ends or place == len(order) - 1:
                await store.apply_ses_events(group)
                group = []
            if place in looks:
                await judge_all(store)
        await judge_all(store)
        assert await arrange.one(TABLES) == expected
    await database.close()


def _row(mails: list[Mailed], n: int, event: Any) -> dict[str, Any]:
    kind, whose, after, link, ip, agent = event
    return row(told(mails[whose], kind, after, link=link, ip=ip, agent=agent), f"sns-{n}")


async def _forget(arrange: Arrange) -> None:
    await arrange.sql.execute(
        "delete from ses_events; delete from engagement_signals; "
        "delete from engagement_recipients; delete from mailout_links; "
        "update mailout_snapshots set links_read = false; "
        "update send_logs set status = 'sent', event_at = null"
    )
