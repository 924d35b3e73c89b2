"""Audiences by rule on a million subscribers: counted, queued, and compared with the last mailout.

PostgreSQL's CPU time stands beside each figure, since other programs may slow the clock's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.types.json import Jsonb

from bench.parts import truncate

Row = tuple[str, str, str, str]
Sql = psycopg.Connection[Any]

SIZE = 1_000_000
REPEATS = 3
THREE = {
    "all": [
        {"tags": ["even", "few"]},
        {"field": "fields.plan", "op": "is_not", "value": "free"},
        {"field": "created_at", "op": "after", "value": "2020-01-01"},
    ]
}
OTHERS: dict[str, Any] = {
    "a number in a text, a date in a text, a part of a name": {
        "any": [
            {"field": "fields.points", "op": "gt", "value": 900},
            {"field": "fields.since", "op": "before", "value": "2021-01-01"},
            {"field": "name", "op": "contains", "value": "r 77"},
        ]
    },
    "a rare tag and two more": {"all": [{"tags": ["few"]}, *THREE["all"][1:]]},
}


def audiences(dsn: str, size: int = SIZE) -> Iterator[Row]:
    with psycopg.connect(dsn, autocommit=True) as sql:
        _fill(sql, size)
        for name, rule in ({"three conditions": THREE} | OTHERS).items():
            took = _best(sql, partial(_preview, sql, rule))
            found = _preview(sql, rule)
            yield (f"counting {found['count']:,} of {size:,} by {name}", _ms(took), "under 2 s",
                   "with a sample and who is left out")  # fmt: skip
        yield from _queueing(sql, size)
        yield from _received(sql, size)


def _fill(sql: Sql, size: int) -> None:
    truncate(sql)
    sql.execute(
        "insert into subscribers (email, name, tags, fields, created_at) "
        "select 'reader' || n || '@example.com', 'Reader ' || n, "
        "case when n %% 10000 = 1 then '{odd,few}'::text[] when n %% 2 = 0 then '{even}' "
        "else '{odd}' end, jsonb_build_object('plan', case when n %% 3 = 0 then 'free' else 'pro' "
        "end, 'points', (n %% 1000)::text, 'since', (date '2019-01-01' + n %% 2000)::text), "
        "now() - interval '1 day' from generate_series(1, %s) n",
        [size],
    )
    sql.execute("vacuum analyze subscribers")


def _queueing(sql: Sql, size: int) -> Iterator[Row]:
    everybody = [{"field": "created_at", "op": "after", "value": "2020-01-01"},
                 {"field": "fields.plan", "op": "exists"},
                 {"field": "email", "op": "contains", "value": "@"}]  # fmt: skip
    for name, rule in (("everybody", None), ("three conditions", {"all": everybody})):
        ours = _best(sql, partial(_queue, sql, rule))
        bare = _best(sql, partial(_bare, sql))
        yield (f"queueing {size:,} recipients, {name}",
               f"{size / ours[0]:,.0f} rows/s = {ours[0] / bare[0]:.2f} × a bare INSERT…SELECT "
               f"({ours[1] / bare[1]:.2f} × its CPU)", "100,000 rows/s or 1.3 ×", "")  # fmt: skip


def _received(sql: Sql, size: int) -> Iterator[Row]:
    """After everybody got a mailout."""
    sent = str(uuid4())
    sql.execute("truncate send_logs")
    sql.execute(
        "insert into mailouts (id, subject, body_html, status, started_at, sent_at) "
        "values (%s, 's', 'b', 'sent', now(), now())",
        [sent],
    )
    sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status, sent_at) "
        "select %s, id, email, 'delivered', now() from subscribers where tags && '{odd}'",
        [sent],
    )
    sql.execute("vacuum analyze send_logs")
    for name, rule in (
        ("who got a mailout", {"field": "received", "op": "is", "value": sent}),
        ("who got none in 30 days",
         {"field": "received", "op": "is_not", "value": "any", "days": 30}),
    ):  # fmt: skip
        took = _best(sql, partial(_preview, sql, rule))
        yield f"counting {name}, of {size:,}", _ms(took), "stated", ""


def _preview(sql: Sql, rule: Any) -> dict[str, Any]:
    row = sql.execute("select preview_audience(%s)", [Jsonb(rule)]).fetchone()
    assert row is not None
    found: dict[str, Any] = row[0]
    return found


def _queue(sql: Sql, rule: Any) -> None:
    sql.execute("truncate send_logs")
    mailout = str(uuid4())
    sql.execute(
        "insert into mailouts (id, subject, body_html, status, audience, started_at, recipients) "
        "values (%s, 's', 'b', 'sending', %s, now(), 1)",
        [mailout, None if rule is None else Jsonb(rule)],
    )
    sql.execute("insert into mailout_queues (mailout_id) values (%s)", [mailout])
    done = False
    while not done:
        row = sql.execute("select queue_recipients(%s, 20000)", [mailout]).fetchone()
        assert row is not None
        done = row[0]["done"]


def _bare(sql: Sql) -> None:
    sql.execute("truncate send_logs")
    sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status) "
        "select %s, id, email, 'queued' from subscribers order by id",
        [str(uuid4())],
    )


def _best(sql: Sql, work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds by the clock and of this connection's process in PostgreSQL: the best of some."""
    pid = sql.info.backend_pid
    times = []
    for _ in range(REPEATS):
        began, used = time.monotonic(), _cpu(pid)
        work()
        times.append((time.monotonic() - began, _cpu(pid) - used))
    return min(times)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _ms(took: tuple[float, float]) -> str:
    return f"{1000 * took[0]:,.0f} ms (CPU {1000 * took[1]:,.0f} ms)"
