"""Ten million recipients, in stages, since a machine that others use too is never quiet for as long
as all of it takes: `python -m bench.size STAGE …`, on one data directory (BENCH_DATA).

fill         ten million subscribers; it ends after FILL_SECONDS: call it until all are there
previous     the ledger of a mailout that was sent to all of them
queued       or of one that half of them got, and the other half is queued
advance      from there on, until 95 % of them have got it
vacuum       take up dead rows, as autovacuum does beside sending; `advance` makes them faster
slices       MAILS sent from where it stands, beside a mailout to as many
first_call   POST /send-mailout and SES's first call, beside all that is there
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import psycopg

from bench.parts import (
    BODY,
    Child,
    Sink,
    command,
    cpu_of_postgres,
    database,
    dropped_indexes,
    ready_mailout,
    sink,
    start_by_request,
    truncate,
    wait_for,
    wait_until_up,
)
from tests.support.ports import free_port

Sql = psycopg.Connection[Any]

DATA = Path(os.environ.get("BENCH_DATA", "/var/tmp/amazonsender-size"))
SIZE = int(os.environ.get("SIZE", "10000000"))
FILL_SECONDS = float(os.environ.get("FILL_SECONDS", "150"))
SLICE = 1_000_000
MAILS = int(os.environ.get("MAILS", "100000"))
ROUNDS = int(os.environ.get("ROUNDS", "2"))


def fill(sql: Sql) -> None:
    """Indexes are made at the end, one after the other (see `dropped_indexes`)."""
    sql.execute("create table if not exists size_indexes (name text primary key, definition text)")
    began = time.monotonic()
    [have] = one(sql, "select count(*) from subscribers")
    if have == 0:
        truncate(sql)
    if have < SIZE:
        for name, definition in dropped_indexes(sql, "subscribers").items():
            sql.execute(
                "insert into size_indexes values (%s, %s) on conflict do nothing",
                [name, definition],
            )
    while have < SIZE:
        if time.monotonic() - began > FILL_SECONDS:
            print(f"{have:,} subscribers; go on")
            return
        sql.execute(
            "insert into subscribers (email, address, name, status, tags, created_at) "
            "select 'reader' || n || '@example.com', 'reader' || n || '@example.com', "
            "'Reader ' || n, 'active', case when n % 2 = 0 then '{even}' else '{odd}' end::text[], "
            f"now() - interval '1 day' from generate_series({have + 1}, "
            f"{min(have + SLICE, SIZE)}) n"
        )
        have = min(have + SLICE, SIZE)
    sql.execute("set maintenance_work_mem = '512MB'")
    for name, definition in sql.execute("select * from size_indexes order by name").fetchall():
        if time.monotonic() - began > FILL_SECONDS:
            print(f"all subscribers, indexes from {name} on are missing; go on")
            return
        sql.execute(definition.encode())
        sql.execute("delete from size_indexes where name = %s", [name])
    sql.execute("alter table subscribers enable trigger user")
    sql.execute("select recount()")
    sql.execute("vacuum analyze")
    sql.execute("checkpoint")
    sql.execute("drop table size_indexes")
    print("all subscribers and indexes are there")


def ledger(sql: Sql, name: str, sent: int) -> str:
    """Everybody's row of a mailout, in the order of the subscribers' ids, as queueing writes them;
    the first `sent` of them were sent, the rest is queued. Takes the place of what was there; gives
    the mailout's id."""
    began = time.monotonic()
    sql.execute("truncate send_logs, send_batches, mailouts, recipient_counts, executors cascade")
    over = sent >= SIZE
    [mailout] = one(
        sql,
        "insert into mailouts (subject, body_html, status, started_in, started_at, sent_at, "
        "recipients) values (%s, %s, 'draft', database_identity(), now(), now(), %s) "
        "returning id::text",
        name, BODY, SIZE,
    )  # fmt: skip
    sql.execute("insert into mailout_queues (mailout_id, done_at) values (%s, now())", [mailout])
    indexes = dropped_indexes(sql, "send_logs")
    sql.execute("set work_mem = '256MB'; set enable_indexscan = off; set jit = off")
    sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status, message_id, attempts, "
        "attempt_id, claimed_at, sent_at) select %s, id, email, "
        "case when n > %s then 'queued' else %s end, case when n <= %s then '0100019b' || "
        "substr(md5(email), 1, 8) || '-' || md5(email)::uuid || '-000000' end, (n <= %s)::integer, "
        "case when n <= %s then md5((n / 50)::text)::uuid end, case when n <= %s then now() end, "
        "case when n <= %s then now() end "
        "from (select id, email, row_number() over (order by id) as n from subscribers) s "
        "order by id",
        [mailout, sent, "delivered" if over else "sent", *[sent] * 5],
    )
    print(f"{SIZE:,} rows after {time.monotonic() - began:.0f} s", flush=True)
    sql.execute("reset enable_indexscan; set maintenance_work_mem = '512MB'")
    for definition in indexes.values():
        sql.execute(definition.encode())
    sql.execute("alter table send_logs enable trigger user")
    sql.execute(  # as `recount` does, which counts subscribers and tags as well
        "insert into recipient_counts select mailout_id, status, error_code, bounce_type, "
        "bounce_subtype, 0, count(*), count(unsubscribed_at), max(id) from send_logs "
        "group by mailout_id, status, error_code, bounce_type, bounce_subtype"
    )
    sql.execute("vacuum analyze send_logs")
    sql.execute("checkpoint")
    freeze(sql, mailout)
    if over:
        sql.execute("update mailouts set status = 'sent' where id = %s", [mailout])
    print(f"all is there after {time.monotonic() - began:.0f} s", flush=True)
    return str(mailout)


