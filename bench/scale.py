"""What a ledger of millions asks of PostgreSQL: bytes, WAL, reads, vacuum, retention, partitions.

`python -m bench.scale [ROWS …]` fills the ledger up to each size and sends through it, by the calls
that the service makes, one after the other. PostgreSQL's cache is 128 MB (SCALE_CACHE), so that the
ledger outgrows it as a large one outgrows a large machine's: what is missed is counted, and
bench/simulate_scale.py goes on from there. Ten million rows need 10 GB of disk (SCALE_DATA).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from app.adapters.database.embedded import EmbeddedPostgres
from app.adapters.database.migrations import migrate
from bench.big import ACCOUNT, call, ms, one
from bench.parts import (
    REGION,
    TICKS,
    dropped_indexes,
    indexed,
    ready_mailout,
    start_directly,
    stat_of,
)

Sql = psycopg.Connection[Any]
DATA = Path(os.environ.get("SCALE_DATA", "/var/tmp/amazonsender-scale"))
CACHE = os.environ.get("SCALE_CACHE", "128MB")
COMPRESSION = os.environ.get("SCALE_WAL_COMPRESSION", "off")
SIZES = (1_000_000, 5_000_000, 10_000_000)
PER_MAILOUT = 1_000_000
MAILS = 20_000
TOGETHER = 8  # batches of a claim, and of a record
PAYLOAD = Path("tests/payloads/ses/delivery.json")

ROWS = (
    "select md5(((n - 1) / {per})::text)::uuid, "
    # In the order of the subscribers, as a mailout is queued.
    "(lpad(to_hex((n - 1) %% {per} * 4000::bigint), 8, '0') || substr(md5(n::text), 9))::uuid, "
    "'reader' || n || '@example.com', case n %% 100 when 0 then 'bounced' when 1 then 'sent' "
    "when 2 then 'failed' else 'delivered' end, case when n %% 100 <> 2 then '0100019b' || "
    "substr(md5(n::text), 1, 8) || '-' || md5(n::text)::uuid || '-000000' end, 1, "
    "md5((n / 50)::text)::uuid, now() - interval '40 days', now() - interval '40 days', "
    "now() - interval '40 days', now() - interval '40 days' from generate_series({first}, {last}) n"
)
COLUMNS = (
    "mailout_id, subscriber_id, email, status, message_id, attempts, attempt_id, created_at, "
    "claimed_at, sent_at, event_at"
)


@dataclass(frozen=True)
class Stage:
    """One step of the mails' way. wal: bytes a mail. cpu: microseconds a mail. missed: pages a mail
    that weren't in PostgreSQL's cache, by table or index. took: seconds of each call."""

    wal: float
    cpu: float
    missed: dict[str, float]
    took: list[float]

    def __str__(self) -> str:
        most = sorted(self.missed.items(), key=lambda item: -item[1])[:4]
        pages = ", ".join(f"{name} {pages:.2f}" for name, pages in most if pages >= 0.01)
        return (
            f"WAL {self.wal:,.0f} B, CPU {self.cpu:.0f} µs, a call {ms(self.took)}, pages missed "
            f"{sum(self.missed.values()):.2f} ({pages})"
        )


def main(sizes: list[int]) -> None:
    settings = {
        "shared_buffers": CACHE, "max_wal_size": "8GB", "checkpoint_timeout": "60min",
        "maintenance_work_mem": "256MB", "autovacuum": "off", "wal_compression": COMPRESSION,
    }  # fmt: skip
    with EmbeddedPostgres(DATA, settings=settings) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as sql:
            sql.execute("drop database if exists scale")
            sql.execute("create database scale")
        dsn = server.dsn("scale")
        asyncio.run(migrate(dsn))
        with psycopg.connect(dsn, autocommit=True) as sql:
            people(sql)
            call(sql, "record_account", p_region=REGION, p_account=ACCOUNT)
            have = 0
            for size in sizes:
                print(f"{size:,} rows", flush=True)
                told("filled by COPY and indexed, rows/s", f"{fill(sql, have, size):,.0f}")
                have = size
                bytes_of(sql, "send_logs", size)
                for when in ("first after a checkpoint", "again", "after a vacuum"):
                    if when == "after a vacuum":
                        told(f"vacuum after {2 * MAILS:,} mails", vacuumed(sql, "send_logs"))
                    if when != "again":
                        told("checkpoint", checkpointed(sql))
                    for name, stage in live(sql, dsn).items():
                        told(f"{name}, {when}", str(stage))
                    have += MAILS
            partitions(sql)
            retention(sql)
            events(sql)


def told(what: str, value: str) -> None:
    print(f"  {what}: {value}", flush=True)


def people(sql: Sql) -> None:
    sql.execute(
        "insert into subscribers (email, name, created_at) select 'reader' || n || '@example.com', "
        "'Reader ' || n, now() - interval '1 day' from generate_series(1, %s) n",
        [MAILS],
    )
    sql.execute("vacuum analyze subscribers")


def fill(sql: Sql, have: int, size: int) -> float:
    """Up to that many rows by COPY, without indexes, which are made then. Gives rows a second."""
    began = time.monotonic()
    indexes = dropped_indexes(sql, "send_logs")
    rows = ROWS.format(per=PER_MAILOUT, first=have + 1, last=size).replace("%%", "%")
    with (
        psycopg.connect(sql.info.dsn, password=sql.info.password) as other,
        other.cursor().copy(f"copy ({rows}) to stdout".encode()) as out,
        sql.cursor().copy(f"copy send_logs ({COLUMNS}) from stdin".encode()) as into,
    ):
        for block in out:
            into.write(block)
    indexed(sql, indexes, "send_logs")
    return (size - have) / (time.monotonic() - began)


def bytes_of(sql: Sql, table: str, rows: int) -> None:
    heap, toast = one(
        sql,
        "select pg_relation_size(oid), "
        "coalesce(pg_total_relation_size(nullif(reltoastrelid, 0)), 0) "
        "from pg_class where oid = %s::regclass",
        table,
    )
    indexes = sql.execute(
        "select indexrelid::regclass::text, pg_relation_size(indexrelid) from pg_index "
        "where indrelid = %s::regclass order by 2 desc",
        [table],
    ).fetchall()
    whole = heap + toast + sum(size for _, size in indexes)
    each = ", ".join(f"{name} {size / rows:.0f}" for name, size in indexes if size / rows >= 0.5)
    told(
        f"bytes a row of {table}",
        f"{whole / rows:.0f}: heap {heap / rows:.0f}, toast {toast / rows:.0f}, {each}",
    )


def live(sql: Sql, dsn: str) -> dict[str, Stage]:
    """A mailout: queued, claimed and recorded by eight batches, delivered by SES's events."""
    sender, mailout = str(uuid4()), ready_mailout(dsn)
    call(
        sql, "heartbeat", p_executor=sender, p_region=REGION, p_label="bench",
        p_lease_seconds=3600, p_rate_limit=1e6,
    )  # fmt: skip
    start_directly(dsn, mailout)
    claims: list[list[dict[str, Any]]] = []

    def queue() -> Iterator[float]:
        done = False
        while not done:
            answer, took = call(sql, "queue_recipients", p_mailout=mailout, p_limit=MAILS)
            done = answer["done"]
            yield took

    def claim() -> Iterator[float]:
        after = 0
        while True:
            answer, took = call(
                sql, "claim_recipients", p_mailout=mailout, p_executor=sender, p_region=REGION,
                p_limit=50, p_attempts=[str(uuid4()) for _ in range(TOGETHER)], p_after=after,
            )  # fmt: skip
            if "reason" in answer:
                assert answer["reason"] == "empty", answer
                return
            claims.append(batches_of(answer))
            after = answer["ids"][-1]
            yield took

    def record() -> Iterator[float]:
        for claimed in claims:
            results = [
                {"attempt": batch["attempt_id"], "ids": [row["id"] for row in batch["rows"]],
                 "message_ids": [ses_id(row["id"]) for row in batch["rows"]], "rest": []}
                for batch in claimed
            ]  # fmt: skip
            yield call(sql, "record_batches", p_batches=results)[1]

    def deliver() -> Iterator[float]:
        for batch in chain.from_iterable(claims):
            yield call(sql, "apply_ses_events", p_events=deliveries(mailout, batch))[1]

    return {
        "queue": stage(sql, queue),
        "claim": stage(sql, claim),
        "record": stage(sql, record),
        "delivery event": stage(sql, deliver),
    }


