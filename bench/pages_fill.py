"""Ten million subscribers and a ledger of twenty million rows, as real writes would leave them.

`python -m bench.pages_fill` writes it in steps and remembers which are done, so it can be ended at
any moment and begun again. Triggers are off and indexes are made at the end of their table: row by
row it would take hours; the counts that triggers keep are counted at the end (`recount`) or written
beside. The ledger lies in the order in which it is queued: mailout by mailout, by subscriber. To
save disk only half of it has message ids, and a part events, opens and the history of its people.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psycopg

from app.adapters.database.embedded import EmbeddedPostgres
from app.adapters.database.migrations import migrate

DATA = Path(os.environ.get("BENCH_DATA", "/var/tmp/amazonsender-pages"))
SUBSCRIBERS = int(os.environ.get("PAGES_SUBSCRIBERS", "10000000"))
SCALE = SUBSCRIBERS / 10_000_000
Sql = psycopg.Connection[Any]

# Ledger rows of the mailouts that have some: one to everybody, some middle ones, many small.
SIZES = [
    max(50, int(size * SCALE) // 50 * 50)
    for size in (10_000_000, 3_000_000, 1_000_000, 1_000_000, *[138_000] * 36)
]
BATCH = 50
SMALL = 1_000
"""Mailouts with a hundred rows each, and as many drafts, beside those."""
FEW = int(max(2_000, 300_000 * SCALE))
"""Rows of the tables that a day adds hundreds to: jobs, the audit log, deliveries, sign-ups."""


def mailout(n: int) -> str:
    return f"00000000-0000-4000-8000-{n:012d}"


def spans() -> Iterator[tuple[int, int, int]]:
    """Each mailout's number, its first ledger id and how many it has."""
    first = BATCH
    for n, rows in enumerate(SIZES):
        yield n, first, rows
        first += rows


def _sections() -> dict[str, list[str]]:
    """The statements of each step of pages_fill.sql."""
    text = Path(__file__).with_suffix(".sql").read_text()
    return {
        name: [part for part in body.removesuffix(";").split(";\n") if part.strip()]
        for name, body in re.findall(
            r"^-- step: (.+)\n((?:(?!-- step: ).*\n)*)", text, re.MULTILINE
        )
    }


SQL = _sections()


@contextmanager
def database(*, filling: bool = False) -> Iterator[str]:
    """filling: nothing of it survives a crash, and then it has to be filled anew."""
    import asyncio

    settings = {"shared_buffers": "512MB", "max_wal_size": "1GB", "checkpoint_timeout": "15min"}
    if filling:
        settings |= {
            "max_wal_size": "256MB",
            "amazonsender.disposable": "on", "fsync": "off", "full_page_writes": "off",
            "wal_level": "minimal", "max_wal_senders": "0", "maintenance_work_mem": "1GB",
            "synchronous_commit": "off", "autovacuum": "off", "work_mem": "256MB",
        }  # fmt: skip
    with EmbeddedPostgres(DATA, settings=settings) as server:
        asyncio.run(migrate(server.dsn()))
        yield server.dsn()


LATER = {
    "batches": ["send_batches"],
    "changes": ["subscriber_changes"],
    "events": ["ses_events"],
    "engagement": ["engagement_recipients", "engagement_signals"],
}
"""What each step fills."""


