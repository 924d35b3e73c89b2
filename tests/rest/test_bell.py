"""Who starts something rings, so that nobody need ask each second; and sending doesn't ring."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import DictRow

from app.adapters.database.postgres import PostgresDatabase
from app.store import Store
from app.store.jobs import JobStore
from tests.support.factories import (
    Arrange,
    all_sent,
    claim,
    living_sender,
    start,
    started_mailout,
)

HOOK = (
    "insert into hooks (url, events, secret, created_by) "
    "values ('https://hooks.example.com/', '{mailout.sent}', 'whsec_x', 'test') returning id"
)
DELIVERY = (
    "insert into hook_deliveries (hook_id, event_id, type, subject, data) "
    "values (%s, 'evt_1', 'mailout.sent', gen_random_uuid(), '{}')"
)
SIGNUP = (
    "insert into signups (address, name, tags, page) values ('new@example.com', null, '{}', null)"
)
NEWS = (
    "select add_owner_news('domain', 'domain', "
    """'{"headline": "A", "lines": []}', '["mail"]')"""
)


class Bell:
    """All that rings, heard by a connection of its own."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection

    async def rings(self) -> int:
        """Since the last look."""
        await self._connection.execute("select pg_notify('amazonsender', 'end')")
        count = 0
        async for word in self._connection.notifies():
            if word.payload == "end":
                return count
            count += 1
        raise AssertionError("the connection broke")


@pytest.fixture
async def bell(dsn: str) -> AsyncIterator[Bell]:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("listen amazonsender")
        yield Bell(connection)


async def test_whatever_starts_something_rings(
    store: Store, database: PostgresDatabase, arrange: Arrange, bell: Bell
) -> None:
    await arrange.subscribers(2)
    mailout, hook = await arrange.mailout(), await arrange.one(HOOK)
    jobs = JobStore(database)
    await bell.rings()

    async def do(what: str, act: Callable[[], Awaitable[object]]) -> None:
        await act()
        assert await bell.rings(), what

    await do("test", lambda: store.queue_test(mailout, ["me@example.com"]))
    await do("start", lambda: start(store, mailout))
    await do("pause", lambda: store.pause_mailout(mailout, "held", "Why"))
    await do("resume", lambda: store.resume_mailout(mailout))
    await do("cancel", lambda: store.cancel_mailout(mailout))
    job, _ = await jobs.add_job("export", {})
    assert await bell.rings()
    await arrange.sql.execute("update jobs set state = 'failed', finished_at = now()")
    await do("retry", lambda: jobs.retry_job(job))
    await do("signup", lambda: arrange.sql.execute(SIGNUP))
    await do("news", lambda: arrange.sql.execute(NEWS))
    await do("hook", lambda: arrange.sql.execute(DELIVERY, [hook]))
    await arrange.sql.execute("update hook_deliveries set state = 'dead', settled_at = now()")
    replay = "select replay_hook_deliveries(%s, null, 10, 'me')"
    await do("replay", lambda: arrange.sql.execute(replay, [hook]))
    await arrange.sql.execute("update hooks set state = 'disabled', reason = 'x'")
    await bell.rings()
    enable = "select switch_hook(%s, 'active', null, 'me')"
    await do("enable", lambda: arrange.sql.execute(enable, [hook]))
    await do("schedule", lambda: arrange.mailout("scheduled", scheduled_at="2099-01-01 10:00+00"))
    ready = await arrange.mailout()
    await bell.rings()
    await do(
        "by hand",
        lambda: arrange.sql.execute(
            "update mailouts set status = 'sending' where id = %s", [ready]
        ),
    )


async def test_no_claim_and_no_result_rings(
    direct_store: Store, arrange: Arrange, bell: Bell
) -> None:
    """A transaction that rings holds a lock of the whole server while it commits."""
    mailout = await started_mailout(direct_store, arrange, 6)
    sender = await living_sender(direct_store)
    await bell.rings()
    for _ in range(2):
        batch = await claim(direct_store, mailout, sender, 2)
        await direct_store.record_results(batch.attempt_id, all_sent(batch))
    assert await bell.rings() == 0
    await direct_store.cancel_mailout(mailout)
    assert await bell.rings()