def first_call(sql: Sql, dsn: str) -> None:
    """Three times, each a mailout that is cancelled and deleted behind it."""
    with sink() as target:
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        with command(dsn, target.url, "serve", PORT=str(port), APP_BASE_URL=base):
            wait_for(dsn, "select count(*) from send_rates where account is not null", 1)
            wait_until_up(base)
            for _ in range(3):
                answered, first, recipients = post(dsn, target, base)
                print(
                    f"{recipients:,} recipients: answered after {answered * 1000:.0f} ms, SES's "
                    f"first call {first * 1000:.0f} ms after the request",
                    flush=True,
                )


def post(dsn: str, target: Sink, base: str) -> tuple[float, float, int]:
    mailout = ready_mailout(dsn)
    answered, first, answer = start_by_request(mailout, target, base)
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute("update mailouts set status = 'cancelled' where id = %s", [mailout])
        sql.execute("update mailout_queues set done_at = now() where mailout_id = %s", [mailout])
        [queued, claimed] = one(
            sql,
            "select extract(epoch from (select created_at from send_logs where mailout_id = m.id "
            "order by id limit 1) - m.started_at)::float8, extract(epoch from (select "
            "min(claimed_at) from send_batches where mailout_id = m.id) - m.started_at)::float8 "
            "from mailouts m where id = %s", mailout,
        )  # fmt: skip
        print(f"  after the start: queueing {queued * 1000:.0f} ms, claim {claimed * 1000:.0f}")
        wait_for(dsn, "select count(*) from send_batches where recorded_at is null", 0)
        wait_for(dsn, "select jsonb_array_length(sender_work() -> 'cancelling')", 0)
    return answered, first, answer["recipients"]


def small(sql: Sql) -> str:
    """A mailout to MAILS of the subscribers, queued, beside what is there."""
    [mailout] = one(
        sql,
        "insert into mailouts (subject, body_html, status, started_in, started_at, recipients) "
        "values ('Small', %s, 'draft', database_identity(), now(), %s) returning id::text",
        BODY, MAILS,
    )  # fmt: skip
    sql.execute("insert into mailout_queues (mailout_id, done_at) values (%s, now())", [mailout])
    sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email) "
        "select %s, id, email from (select * from subscribers order by id limit %s) s",
        [mailout, MAILS],
    )
    freeze(sql, mailout)
    return str(mailout)


def freeze(sql: Sql, mailout: str) -> None:
    sql.execute(
        "insert into mailout_snapshots (mailout_id, content, content_hash) "
        "select id, mailout_content(m), mailout_content_hash(m) from mailouts m where id = %s",
        [mailout],
    )
    sql.execute("update mailouts set status = 'paused' where id = %s", [mailout])


def advance(sql: Sql, upto: int) -> None:
    """Rows of the large mailout become sent, by updates such as those of claim and record, but
    both in one; ends after FILL_SECONDS."""
    began = time.monotonic()
    [mailout] = one(sql, "select id::text from mailouts where subject = 'Queued'")
    [before] = one(
        sql,
        "select id from send_logs where mailout_id = %s and not is_test "
        "order by mailout_id, subscriber_id limit 1", mailout,
    )  # fmt: skip
    upto += before - 1
    while time.monotonic() - began < FILL_SECONDS:
        [first] = one(
            sql,
            "select id from send_logs where (mailout_id, id) > (%s, 0) and mailout_id <= %s "
            "and status = 'queued' and not is_test and aside is null order by mailout_id, id "
            "limit 1", mailout, mailout,
        )  # fmt: skip
        if first > upto:
            break
        sql.execute(
            "update send_logs set status = 'sent', sent_at = now(), claimed_at = now(), "
            "attempts = 1, message_id = '0100019b' || substr(md5(email), 1, 8) || '-' || "
            "md5(email)::uuid || '-000000', attempt_id = md5((id / 50)::text)::uuid "
            "where id between %s and %s and mailout_id = %s and status = 'queued'",
            [first, min(first + 99_999, upto), mailout],
        )
    print(f"queued from {first:,} on, after {time.monotonic() - began:.0f} s", flush=True)