def steps() -> Iterator[tuple[str, list[str]]]:
    """What is done one after the other; each as one transaction."""
    yield "empty", ["truncate {tables} cascade", "insert into pacing_turns default values",
                    "insert into standing_state default values",
                    "insert into list_moves_since default values"]  # fmt: skip
    yield "take indexes of subscribers", ["{take subscribers}"]
    part = max(1, SUBSCRIBERS // 5)
    for first in range(1, SUBSCRIBERS + 1, part):
        yield f"people {first}", [filled(SQL["people"][0], first=first, last=first + part - 1)]
    yield from made("subscribers")
    yield "analyze subscribers", ["analyze subscribers"]
    yield "mailouts", [filled(SQL["mailouts"][0], sizes=f"{{{','.join(map(str, SIZES))}}}")]
    yield "take indexes of send_logs", ["{take send_logs}"]
    for n, first, rows in spans():
        yield f"ledger {n}", [ledger(n, first, rows)]
    yield (
        "ids",
        ["select setval(pg_get_serial_sequence('send_logs', 'id'), max(id)) from send_logs"],
    )
    for name, tables in LATER.items():
        yield f"take indexes: {name}", [f"{{take {table}}}" for table in tables]
        for nth, statement in enumerate(SQL[name]):
            yield f"{name} {nth}", [filled(statement)]
        for table in tables:
            yield from made(table)
    yield "small mailouts", [filled(s) for s in SQL["small mailouts"]]
    yield from made("send_logs")
    name = "tables of hundreds of thousands"
    yield name, [filled(s) for s in SQL[name]]
    counting = "do $$ begin while count_engagement(20000) > 0 loop end loop; end $$"
    yield "recount", ["select recount()", counting]
    yield "vacuum", ["vacuum analyze"]


def filled(statement: str, **values: object) -> str:
    given = {
        "total": SUBSCRIBERS,
        "few": FEW,
        "small": SMALL,
        "events": int(600_000 * SCALE) + 100,
        "identified": int(10_000_000 * SCALE),
    }
    for name, value in (given | values).items():
        statement = statement.replace(f"{{{name}}}", str(value))
    return statement


def ledger(n: int, first: int, rows: int) -> str:
    """Subscribers from a place of their own on: not all small mailouts went to the same ones."""
    begin = n * 35_000_000
    return filled(
        SQL["ledger"][0], first=first, mailout=mailout(n), rows=rows, open=str(n in (3, 5)).lower(),
        after=f"{begin:08x}-0000-0000-0000-000000000000",
    )  # fmt: skip


INDEXES = {
    "subscribers": 9, "send_logs": 10, "send_batches": 2, "subscriber_changes": 2, "ses_events": 4,
    "engagement_recipients": 3, "engagement_signals": 2,
}  # fmt: skip
"""How many of each table are made at the end, at most."""


def made(table: str) -> Iterator[tuple[str, list[str]]]:
    for nth in range(INDEXES[table] + 3):
        yield f"index {nth} of {table}", [f"{{make {table}}}"]


def fill(sql: Sql, seconds: float) -> bool:
    """Whether all is done."""
    started = time.monotonic()
    sql.execute("create schema if not exists bench")
    sql.execute("create table if not exists bench.steps (name text primary key)")
    sql.execute("create table if not exists bench.taken (of text, name text, definition text)")
    sql.execute("set session_replication_role = replica")
    sql.execute("set max_parallel_maintenance_workers = 1")
    done = {name for (name,) in sql.execute("select name from bench.steps")}
    for name, statements in steps():
        if name in done:
            continue
        if time.monotonic() - started > seconds:
            return False
        began = time.monotonic()
        with nullcontext() if name == "vacuum" else sql.transaction():
            for statement in statements:
                run(sql, statement)
            sql.execute("insert into bench.steps values (%s)", [name])
        if (took := time.monotonic() - began) > 1:
            sys.stdout.write(f"{name}: {took:.0f} s\n")
            sys.stdout.flush()
    return True


INDEXES_OF = """
insert into bench.taken
select tablename, indexname, indexdef from pg_indexes
 where tablename = %s and schemaname = 'public'
   and indexname not in (select conname from pg_constraint)
"""
ALL_TABLES = """
select string_agg(format('%I', tablename), ', ') from pg_tables
 where schemaname = 'public' and tablename not like 'schema_%'
"""
NEXT_INDEX = "select name, definition from bench.taken where of = %s order by name limit 1"


def run(sql: Sql, statement: str) -> None:
    """{take TABLE}: its indexes away. {make TABLE}: one of them again."""
    if statement.startswith("{take "):
        table = statement.removeprefix("{take ").removesuffix("}")
        sql.execute(INDEXES_OF, [table])
        for (name,) in sql.execute("select name from bench.taken where of = %s", [table]):
            sql.execute(f"drop index {name}")
    elif statement.startswith("{make "):
        table = statement.removeprefix("{make ").removesuffix("}")
        if row := sql.execute(NEXT_INDEX, [table]).fetchone():
            sql.execute(f"drop index if exists {row[0]}")
            sql.execute(row[1])
            sql.execute("delete from bench.taken where name = %s", [row[0]])
    elif "{tables}" in statement:
        row = sql.execute(ALL_TABLES).fetchone()
        assert row is not None
        sql.execute(statement.replace("{tables}", row[0]).encode())
    else:
        sql.execute(statement.encode())


def main(seconds: float) -> None:
    with database(filling=True) as dsn, psycopg.connect(dsn, autocommit=True) as sql:
        if not fill(sql, seconds):
            sys.stdout.write("Not all is there yet: once more.\n")


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else float("inf"))
