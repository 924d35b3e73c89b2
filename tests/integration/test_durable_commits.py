"""What was answered or is about to be mailed survives a crash, whatever the server's settings."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

from app.adapters.database.embedded import EmbeddedPostgres
from app.adapters.database.migrations import migrate
from app.adapters.database.postgres import PostgresDatabase
from app.store import Store
from tests.support.factories import REGION, Arrange, all_sent, claim, living_sender, start

Sql = psycopg.AsyncConnection[DictRow]

# The writer of the log mustn't come by in time: what isn't flushed by its commit is lost.
HASTY = {"synchronous_commit": "off", "wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}


@pytest.fixture
def hasty_server() -> Iterator[EmbeddedPostgres]:
    """A server whose commits a crash takes back."""
    folder = Path(tempfile.mkdtemp(prefix="amazonsender-test-"))
    folder.chmod(0o711)
    own_bin = os.environ.get("TEST_POSTGRES_BIN")
    with EmbeddedPostgres(
        folder / "data", bin_dir=Path(own_bin) if own_bin else None, settings=HASTY
    ) as server:
        yield server
    shutil.rmtree(folder)


async def test_a_crash_takes_back_no_claim_no_result_and_no_word(
    hasty_server: EmbeddedPostgres,
) -> None:
    """Else the recipients of a claim are queued again although SES has their mails."""
    dsn = hasty_server.dsn()
    await migrate(dsn)
    async with await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, row_factory=dict_row
    ) as sql:
        arrange = Arrange(sql)
        database = PostgresDatabase(dsn)
        store = Store(database)
        await arrange.subscribers(4)
        mailout = await arrange.mailout()
        await start(store, mailout)
        sender = await living_sender(store)
        recorded = await claim(store, mailout, sender, limit=1)
        await store.record_results(recorded.attempt_id, all_sent(recorded))
        leaver = await arrange.one(
            "select subscriber_id from send_logs where status = 'queued' limit 1"
        )
        await store.unsubscribe(leaver, None)
        await claim(store, mailout, sender, limit=1)
        # Last, so that nothing flushes it along. Nothing depends on these counts.
        await store.record_refused_messages({"signature": 1})
        hasty_server._pg_ctl("stop", "-m", "immediate", "-w", check=True)
        await database.close()
    hasty_server.stop()
    hasty_server.start()
    async with await psycopg.AsyncConnection.connect(
        hasty_server.dsn(), autocommit=True, row_factory=dict_row
    ) as sql:
        arrange = Arrange(sql)
        assert await arrange.one("select count(*) from refused_messages") == 0, "it isn't hasty"
        assert await arrange.counts(mailout) == {"sent": 1, "sending": 1, "queued": 1, "skipped": 1}
        status = await arrange.one("select status from subscribers where id = %s", leaver)
        assert status == "unsubscribed"


async def now(sql: Sql) -> str:
    done = await sql.execute("select current_setting('synchronous_commit') as setting")
    row = await done.fetchone()
    assert row is not None
    setting: str = row["setting"]
    return setting


@pytest.fixture
async def scene(direct_store: Store, arrange: Arrange) -> dict[str, Any]:
    """What the calls below are about."""
    await arrange.subscribers(8)
    ready, running = await arrange.mailout(), await arrange.mailout()
    found = await direct_store.find_mailout(ready)
    assert found is not None
    await start(direct_store, running)
    sender = await living_sender(direct_store)
    open_batch = await claim(direct_store, running, sender, limit=1)
    to_release = await claim(direct_store, running, sender, limit=1)
    over = await arrange.mailout("sent")
    await arrange._insert(
        "send_logs", {"mailout_id": over, "email": "a@example.com", "status": "failed"}
    )
    return {
        "reader": await arrange.one("select id from subscribers limit 1"),
        "ready": ready,
        "hash": found.content_hash,
        "running": running,
        "over": over,
        "sender": sender,
        "attempt": open_batch.attempt_id,
        "row": open_batch.recipients[0].send_log_id,
        "release": to_release.attempt_id,
        "new": uuid4(),
        "region": REGION,
    }


CALLS = {
    "claim_mailout": "claim_mailout(%(ready)s, %(hash)s)",
    "queue_test": "queue_test(%(ready)s, '[\"a@example.com\"]', %(hash)s)",
    "claim_batches": "claim_batches(%(running)s, %(sender)s, %(region)s, 1, "
    "jsonb_build_array(%(new)s::text))",
    "claim_recipients": "claim_recipients(%(running)s, %(sender)s, %(region)s, 1, "
    "jsonb_build_array(%(new)s::text))",
    "record_batches": "record_batches(jsonb_build_array(jsonb_build_object("
    "'attempt', %(attempt)s::text, 'ids', jsonb_build_array(%(row)s::bigint), "
    "'message_ids', jsonb_build_array('m'), 'rest', '[]'::jsonb)))",
    "record_results": "record_results(%(attempt)s, jsonb_build_array(jsonb_build_object("
    "'id', %(row)s::bigint, 'outcome', 'sent', 'message_id', 'm')))",
    "release_batches": "release_batches(jsonb_build_array(%(release)s::text))",
    "apply_ses_events": "apply_ses_events(jsonb_build_array(jsonb_build_object("
    "'sns_message_id', 's', 'type', 'delivery', 'message_id', 'm', 'payload', '{}'::jsonb, "
    "'occurred_at', now())))",
    "unsubscribe": "unsubscribe(%(reader)s, %(running)s)",
    "resend_mailout": "resend_mailout(%(over)s, '[\"failed\"]', true)",
    "pause_mailout": "pause_mailout(%(running)s, 'person', 'x')",
    "cancel_mailout": "cancel_mailout(%(running)s)",
    "import_subscribers": 'import_subscribers(\'[{"email": "new@example.com", "fields": {}}]\')',
    "create_mailout": 'create_mailout(\'{"subject": "x", "body_html": "x"}\')',
    "end_session": "end_session('x', now())",
    "add_job": "add_job('dry_run')",
}


@pytest.mark.few_variants(4)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_each_word_is_committed_durably(sql: Sql, scene: dict[str, UUID], call: str) -> None:
    """The setting holds until the end of the very transaction, and not beyond."""
    assert await now(sql) == "off"
    async with sql.transaction():
        await sql.execute(f"select {call}".encode(), scene)
        assert await now(sql) == "on"
    assert await now(sql) == "off"


async def test_what_a_person_writes_by_hand_too(sql: Sql, arrange: Arrange) -> None:
    ann = await arrange.subscriber()
    async with sql.transaction():
        await sql.execute("update subscribers set status = 'unsubscribed' where id = %s", [ann])
        assert await now(sql) == "on"


@pytest.mark.parametrize("chosen", ["local", "remote_write", "remote_apply"])
async def test_which_standbys_are_waited_for_is_the_owners_choice(
    sql: Sql, arrange: Arrange, chosen: str
) -> None:
    async with sql.transaction():
        await sql.execute(f"set local synchronous_commit = {chosen}".encode())
        await arrange.subscriber()
        assert await now(sql) == chosen
