"""No call reads more rows because the tables are larger, whatever PostgreSQL believes of them.

Its plans rest on statistics that may be from before a list was imported, and on plans that a
connection keeps from when the tables were small. Each of these is staged here, then every call
is made beside thousands of rows that it has nothing to do with, and the rows it reads are counted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.databases import DatabaseServer
from tests.support.factories import REGION, Arrange
from tests.support.reads import Reader, reader

OTHERS = 6_000
"""Rows of others in each table."""
BATCH = 50
FIRST = str(UUID(int=0))
ACCOUNT = {
    "max_send_rate": 1e6, "max_24h_send": -1, "sent_last_24h": 0, "sending_enabled": True,
    "enforcement_status": "HEALTHY", "production_access": True,
}  # fmt: skip

# Most rows that a call may read: what it is about, and the index entries on the way there.
LIMITS = {
    "claim_recipients": 4 * BATCH,
    "record_batches": 4 * BATCH,
    "apply_ses_events": 30 * BATCH,
    "queue_recipients": 300,
    "apply_parked_events": 1_100,
    "watchdog_figures": 1_100,
    "list_recipients": 3 * BATCH + 1,  # of each row up to three versions, and one row ahead
    "recipients_page": 10 * BATCH,  # 2 of rows, and the versions that no vacuum has taken yet
    "mailouts_page": 3 * BATCH,
    "sample_reader": 600,
    "engagement_groups_slice": 6 * BATCH,
    "engagement_page": 3 * BATCH,
    "list_subscribers": 3 * BATCH,
    "cancel_recipients": 400,  # past the entries of those who were claimed before
    "resend slice": 600,
    "sample_subscriber": 5_200,
    "erase_subscriber": 2 * OTHERS + 600,  # each event that fits no row may name them
    "metrics_snapshot": 500,  # some rows of each mailout that runs or ran of late
}
ELSE = 150


@dataclass
class Life:
    """Whole lives of mailouts on one connection; read: rows, by what was called."""

    arrange: Arrange
    reader: Reader
    sender: str = field(default_factory=lambda: str(uuid4()))
    read: dict[str, int] = field(default_factory=dict)

    async def call(self, function: str, *, called: str = "", **arguments: Any) -> Any:
        answer, rows = await self.reader.call(function, **arguments)
        name = called or function
        self.read[name] = max(rows, self.read.get(name, 0))
        return answer

    async def begin(self) -> None:
        await self.call("record_account", p_region=REGION, p_account=ACCOUNT)
        await self.call(
            "heartbeat", p_executor=self.sender, p_region=REGION, p_label="x", p_lease_seconds=600,
            p_rate_limit=1e6,
        )  # fmt: skip
        await self.ask_at_once()

    async def ask_at_once(self) -> None:
        """What a process asks from its start on, also when the tables are empty."""
        kinds = ["mailouts", "jobs", "hooks", "engagement", "owner", "signups", "slack"]
        await self.call("sender_work")
        await self.call("work_due", p_kinds=kinds)
        await self.call("recover_lost", p_executor=self.sender)
        await self.call("apply_parked_events")
        await self.call("start_due_mailouts")
        await self.call("metrics_snapshot")
        await self.call("watchdog_figures", p_patience=0.0)

    async def test_mails(self) -> None:
        """What a fresh installation does first: each claim is of one row, in an empty ledger."""
        mailout = str(await self.arrange.mailout("draft"))
        for _ in range(7):
            await self.call("queue_test", p_mailout=mailout, p_emails=["me@example.com"])
            await self._send(mailout, test=True)

    async def mailout(self, tag: str, readers: int, **columns: Any) -> str:
        """Start and queue one to new subscribers; those of others are there already."""
        await self.arrange.sql.execute(
            "insert into subscribers (email, created_at, tags) select %s || n || '@example.com', "
            "now() - interval '1 day', array['all', %s] from generate_series(1, %s) n",
            [tag, tag, readers],
        )
        mailout = str(await self.arrange.mailout(tracking=True, **columns))
        content = await self.arrange.one(
            "select mailout_content_hash(m) from mailouts m where id = %s", mailout
        )
        claimed = await self.call("claim_mailout", p_mailout=mailout, p_content_hash=content)
        assert claimed["outcome"] == "claimed"
        return mailout

    async def queue(self, mailout: str, slices: int = 10**6) -> None:
        for _ in range(slices):
            done = (await self.call("queue_recipients", p_mailout=mailout, p_limit=100))["done"]
            if done:
                return

    async def _send(self, mailout: str, *, test: bool = False, after: int = 0) -> int:
        """A batch, its results and events; gives the last row's id."""
        claimed = await self.call(
            "claim_recipients", p_mailout=mailout, p_executor=self.sender, p_region=REGION,
            p_limit=BATCH, p_attempts=[str(uuid4())], p_test=test, p_after=after,
            p_bounce_rate=1, p_complaint_rate=1,
        )  # fmt: skip
        [attempt], ids = claimed["attempts"], claimed["ids"]
        batch = {"attempt": attempt, "ids": ids, "message_ids": [f"m{n}" for n in ids], "rest": []}
        await self.call("record_batches", p_batches=[batch])
        if not test:
            await self.call("apply_ses_events", p_events=self._events(mailout, attempt, ids))
        return int(max(ids))

    def _events(self, mailout: str, attempt: str, ids: list[int]) -> list[dict[str, Any]]:
        """A delivery each, of one a bounce, and an open of the older form, without tags."""
        events: list[dict[str, Any]] = [
            {
                "sns_message_id": str(uuid4()), "type": "delivery", "message_id": f"m{n}",
                "occurred_at": "2026-11-24T12:00:00+00:00", "mailout_id": mailout,
                "send_log_id": n, "attempt": attempt, "payload": {},
            }
            for n in ids
        ]  # fmt: skip
        opened = {"send_log_id": None, "mailout_id": None, "attempt": None, "type": "open"}
        bounced = {"type": "bounce", "bounce_type": "Permanent", "suppresses": "bounced"}
        events.append(events[-1] | opened | {"sns_message_id": str(uuid4())})
        events[0] |= bounced
        return events

    async def send(self, mailout: str) -> None:
        after = 0
        for _ in range(2):
            after = await self._send(mailout, after=after)
        leaving = await self.arrange.one(
            "select subscriber_id from send_logs where mailout_id = %s and status = 'queued' "
            "order by id desc limit 1",
            mailout,
        )
        await self.call("unsubscribe", p_subscriber=leaving, p_mailout=mailout)

    async def look(self, mailout: str) -> None:
        """Everything that somebody, or the sender, asks beside."""
        known = await self.arrange.one("select email from subscribers order by id desc limit 1")
        person = str(await self.arrange.one("select id from subscribers where email = %s", known))
        for function, arguments in (
            ("sender_work", {}),
            ("work_due",
             {"p_kinds": ["mailouts", "jobs", "hooks", "engagement", "owner", "signups", "slack"]}),
            ("finish_mailout", {"p_mailout": mailout}),
            ("recover_lost", {"p_executor": self.sender}),
            ("release_batches", {"p_attempts": [str(uuid4())]}),
            ("apply_parked_events", {}),
            ("record_account", {"p_region": REGION, "p_account": ACCOUNT}),
            ("watchdog_figures", {"p_patience": 0.0}),
            ("metrics_snapshot", {}),
            ("quota_frees_at", {"p_region": REGION}),
            ("sending_pace", {"p_mailout": mailout}),
            ("account_overview", {"p_region": REGION}),
            ("show_mailout", {"p_mailout": mailout}),
            ("mailout_outcomes", {"p_mailout": mailout}),
            ("mailout_series", {"p_mailout": mailout}),
            ("count_audience", {"p_mailout": mailout}),
            ("engagement_totals", {"p_mailout": mailout}),
            ("engagement_links", {"p_mailout": mailout, "p_limit": BATCH}),
            ("engagement_reasons", {"p_mailout": mailout}),
            ("engagement_series", {"p_mailout": mailout}),
            ("engagement_groups_slice",
             {"p_mailout": mailout, "p_by": "domain", "p_after": FIRST, "p_rows": BATCH}),
            ("engagement_groups_slice",
             {"p_mailout": mailout, "p_by": "tag", "p_after": FIRST, "p_rows": BATCH}),
            ("engagement_page", {"p_mailout": mailout, "p_after": FIRST, "p_limit": BATCH}),
            ("sample_subscriber", {"p_mailout": mailout}),
            ("audience_slice", {"p_mailout": mailout, "p_after": FIRST, "p_limit": BATCH}),
            ("field_names_slice", {"p_after": FIRST, "p_limit": BATCH}),
            ("list_recipients", {"p_mailout": mailout, "p_after": FIRST, "p_limit": BATCH}),
            ("recipients_page",
             {"p_mailout": mailout, "p_limit": BATCH, "p_reach": 2 * BATCH, "p_q": "nobody"}),
            ("recipients_page",
             {"p_mailout": mailout, "p_limit": BATCH, "p_reach": 2 * BATCH, "p_q": known}),
            ("recipients_page",
             {"p_mailout": mailout, "p_limit": BATCH, "p_reach": 10_000,
              "p_statuses": ["complained"]}),
            ("mailouts_page", {"p_limit": BATCH}),
            ("sample_reader", {}),
            ("list_subscribers", {"p_limit": BATCH}),
            ("list_subscribers", {"p_limit": BATCH, "p_status": "unsubscribed"}),
            ("list_subscribers", {"p_limit": BATCH, "p_status": "bounced"}),
            ("find_subscriber", {"p_email": known}),
            ("subscribers_page", {"p_filter": {"status": "unsubscribed"}, "p_limit": BATCH // 2}),
            ("subscribers_page", {"p_filter": {"tags": ["nobody"]}, "p_limit": BATCH}),
            ("subscribers_page", {"p_filter": {"q": known}, "p_limit": BATCH}),
            ("people_overview", {"p_tags": 30}),
            ("export_person", {"p_email": known}),
            ("subscriber_history", {"p_subscriber": person, "p_limit": BATCH}),
            ("person_engagement", {"p_subscriber": person, "p_limit": BATCH}),
            ("why_mailed", {"p_mailout": mailout, "p_email": known}),
            ("list_growth", {"p_by": "day", "p_periods": 30}),
            ("list_segments", {"p_limit": BATCH}),
            ("change_subscriber", {"p_email": known, "p_by": "x", "p_change": {"add_tags": ["y"]}}),
            ("import_subscribers", {"p_rows": [{"email": known}, {"email": f"{uuid4()}@x.org"}]}),
            ("compare_suppressed", {"p_emails": [known, "nobody@example.com"]}),
            ("begin_suppression_check", {"p_region": REGION}),
            ("end_suppression_check",
             {"p_region": REGION, "p_listed": 1, "p_active": 1, "p_left": 1}),
            ("pause_mailout", {"p_mailout": mailout, "p_code": "person", "p_reason": "x"}),
            ("claim_owner_notice", {"p_region": REGION}),
            ("claim_slack_message", {"p_lease_seconds": 60, "p_gap_seconds": 0}),
            ("slack_facts", {"p_mailout": mailout}),
            ("settle_slack_message",
             {"p_mailout": mailout, "p_claim": 1, "p_result": {"place": None, "told": {}},
              "p_next_seconds": 0, "p_turn": None, "p_rest_seconds": 0, "p_concerns_all": False}),
            ("resume_mailout", {"p_mailout": mailout}),
        ):  # fmt: skip
            await self.call(function, **arguments)
        await self.import_and_undo(known)

    async def import_and_undo(self, known: str) -> None:
        """Somebody known, who changes, and somebody new; then both are as before."""
        begun = await self.call(
            "begin_import", p_by="x", p_mode="upsert", p_dry_run=False, p_tags=[], p_mapping={},
            p_file_name=None,
        )  # fmt: skip
        await self.call("store_import_chunk", p_import=begun, p_n=0, p_data="", p_size=0)
        job = (await self.call("start_import", p_import=begun, p_by="x"))["job_id"]
        claim = (await self.call("claim_one_job", p_job=job, p_lease_seconds=60))["claim"]
        rows = [
            {"line": 2, "email": known.lower(), "status": "complained", "tags": ["t"]},
            {"line": 3, "email": f"{uuid4()}@x.org", "status": "active"},
        ]
        await self.call(
            "import_chunk", p_import=begun, p_job=job, p_claim=claim, p_from=0,
            p_before=None, p_rows=rows,
            p_repeated=[{"email": rows[1]["email"], "status": "unsubscribed"}], p_refused=[],
            p_progress={},
        )  # fmt: skip
        await self.call("end_import", p_import=begun)
        await self.call("settle_job", p_job=job, p_claim=claim, p_outcome="done")
        job = (await self.call("begin_undo_import", p_import=begun, p_by="x"))["job_id"]
        claim = (await self.call("claim_one_job", p_job=job, p_lease_seconds=60))["claim"]
        for _ in range(2):
            await self.call(
                "undo_import_slice", p_import=begun, p_job=job, p_claim=claim, p_limit=BATCH
            )
        await self.call("list_imports", p_limit=BATCH)
        await self.call("unread_emails", p_after=FIRST, p_limit=BATCH)

    async def end(self, mailout: str) -> None:
        """Cancelled half way, after somebody was erased who had got it."""
        gone = await self.arrange.one(
            "select email from send_logs where mailout_id = %s and status = 'delivered' limit 1",
            mailout,
        )
        erased = await self.call("erase_subscriber", p_email=gone, p_by="owner")
        assert erased["events"] >= 1
        await self.arrange.sql.execute(
            "update mailouts set status = 'cancelled' where id = %s", [mailout]
        )
        await self.call("cancel_recipients", p_mailout=mailout, p_limit=100)

    async def resend(self, mailout: str) -> None:
        """Of a mailout in which everybody failed, beyond the slice of the request itself."""
        await self.arrange.sql.execute(
            "update send_logs set status = 'failed', error_code = 'x' where mailout_id = %s",
            [mailout],
        )
        await self.arrange.sql.execute(
            "update mailouts set status = 'failed' where id = %s", [mailout]
        )
        await self.arrange.sql.execute(
            "insert into mailout_resends (mailout_id, statuses, force) values (%s, '{failed}', "
            "false)",
            [mailout],
        )
        await self.arrange.sql.execute(
            "update mailout_queues set done_at = null where mailout_id = %s", [mailout]
        )
        await self.call("queue_recipients", called="resend slice", p_mailout=mailout, p_limit=100)


async def rows_of_others(arrange: Arrange) -> None:
    """Old mailouts and their calls, events that are over, and events of another program."""
    for statement in (
        "insert into send_logs (mailout_id, subscriber_id, email, status, message_id, attempts) "
        "select md5((n %% 5)::text)::uuid, gen_random_uuid(), 'old' || n || '@example.com', "
        "'delivered', 'old' || n, 1 from generate_series(1, %s) n",
        "insert into send_batches (attempt_id, mailout_id, executor_id, region, send_log_ids, "
        "token_at, claimed_at, recorded_at, accepted) select gen_random_uuid(), md5('1')::uuid, "
        "gen_random_uuid(), 'us-east-1', array[n]::bigint[], at, at, at, 1 from ("
        "select n, now() - interval '30 days' + n * interval '1 second' as at "
        "from generate_series(1, %s) n) old",
        "insert into ses_events (sns_message_id, type, message_id, send_log_id, payload, "
        "occurred_at, received_at) select gen_random_uuid()::text, 'delivery', 'old' || n, n, "
        "'{}', now(), now() - interval '20 days' from generate_series(1, %s) n",
        "insert into engagement_recipients (send_log_id, mailout_id, open_class, opened_at) "
        "select -n, md5((n %% 5)::text)::uuid, 'human', now() from generate_series(1, %s) n",
        "insert into engagement_signals (send_log_id, mailout_id, kind, slot, first_at, last_at, "
        "class) select -n, md5((n %% 5)::text)::uuid, 'open', now(), now(), now(), 'human' "
        "from generate_series(1, %s) n",
    ):
        await arrange.sql.execute(statement.encode(), [OTHERS])


async def events_of_others(arrange: Arrange) -> None:
    await arrange.sql.execute(
        "insert into ses_events (sns_message_id, type, message_id, payload, parked, occurred_at, "
        "received_at) select gen_random_uuid()::text, 'delivery', 'foreign' || n, '{}', %s, now(), "
        "now() - n * interval '1 second' from generate_series(1, %s) n",
        [Jsonb({"type": "delivery"}), OTHERS],
    )


@pytest.fixture
def database_name(postgres_server: DatabaseServer) -> Iterator[str]:
    with postgres_server.database(new=True) as name:
        yield name


@pytest.fixture
async def life(dsn: str, arrange: Arrange) -> AsyncIterator[Life]:
    for table in ("subscribers", "mailouts", "send_logs", "send_batches", "ses_events"):
        await arrange.sql.execute(f"alter table {table} set (autovacuum_enabled = off)".encode())
    async with reader(dsn) as own:
        yield Life(arrange, own)


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    ("known", "at_first"),
    [
        pytest.param("nothing", "nothing", marks=pytest.mark.short),
        ("empty tables", "nothing"),
        pytest.param("old rows", "nothing", marks=pytest.mark.short),
        pytest.param("nothing", "test mails", marks=pytest.mark.short),
        ("nothing", "small mailouts"),
        pytest.param("small mailouts, queued", "small mailouts", marks=pytest.mark.short),
        ("old rows", "small mailouts"),
    ],
)
async def test_no_call_reads_the_rows_of_others(life: Life, known: str, at_first: str) -> None:
    """known: what the statistics are of. at_first: what the connection did while all was small."""
    arrange = life.arrange
    if known == "empty tables":  # vacuumed, they have no page, and reading them whole costs nothing
        await arrange.sql.execute("vacuum analyze")
    await life.begin()
    if at_first == "test mails":
        await life.test_mails()
    if at_first == "small mailouts":
        for n in range(3):
            small = await life.mailout(f"small{n}", 3 * BATCH)
            await life.queue(small)
            if known == "small mailouts, queued":
                await arrange.sql.execute("analyze")
            await life.send(small)
            await life.look(small)
            await life.end(small)
    await rows_of_others(arrange)
    if known == "old rows":
        await arrange.sql.execute("analyze")
    await events_of_others(arrange)
    large = await life.mailout("large", OTHERS)
    await life.queue(large)
    life.read.clear()

    rare = await life.mailout("rare", 3, audience={"tags": ["rare"]})
    await life.queue(rare, slices=1)
    await life.send(large)
    await life.look(large)
    await life.end(large)
    again = await life.mailout("again", 10)
    await life.queue(again)
    await life.resend(again)

    too_many = {name: rows for name, rows in life.read.items() if rows > LIMITS.get(name, ELSE)}
    assert too_many == {}


async def test_the_counting_of_rows_tells_a_plan_that_reads_all(life: Life) -> None:
    """The measure itself: rows that are passed over count, in a table and in an index."""
    await rows_of_others(life.arrange)
    await life.arrange.sql.execute("analyze")
    for function in (
        "create function reads_table() returns bigint language sql as "
        "$$ select count(*) from send_logs where email = 'nobody' $$",
        "create function reads_index() returns bigint language sql set enable_seqscan = off as "
        "$$ select count(*) from send_logs where id > 0 and email = 'nobody' $$",
    ):
        await life.arrange.sql.execute(function.encode())
    for name in ("reads_table", "reads_index"):
        assert (await life.reader.call(name))[1] >= OTHERS


async def test_whether_somebody_is_left_is_told_by_the_end_of_the_queue(
    life: Life, dsn: str
) -> None:
    """At its beginning are entries of those who were claimed, which a vacuum can't remove while a
    backup runs."""
    mailout = await life.mailout("reader", OTHERS)
    await life.queue(mailout)
    async with await psycopg.AsyncConnection.connect(dsn) as backup:
        await backup.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await backup.execute("select from send_logs limit 1")
        await life.arrange.sql.execute(
            "update send_logs set status = 'sent' where mailout_id = %s and id < "
            "(select max(id) - 100 from send_logs)",
            [mailout],
        )
        await life.arrange.sql.execute("vacuum send_logs")
        await life.call("has_queued", p_mailout=mailout)
        await life.call("finish_mailout", p_mailout=mailout)
    assert life.read["has_queued"] <= 3
    assert life.read["finish_mailout"] <= ELSE


async def test_queued_rows_leave_the_gaps_of_full_pages_alone(life: Life) -> None:
    """A queued row is shorter than a finished one, so it would fit in at the end of such a page:
    one page that is read, and written to the WAL whole, for each recipient."""
    sql = life.arrange.sql
    rule = await life.arrange.one(
        "select array_to_string(reloptions, ', ') from pg_class where relname = 'send_logs'"
    )
    await sql.execute("alter table send_logs set (fillfactor = 100)")  # as ledgers of before are
    await sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status, message_id, attempts, "
        "attempt_id, claimed_at, sent_at, event_at) select md5('1')::uuid, gen_random_uuid(), "
        "'old' || n || repeat('x', n %% 50) || '@example.com', 'delivered', "
        "repeat('m', 60) || n, 1, gen_random_uuid(), now(), now(), now() "
        "from generate_series(1, %s) n",
        [OTHERS],
    )
    await sql.execute(f"alter table send_logs reset (fillfactor), set ({rule})".encode())
    await sql.execute("vacuum send_logs")  # notes where there is room
    mailout = await life.mailout("reader", 300)
    await life.queue(mailout)
    pages = await life.arrange.one(
        "select count(distinct (ctid::text::point)[0]) from send_logs where mailout_id = %s",
        mailout,
    )
    assert pages < 15
