"""What the measurements share: a database, a sink, processes and their CPU time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import psycopg

from app.adapters.database.embedded import EmbeddedPostgres
from app.adapters.database.migrations import migrate
from tests.support.service import BEARER, environment

TICKS = os.sysconf("SC_CLK_TCK")
REGION = "us-east-1"

# 30 KB of HTML with a name and an unsubscribe link.
BODY = (
    "<p>Hi {{ name }}</p>\n"
    + ("<p>" + "Lorem ipsum dolor sit amet. " * 40 + "</p>\n") * 26
    + '<p><a href="{{ unsubscribe_url }}">No more letters</a></p>'
)


class Sink:
    """bench/sink.py in a process of its own."""

    def __init__(self, url: str, child: Child) -> None:
        self.url = url
        self._child = child

    @property
    def cpu_seconds(self) -> float:
        return self._child.cpu_seconds

    def reset(self) -> None:
        httpx.get(f"{self.url}/reset")

    def stats(self, what: str = "stats") -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.url}/{what}", timeout=30).json()
        return found


@contextmanager
def sink(latency: float = 0.0, *more: str) -> Iterator[Sink]:
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.sink", "0", str(latency), *more],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    url = child.stdout.readline().split()[-1]
    try:
        yield Sink(url, Child(child))
    finally:
        child.kill()
        child.wait()


@contextmanager
def database(folder: Path, **changes: str) -> Iterator[str]:
    """A durable PostgreSQL (fsync on), migrated; gives its DSN. changes: of the server's
    settings."""
    import asyncio

    settings = {"shared_buffers": "512MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}
    settings |= changes
    with EmbeddedPostgres(folder, settings=settings) as server:
        asyncio.run(migrate(server.dsn()))
        yield server.dsn()


def fill(dsn: str, subscribers: int) -> None:
    """Empty the tables and put that many active subscribers there."""
    with psycopg.connect(dsn, autocommit=True) as sql:
        truncate(sql)
        sql.execute(
            "insert into subscribers (email, name, created_at) select 'reader' || n || "
            "'@example.com', 'Reader ' || n, now() - interval '1 day' "
            "from generate_series(1, %s) n",
            [subscribers],
        )
        sql.execute("vacuum analyze")


def dropped_indexes(sql: psycopg.Connection[Any], *tables: str) -> dict[str, str]:
    """Turn triggers off and drop the indexes, so that tens of millions of rows are written in
    minutes: row by row, random entries of an index take many times as long. Gives what makes each
    again; `indexed` turns the triggers on."""
    for table in tables:
        sql.execute(f"alter table {table} disable trigger user")
    found = sql.execute(
        "select indexname, indexdef from pg_indexes "
        "where tablename = any(%s) and indexname not like '%%_pkey'",
        [list(tables)],
    ).fetchall()
    for name, _ in found:
        sql.execute(f"drop index {name}")
    return dict(found)


def indexed(
    sql: psycopg.Connection[Any], indexes: dict[str, str], *tables: str
) -> dict[str, float]:
    """Make them, count what the triggers would have counted, and tell the seconds of each."""
    for table in tables:
        sql.execute(f"alter table {table} enable trigger user")
    sql.execute("checkpoint")
    took = {}
    for name, definition in {"counting": "select recount()", **indexes}.items():
        began = time.monotonic()
        sql.execute(definition)
        took[name] = time.monotonic() - began
    sql.execute("vacuum analyze")
    sql.execute("checkpoint")
    return took


def truncate(sql: psycopg.Connection[Any]) -> None:
    tables = sql.execute(
        "select string_agg(format('%I', tablename), ', ') from pg_tables "
        "where schemaname = 'public' and tablename not like 'schema_%' "
        # Its one row comes from its migration.
        "and tablename <> 'standing_state'"
    ).fetchone()
    assert tables is not None
    sql.execute(f"truncate {tables[0]} cascade")


def age(dsn: str, rows: int) -> None:
    """Ledger rows of 20 mailouts that are over, a million at a time: the triggers that count keep
    what a statement wrote until its end."""
    with psycopg.connect(dsn, autocommit=True) as sql:
        for first in range(1, rows + 1, 1_000_000):
            sql.execute(
                "insert into send_logs (mailout_id, subscriber_id, email, status, message_id, "
                "attempts, sent_at) select md5((n %% 20)::text)::uuid, gen_random_uuid(), "
                "'reader' || n || '@example.com', 'delivered', md5(n::text), 1, "
                "now() - interval '30 days' "
                "from generate_series(%s, %s) n",
                [first, min(first + 999_999, rows)],
            )
        sql.execute("vacuum analyze send_logs")
        sql.execute("checkpoint")  # else their writing to disk is measured


def ready_mailout(dsn: str) -> str:
    with psycopg.connect(dsn, autocommit=True) as sql:
        row = sql.execute(
            "insert into mailouts (subject, body_html, status) "
            "values ('Hello {{ name }}', %s, 'ready') returning id::text",
            [BODY],
        ).fetchone()
        assert row is not None
        return str(row[0])


def start_by_request(mailout: str, target: Sink, base: str) -> tuple[float, float, Any]:
    """`POST /send-mailout`: seconds until it was answered, until SES's first call; the answer."""
    target.reset()
    sent = time.monotonic()
    answer = httpx.post(
        f"{base}/send-mailout", json={"mailout_id": mailout}, headers=BEARER, timeout=60
    )
    answered = time.monotonic() - sent
    assert answer.status_code == 202, answer.text
    while not (first := target.stats()["first"]):
        time.sleep(0.01)
    return answered, first - sent, answer.json()