def batches_of(claim: dict[str, Any]) -> list[dict[str, Any]]:
    rows = zip(claim["ids"], claim["emails"], strict=True)
    return [
        {"attempt_id": attempt, "rows": [{"id": i, "email": e} for i, e in islice(rows, size)]}
        for attempt, size in zip(claim["attempts"], claim["sizes"], strict=True)
    ]


def ses_id(row: int) -> str:
    """As long as SES's, and in no order."""
    return f"0100019b{hash(('id', row)) & 0xFFFFFFFF:08x}-{uuid4()}-000000"


def deliveries(mailout: str, batch: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for row in batch["rows"]:
        payload = json.loads(PAYLOAD.read_text())
        payload["mail"]["destination"] = payload["delivery"]["recipients"] = [row["email"]]
        payload["mail"]["tags"] |= {
            "mailout_id": [mailout], "send_log_id": [str(row["id"])],
            "attempt": [batch["attempt_id"]],
        }  # fmt: skip
        found.append(
            {"sns_message_id": str(uuid4()), "type": "delivery", "mailout_id": mailout,
             "send_log_id": row["id"], "attempt": batch["attempt_id"], "payload": payload,
             "occurred_at": "2026-11-26T12:00:00+00:00"}
        )  # fmt: skip
    return found


def stage(sql: Sql, work: Callable[[], Iterator[float]]) -> Stage:
    pid = sql.info.backend_pid
    wal, pages = lsn(sql), missed(sql)
    cpu = sum(map(int, stat_of(pid)[11:13]))
    took = list(work())
    used = sum(map(int, stat_of(pid)[11:13])) - cpu
    after = missed(sql)
    return Stage(
        (lsn(sql) - wal) / MAILS,
        used / TICKS / MAILS * 1e6,
        {name: (after[name] - pages.get(name, 0)) / MAILS for name in after},
        took,
    )


def lsn(sql: Sql) -> int:
    return int(one(sql, "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")[0])


def missed(sql: Sql) -> dict[str, int]:
    """Pages read that weren't in the cache, so far."""
    sql.execute("select pg_stat_force_next_flush()")
    sql.execute("select pg_stat_clear_snapshot()")
    return dict(
        sql.execute(
            "select relname, coalesce(heap_blks_read, 0) + coalesce(toast_blks_read, 0) "
            "+ coalesce(tidx_blks_read, 0) from pg_statio_user_tables union all "
            "select indexrelname, idx_blks_read from pg_statio_user_indexes"
        ).fetchall()
    )


def vacuumed(sql: Sql, table: str) -> str:
    wal, pages, began = lsn(sql), sum(missed(sql).values()), time.monotonic()
    sql.execute(f"vacuum {table}".encode())
    took = time.monotonic() - began
    return (
        f"{took:.1f} s, {sum(missed(sql).values()) - pages:,} pages read, "
        f"WAL {(lsn(sql) - wal) / 2**20:,.0f} MB"
    )


def checkpointed(sql: Sql) -> str:
    written = "select sum(writes) from pg_stat_io where object = 'relation'"
    [before], began = one(sql, written), time.monotonic()
    sql.execute("checkpoint")
    took = time.monotonic() - began
    sql.execute("select pg_stat_clear_snapshot()")
    return f"{took:.1f} s, {one(sql, written)[0] - before:,.0f} pages written"


# Partitions


def partitions(sql: Sql) -> None:
    """The ledger by range of mailout ids, a million rows in one of the partitions."""
    [mailout] = one(sql, "select md5('0')::uuid::text")
    columns = f"id, {COLUMNS}"
    for count in (1, 12, 120, 600):
        sql.execute("drop table if exists parted")
        sql.execute("create table parted (like send_logs) partition by range (mailout_id)")
        sql.execute("create unique index on parted (mailout_id, id)")
        sql.execute("create unique index on parted (mailout_id, subscriber_id) where not is_test")
        sql.execute("create index on parted (mailout_id, id) where status = 'queued'")
        sql.execute("create index on parted using hash (message_id)")
        edges = [f"{n * 2**32 // count:08x}-0000-0000-0000-000000000000" for n in range(1, count)]
        for number, (low, high) in enumerate(
            zip(["minvalue", *edges], [*edges, "maxvalue"], strict=True)
        ):
            a, b = (edge if edge.endswith("value") else f"'{edge}'" for edge in (low, high))
            sql.execute(
                f"create table parted_{number} partition of parted for values from ({a}) to ({b})"
            )
        rows = 200_000
        sql.execute(
            f"insert into parted ({columns}, is_test) select {columns}, false from send_logs "
            "where mailout_id = %s and not is_test limit %s",
            [mailout, rows],
        )
        sql.execute("analyze parted")
        ids = [i for (i,) in sql.execute("select id from parted limit 50")]
        [message] = one(sql, "select message_id from parted where message_id is not null limit 1")
        told(
            f"{count} partitions, CPU of a statement with its plan",
            ", ".join(
                f"{name} {timed(sql, query, values)}"
                for name, query, values in (
                    ("due of a mailout", "select id from parted where mailout_id = %s and status = "
                     "'queued' order by id limit 400", [mailout]),
                    ("50 by mailout and id", "select * from parted where mailout_id = %s and "
                     "id = any (%s)", [mailout, ids]),
                    ("50 by id alone", "select * from parted where id = any (%s)", [ids]),
                    ("by message id alone", "select * from parted where message_id = %s",
                     [message]),
                )
            ),
        )  # fmt: skip
        if count == 12:
            wal, began = lsn(sql), time.monotonic()
            [holds] = one(sql, "select tableoid::regclass::text from parted limit 1")
            sql.execute(f"drop table {holds}".encode())
            told(
                f"dropping a partition of {rows:,} rows",
                f"{(time.monotonic() - began) * 1000:.0f} ms, WAL {(lsn(sql) - wal) / 1024:.0f} KB",
            )
    sql.execute("drop table parted")


def timed(sql: Sql, query: str, values: list[Any], often: int = 200) -> str:
    """CPU of the server for one, its plan included: that doesn't move with the neighbours."""
    sql.execute(query.encode(), values)  # fills the connection's catalogue
    before = sum(map(int, stat_of(sql.info.backend_pid)[11:13]))
    for _ in range(often):
        sql.execute(query.encode(), values, prepare=False).fetchall()
    used = sum(map(int, stat_of(sql.info.backend_pid)[11:13])) - before
    return f"{used / TICKS / often * 1000:.2f} ms"


# Retention, and what SES's events take


def retention(sql: Sql) -> None:
    """A mailout's rows deleted in slices, as a job would."""
    [mailout] = one(sql, "select md5('0')::uuid::text")
    rows, wal, took = 0, lsn(sql), []
    while True:
        began = time.monotonic()
        gone = sql.execute(
            "delete from send_logs where id = any (array(select id from send_logs "
            "where mailout_id = %s and not is_test limit 10000))",
            [mailout],
        ).rowcount
        if not gone:
            break
        took.append(time.monotonic() - began)
        rows += gone
    told(
        f"deleting {rows:,} rows in slices of 10,000",
        f"{sum(took):.0f} s, a slice {ms(took)}, WAL {(lsn(sql) - wal) / rows:.0f} B a row",
    )
    told("vacuum after it", vacuumed(sql, "send_logs"))


def events(sql: Sql) -> None:
    rows = one(sql, "select count(*) from ses_events")[0]
    bytes_of(sql, "ses_events", rows)
    bytes_of(sql, "send_batches", one(sql, "select count(*) from send_batches")[0])


if __name__ == "__main__":
    print(f"median of the calls and the slowest; {os.cpu_count()} cores, shared", flush=True)
    main([int(size) for size in sys.argv[1:]] or list(SIZES))