def slices(sql: Sql, dsn: str) -> None:
    """Interleaved: MAILS of a small mailout, and of the large one from where it stands now."""
    [large] = one(sql, "select id::text from mailouts where subject = 'Queued'")
    with sink() as target:
        for _ in range(ROUNDS):
            for name, mailout in (("a mailout of as many", small(sql)), ("ten million", large)):
                [sent] = one(sql, "select recipients_in(%s, '{sent}')", mailout)
                print(f"{name}, {sent:,} sent: {send_some(sql, dsn, target, mailout)}", flush=True)


def send_some(sql: Sql, dsn: str, target: Sink, mailout: str) -> str:
    with command(dsn, target.url, "worker") as worker:
        wait_for(dsn, "select count(*) from executors e where is_alive(e)", 1)
        wait_for(dsn, "select count(*) from send_rates where account is not null", 1)
        sql.execute("checkpoint")
        before = figures(sql, dsn, worker, mailout)
        sql.execute("update mailouts set status = 'sending' where id = %s", [mailout])
        while True:
            time.sleep(0.02)
            after = figures(sql, dsn, worker, mailout)
            if after["mails"] - before["mails"] >= MAILS:
                break
        sql.execute(
            "update mailouts set status = 'paused', pause_code = 'person' "
            "where id = %s and status = 'sending'",
            [mailout],
        )
        wait_for(dsn, "select count(*) from send_batches where recorded_at is null", 0)
        began, ended, mails = one(
            sql,
            "select min(extract(epoch from claimed_at))::float8, "
            "max(extract(epoch from recorded_at))::float8, sum(accepted)::bigint from "
            "send_batches where mailout_id = %s and extract(epoch from claimed_at) > %s",
            mailout, before["at"],
        )  # fmt: skip
        after = figures(sql, dsn, worker, mailout)
        return (
            f"{mails / (ended - began):,.0f} mails/s, CPU a mail: worker "
            f"{(after['cpu'] - before['cpu']) / mails * 1e6:.0f} µs, PostgreSQL "
            f"{(after['postgres'] - before['postgres']) / mails * 1e6:.0f}; pages a mail: touched "
            f"{(after['hit'] - before['hit']) / mails:.1f}, not in the cache "
            f"{(after['read'] - before['read']) / mails:.2f}; WAL "
            f"{(after['wal'] - before['wal']) / mails:,.0f} bytes; transactions for 1,000 mails "
            f"{(after['xids'] - before['xids']) / mails * 1000:.1f}, multixacts "
            f"{(after['multis'] - before['multis']) / mails * 1000:.1f}; {worker.peak_mb:.0f} MB"
        )


def figures(sql: Sql, dsn: str, worker: Child, mailout: str) -> dict[str, float]:
    at, mails, hit, read, wal, xids, multis = one(
        sql,
        "select extract(epoch from clock_timestamp())::float8, recipients_in(%s, '{sent}'), "
        "blks_hit, blks_read, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8, "
        "age(datfrozenxid), mxid_age(datminmxid) "
        "from pg_stat_database join pg_database using (datname) where datname = current_database()",
        mailout,
    )
    return {
        "at": at, "mails": mails, "hit": hit, "read": read, "wal": wal, "xids": xids,
        "multis": multis, "cpu": worker.cpu_seconds, "postgres": cpu_of_postgres(dsn),
    }  # fmt: skip


def one(sql: Sql, query: str, *values: Any) -> Any:
    row = sql.execute(query.encode(), values or None).fetchone()
    assert row is not None
    return row


def main(stages: list[str]) -> None:
    with database(DATA, max_wal_size="2GB") as dsn, psycopg.connect(dsn, autocommit=True) as sql:
        for stage in stages:
            if stage == "fill":
                fill(sql)
            elif stage == "previous":
                ledger(sql, "Previous", SIZE)
            elif stage == "queued":
                ledger(sql, "Queued", SIZE // 2)
            elif stage == "advance":
                advance(sql, SIZE * 95 // 100)
            elif stage == "vacuum":
                sql.execute("vacuum analyze send_logs")
            elif stage == "slices":
                slices(sql, dsn)
            elif stage == "first_call":
                first_call(sql, dsn)


if __name__ == "__main__":
    main(sys.argv[1:])