def start_directly(dsn: str, mailout: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute(
            "select claim_mailout(id, mailout_content_hash(m)) from mailouts m where id = %s",
            [mailout],
        )


def wait_until_up(base: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{base}/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError("the service did not come up")


def stat_of(pid: int | str) -> list[str]:
    """/proc/PID/stat from the third field (the state) on; proc(5) has the list."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def cpu_of_postgres(dsn: str) -> float:
    """Seconds of CPU of a server on this machine: its processes, and those that have ended."""
    with psycopg.connect(dsn) as sql:
        row = sql.execute("select pg_backend_pid()").fetchone()
        assert row is not None
        postmaster = stat_of(row[0])[1]
        while True:
            children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
            try:
                ticks = sum(int(n) for child in children for n in stat_of(child)[11:13])
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended, and its parent has its time
            return (ticks + sum(map(int, stat_of(postmaster)[11:15]))) / TICKS


def most_at_sink(rate: float) -> float:
    """The limit plus one batch."""
    return rate + max(1, min(50, int(rate)))


def fullest(times: list[Any], window: float = 1.0) -> int:
    """The most that fall into any half-open window of a second."""
    best = used = start = 0
    for at, count in times:
        used += count
        while times[start][0] <= at - window + 1e-6:
            used -= times[start][1]
            start += 1
        best = max(best, used)
    return best


class Child:
    """One of our commands, with the CPU time it took and its peak memory."""

    def __init__(self, process: subprocess.Popen[Any]) -> None:
        self.process = process

    @property
    def cpu_seconds(self) -> float:
        return sum(map(int, stat_of(self.process.pid)[11:13])) / TICKS

    @property
    def peak_mb(self) -> float:
        return peak_mb(self.process.pid)


def peak_mb(pid: int) -> float:
    """The most memory that a process had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM")


@contextmanager
def command(dsn: str, sink_url: str, *arguments: str, **changes: str | None) -> Iterator[Child]:
    """changes: of the variables; None: not set."""
    defaults: dict[str, str | None] = {"RATE_LIMIT_PER_SEC": "1000000", "LOG_LEVEL": "warning"}
    variables = environment(dsn, sink_url, **defaults | changes)
    with running(arguments, variables) as child:
        yield child


@contextmanager
def running(
    arguments: Sequence[str], variables: dict[str, str], log: IO[bytes] | None = None
) -> Iterator[Child]:
    """log: where its log goes; None: to our stderr."""
    child = subprocess.Popen(
        [sys.executable, "-m", "app.cli", *arguments],
        env={"PATH": os.environ["PATH"], **variables},
        stderr=log,
    )
    try:
        yield Child(child)
    finally:
        child.terminate()
        child.wait(15)


def wait_for(dsn: str, query: str, value: object, seconds: float = 600) -> None:
    """Poll until the query's first column is `value`."""
    deadline = time.monotonic() + seconds
    with psycopg.connect(dsn, autocommit=True) as sql:
        while True:
            row = sql.execute(query.encode()).fetchone()
            if row is not None and row[0] == value:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{query}: {row}, not {value} after {seconds} s")
            time.sleep(0.05)
