"""What is answered beside ten million subscribers and ten million rows of the ledger."""

from __future__ import annotations

import statistics
import time
from collections.abc import Generator, Iterator
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.types.json import Jsonb

from bench.parts import REGION, dropped_indexes, indexed, ready_mailout, truncate

Row = tuple[str, str, str, str]
Sql = psycopg.Connection[Any]

SIZE = 10_000_000
PARKED = 300_000
GOAL = "under 1 s"
ACCOUNT = {
    "max_send_rate": 1e6, "max_24h_send": -1, "sent_last_24h": 0, "sending_enabled": True,
    "enforcement_status": "HEALTHY", "production_access": True,
}  # fmt: skip

UPGRADE = ("send_logs_missed", "subscribers_by_status", "subscribers_tags")
"""Indexes that an upgrade to 0003_counts.sql makes."""


def big(dsn: str, size: int = SIZE) -> Iterator[Row]:
    with psycopg.connect(dsn, autocommit=True) as sql:
        sent, took = build(sql, size)
        yield (
            f"upgrading {size:,} subscribers and ledger rows: counting, then the indexes",
            ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items()), "stated", "",
        )  # fmt: skip
        call(sql, "record_account", p_region=REGION, p_account=ACCOUNT)
        sender = str(uuid4())
        call(
            sql, "heartbeat", p_executor=sender, p_region=REGION, p_label="bench",
            p_lease_seconds=3600, p_rate_limit=1e6,
        )  # fmt: skip
        yield from starting(sql, dsn, size)
        everybody = yield from queueing(sql, dsn)
        yield from sending(sql, everybody, sender)
        yield from looking(sql, sent)
        yield from resending(sql, sent)


def build(sql: Sql, size: int) -> tuple[str, dict[str, float]]:
    """Everybody, and a mailout that was sent to all of them, a tenth failed; gives its id and how
    long counting and each index took."""
    truncate(sql)
    tables = ("subscribers", "send_logs")
    indexes = dropped_indexes(sql, *tables)
    sql.execute(
        "insert into subscribers (email, address, name, status, tags, created_at) "
        "select 'reader' || n || '@example.com', 'reader' || n || '@example.com', 'Reader ' || n, "
        "case when n %% 100000 = 0 then 'complained' when n %% 50 = 0 then 'unsubscribed' "
        "else 'active' end, case when n %% 100000 = 1 then '{odd,few}'::text[] "
        "when n %% 2 = 0 then '{even}' else '{odd}' end, now() - interval '1 day' "
        "from generate_series(1, %s) n",
        [size],
    )
    [sent] = one(sql, "insert into mailouts (subject, body_html, status, started_at, sent_at) "
                 "values ('Old', '<p>x</p>', 'sent', now(), now()) returning id::text")  # fmt: skip
    sql.execute("insert into mailout_queues (mailout_id, done_at) values (%s, now())", [sent])
    sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status, message_id, attempts, "
        "error_code, error_message, claimed_at, sent_at) select %s, id, email, "
        "case when n %% 10 = 0 then 'failed' when n %% 50 = 1 then 'bounced' else 'delivered' end, "
        "md5(n::text), 1, case when n %% 10 = 0 then 'MailFromDomainNotVerified' end, "
        "case when n %% 10 = 0 then 'Not verified.' end, now(), now() "
        "from (select id, email, row_number() over () as n from subscribers) s",
        [sent],
    )
    took = indexed(sql, indexes, *tables)
    return sent, {name: took[name] for name in ("counting", *UPGRADE)}


def starting(sql: Sql, dsn: str, size: int) -> Iterator[Row]:
    for name, tags in (
        ("everybody", None),
        ("those with a tag that half have", ["even"]),
        ("those with a tag that few have", ["few"]),
    ):
        seconds = []
        for _ in range(3):
            mailout = ready_mailout(dsn)
            if tags is not None:
                audience = Jsonb({"tags": tags})
                sql.execute("update mailouts set audience = %s where id = %s", [audience, mailout])
            [content] = one(sql, "select mailout_content_hash(m) from mailouts m where id = %s",
                            mailout)  # fmt: skip
            answer, took = call(sql, "claim_mailout", p_mailout=mailout, p_content_hash=content)
            sql.execute("delete from mailouts where id = %s", [mailout])
            seconds.append(took)
        told = answer["response"]
        note = ", an estimate" if told["recipients_estimated"] else ""
        yield (f"claim of a mailout to {name}, {size:,} subscribers", ms(seconds), GOAL,
               f"{told['recipients']:,} recipients{note}")  # fmt: skip


def queueing(sql: Sql, dsn: str) -> Generator[Row, None, str]:
    """Gives a mailout to everybody, of which some slices are queued."""
    mailouts = []
    for tags in (None, ["few"]):
        mailout = ready_mailout(dsn)
        audience = None if tags is None else Jsonb({"tags": tags})
        sql.execute("update mailouts set audience = %s where id = %s", [audience, mailout])
        sql.execute("select claim_mailout(id, mailout_content_hash(m)) from mailouts m "
                    "where id = %s", [mailout])  # fmt: skip
        mailouts.append(mailout)
    first = call(sql, "queue_recipients", p_mailout=mailouts[0], p_limit=1_000)[1]
    for mailout, name in zip(mailouts, ("all of whom are in it", "of whom few are"), strict=True):
        slices = [
            call(sql, "queue_recipients", p_mailout=mailout, p_limit=20_000)[1] for _ in range(8)
        ]
        yield (f"queueing a slice of 20,000 subscribers, {name}", ms(slices), GOAL,
               f"the first, of 1,000: {first * 1000:.0f} ms")  # fmt: skip
    sql.execute("update mailouts set status = 'cancelled' where id = %s", [mailouts[1]])
    sql.execute("update mailout_queues set done_at = now() where mailout_id = %s", [mailouts[1]])
    return mailouts[0]