async def test_of_what_waits_for_a_hook_only_the_first_rings(arrange: Arrange, bell: Bell) -> None:
    """Events are told thousands a second; who delivers looks again until nothing is due."""
    hook, other = await arrange.one(HOOK), await arrange.one(HOOK)
    await arrange.sql.execute(DELIVERY, [hook])
    assert await bell.rings() == 1
    for _ in range(3):
        await arrange.sql.execute(DELIVERY, [hook])
    assert await bell.rings() == 0
    await arrange.sql.execute(DELIVERY, [other])
    assert await bell.rings() == 1
    await arrange.sql.execute("update hook_deliveries set state = 'done', settled_at = now()")
    await arrange.sql.execute(DELIVERY, [hook])
    assert await bell.rings() == 1


KINDS = (
    "mailouts", "jobs", "hooks", "engagement", "owner", "slack_news", "signups", "slack", "notion",
)  # fmt: skip


async def test_each_kind_of_work_is_found_when_it_is_due(
    store: Store, database: PostgresDatabase, arrange: Arrange
) -> None:
    assert await store.work_due(KINDS) == {}
    ahead = await arrange.mailout("scheduled", scheduled_at="2099-01-01 10:00+00")
    assert set(await store.work_due(KINDS)) == {"mailouts"}
    assert (await store.work_due(KINDS))["mailouts"] > 1e6
    await arrange.sql.execute(
        "update mailouts set scheduled_at = now() - interval '1 s' where id = %s", [ahead]
    )
    assert (await store.work_due(KINDS))["mailouts"] == 0
    await store.start_due_mailouts()
    await arrange.sql.execute("update mailouts set status = 'paused' where id = %s", [ahead])
    await arrange.sql.execute("update mailout_queues set done_at = now()")
    assert "mailouts" not in await store.work_due(KINDS)

    await store.queue_test(ahead, ["me@example.com"])
    assert (await store.work_due(KINDS))["mailouts"] == 0
    await arrange.sql.execute("update send_logs set next_attempt_at = now() + interval '1 hour'")
    assert 3_000 < (await store.work_due(KINDS))["mailouts"] <= 3_600

    jobs = JobStore(database)
    await jobs.add_job("export", {}, delay_seconds=100)
    assert 50 < (await store.work_due(KINDS))["jobs"] <= 100
    await jobs.add_job("export", {})
    assert (await store.work_due(KINDS))["jobs"] == 0
    assert await store.work_due(["signups"]) == {}, "nobody here looks for jobs"
    assert await store.work_due(["owner"]) == {"owner": 0}, "it was paused"
    await arrange.sql.execute("update owner_notices set outcome = 'sent', claimed_at = now()")
    assert await store.work_due(["owner"]) == {}

    await arrange.sql.execute(SIGNUP)
    assert (await store.work_due(KINDS))["signups"] == 0
    await arrange.sql.execute(NEWS)
    assert (await store.work_due(KINDS))["owner"] == 0
    hook = await arrange.one(HOOK)
    await arrange.sql.execute(DELIVERY, [hook])
    assert (await store.work_due(KINDS))["hooks"] == 0
    await arrange.sql.execute("update hooks set held_until = now() + interval '1 hour'")
    assert (await store.work_due(KINDS))["hooks"] > 3_000
    await arrange.sql.execute("update hooks set state = 'disabled'")
    assert "hooks" not in await store.work_due(KINDS)
    await arrange.sql.execute("insert into notion_write_asks (page_id) values (%s)", [uuid4()])
    assert (await store.work_due(KINDS))["notion"] == 0
    assert "slack" in await store.work_due(KINDS)


async def test_a_probe_is_heard_by_who_listens(store: Store, dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("listen amazonsender")
        await store.work_due([], "probe 1")
        heard = [word.payload async for word in connection.notifies(timeout=30, stop_after=1)]
        assert heard == ["probe 1"]


async def test_who_listens_is_not_woken_while_nothing_is_sent(
    postgres_database: PostgresDatabase,
    sql: psycopg.AsyncConnection[DictRow],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """psycopg's own waiting looks ten times a second whether it is to end."""
    wait, waiting = psycopg.AsyncConnection.wait, 0

    async def noted(self: Any, *arguments: Any, **more: Any) -> Any:
        nonlocal waiting
        waiting += 1
        try:
            return await wait(self, *arguments, **more)
        finally:
            waiting -= 1

    async with postgres_database.listen("here") as words:
        monkeypatch.setattr(psycopg.AsyncConnection, "wait", noted)
        await sql.execute("notify here, 'one'")
        assert await anext(words) == "one"
        following = asyncio.ensure_future(anext(words))
        await asyncio.sleep(0.2)
        assert not waiting
        await sql.execute("notify here, 'two'")
        await sql.execute("notify here, 'three'")
        assert [await following, await anext(words)] == ["two", "three"]