def sending(sql: Sql, mailout: str, sender: str) -> Iterator[Row]:
    sql.execute(
        "insert into ses_events (sns_message_id, type, message_id, payload, parked, occurred_at, "
        "received_at) select n::text, 'delivery', 'foreign' || n, '{}', %s, now(), "
        "now() - n * interval '0.1 seconds' from generate_series(1, %s) n",
        [Jsonb({"type": "delivery"}), PARKED],
    )
    claims, records, events, left = [], [], [], []
    after = 0
    for n in range(20):
        claimed, took = call(
            sql, "claim_batches", p_mailout=mailout, p_executor=sender, p_region=REGION,
            p_limit=50, p_attempts=[str(uuid4())], p_after=after,
        )  # fmt: skip
        claims.append(took)
        [batch] = claimed["batches"]
        ids = [row["id"] for row in batch["rows"]]
        after = max(ids)
        results = [{"id": i, "outcome": "sent", "message_id": f"m{i}"} for i in ids]
        records.append(
            call(sql, "record_results", p_attempt=batch["attempt_id"], p_results=results)[1]
        )
        bounce = {
            "sns_message_id": f"bounce {n}", "type": "bounce", "bounce_type": "Permanent",
            "suppresses": "bounced", "message_id": f"m{ids[0]}", "mailout_id": mailout,
            "send_log_id": ids[0], "attempt": batch["attempt_id"], "payload": {},
            "occurred_at": "2026-11-24T12:00:00+00:00",
        }  # fmt: skip
        events.append(call(sql, "apply_ses_events", p_events=[bounce])[1])
        reader = batch["rows"][1]["subscriber_id"]
        left.append(call(sql, "unsubscribe", p_subscriber=reader, p_mailout=mailout)[1])
    beside = f"beside {PARKED:,} parked events of others"
    yield "claim of a batch of 50", ms(claims), "20 ms", ""
    yield "recording its results", ms(records), "20 ms", beside
    yield "a bounce", ms(events), "20 ms", ""
    yield "an unsubscribe", ms(left), "20 ms", ""
    for name, function, arguments in (
        ("sweep over parked events", "apply_parked_events", {}),
        ("the watchdog's look", "watchdog_figures", {"p_patience": 0}),
    ):
        yield name, ms(repeated(sql, function, **arguments)), "50 ms", beside


def looking(sql: Sql, sent: str) -> Iterator[Row]:
    for name, function, arguments in (
        ("GET /mailouts/{id}", "show_mailout", {"p_mailout": sent}),
        ("the dashboard's figures of it", "mailout_outcomes", {"p_mailout": sent}),
        ("GET /metrics, the database's part", "metrics_snapshot", {}),
        ("GET /subscribers?status=complained", "subscribers_page",
         {"p_limit": 100, "p_filter": {"status": "complained"}}),
        ("a page of the closing statement", "list_recipients",
         {"p_mailout": sent, "p_after": str(uuid4()), "p_limit": 1000}),
    ):  # fmt: skip
        yield name, ms(repeated(sql, function, **arguments)), "50 ms", ""
    sql.execute("update mailouts set status = 'paused', pause_code = 'person' where id = %s",
                [sent])  # fmt: skip
    told = call(sql, "claim_owner_notice", p_region=REGION)[1]
    sql.execute("update mailouts set status = 'sent', pause_code = null where id = %s", [sent])
    yield "the owner's notice, for which claims wait", ms([told]), "50 ms", ""


def resending(sql: Sql, sent: str) -> Iterator[Row]:
    answer, took = call(sql, "resend_mailout", p_mailout=sent, p_statuses=["failed"], p_force=False)
    slices = [call(sql, "queue_recipients", p_mailout=sent, p_limit=20_000)[1] for _ in range(8)]
    yield (f"a resend to {answer['requeued'] + answer['remaining']:,}", ms([took]), GOAL,
           f"{answer['requeued']:,} at once; a slice of 20,000: {ms(slices)}")  # fmt: skip


# Calling and timing


def one(sql: Sql, query: str, *values: Any) -> Any:
    row = sql.execute(query.encode(), values or None).fetchone()
    assert row is not None
    return row


def call(sql: Sql, function: str, **arguments: Any) -> tuple[Any, float]:
    """Its answer, and the seconds it took."""
    names = ", ".join(f"{name} => %({name})s" for name in arguments)
    values = {
        name: Jsonb(value) if isinstance(value, list | dict) else value
        for name, value in arguments.items()
    }
    started = time.monotonic()
    row = sql.execute(f"select {function}({names})".encode(), values).fetchone()
    assert row is not None
    return row[0], time.monotonic() - started


def repeated(sql: Sql, function: str, **arguments: Any) -> list[float]:
    return [call(sql, function, **arguments)[1] for _ in range(5)]


def ms(seconds: list[float]) -> str:
    middle, most = statistics.median(seconds) * 1000, max(seconds) * 1000
    return f"{middle:,.1f} ms" if len(seconds) == 1 else f"{middle:,.1f} ms, at most {most:,.1f}"
