"""The report of one very large mailout, function by function.

`python -m bench.reports [RECIPIENTS]`: half of them did something. Each function's time is the
median of three, with the CPU of its connection. The data is kept in DATA for another time.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from app.services.engagement.reports import LINKS, SLICE
from bench.parts import database, truncate

RECIPIENTS = 1_000_000
DATA = Path(os.environ.get("BENCH_DATA", "/var/tmp/amazonsender-reports"))
MAILOUT = UUID(int=1)

FILL = """
insert into subscribers (email, address, tags)
select a, a, case when n % 3 = 0 then '{vienna}' when n % 3 = 1 then '{members,news}'
                  else '{}' end::text[]
  from (select n, 'r' || n || '@' || case when n % 9 = 0 then 'example' || n % 5000 || '.org'
               else (array['gmail.com', 'icloud.com', 'gmx.de', 'outlook.com'])[1 + n % 4] end as a
          from generate_series(1, {rows}) n) people;
insert into mailouts (id, subject, status, tracking, started_at, sent_at, recipients)
values ('{mailout}', 'Large', 'sent', true, now() - interval '9 days', now(), {rows});
insert into send_logs (mailout_id, subscriber_id, email, status, attempts, sent_at)
select '{mailout}', id, email, 'delivered', 1, now() - interval '9 days' from subscribers;
insert into recipient_counts (mailout_id, status, connection, recipients, unsubscribed)
values ('{mailout}', 'delivered', 0, {rows}, 0);
insert into mailout_links (mailout_id, url, position, place)
select '{mailout}', 'https://example.org/' || n, n, 'body' from generate_series(0, 19) n;
insert into engagement_recipients
       (send_log_id, mailout_id, subscriber_id, open_class, click_class, opened_at, clicked_at,
        rules)
select id, mailout_id, subscriber_id,
       (array['human', 'human', 'unknown', 'machine'])[1 + (id / 2) % 4],
       case when id % 10 = 0 then (array['human', 'machine'])[1 + (id / 10) % 2] end, at,
       case when id % 10 = 0 then at end, 1
  from (select *, sent_at + power(random(), 4) * interval '200 hours' as at
          from send_logs where id % 2 = 0) l;
insert into engagement_signals
       (send_log_id, mailout_id, kind, link_id, slot, first_at, last_at, class, reason, rules)
select send_log_id, mailout_id, 'open', 0, opened_at, opened_at, opened_at, open_class,
       open_class, 1
  from engagement_recipients
 union all
select e.send_log_id, e.mailout_id, 'click', l.id, clicked_at, clicked_at, clicked_at, click_class,
       click_class, 1
  from engagement_recipients e
  join mailout_links l on l.position in (e.send_log_id % 20, e.send_log_id % 7)
 where clicked_at is not null;
insert into engagement_counting (ends_at) select max(send_log_id) from engagement_recipients;
"""
CALLS = (
    ("totals", "engagement_totals(%(mailout)s)"),
    ("links", "engagement_links(%(mailout)s, %(links)s)"),
    ("reasons", "engagement_reasons(%(mailout)s)"),
    ("over time", "engagement_series(%(mailout)s)"),
    ("by provider, a slice", "engagement_groups_slice(%(mailout)s, 'domain', %(half)s, %(slice)s)"),
    ("by tag, a slice", "engagement_groups_slice(%(mailout)s, 'tag', %(half)s, %(slice)s)"),
    ("1,000 rows of the CSV", "engagement_page(%(mailout)s, %(first)s, 1000)"),
)


def main(rows: int) -> None:
    values: dict[str, Any] = {
        "rows": rows, "mailout": MAILOUT, "links": LINKS, "slice": SLICE,
        "first": UUID(int=0), "half": UUID(int=1 << 127),
    }  # fmt: skip
    with database(DATA) as dsn, psycopg.connect(dsn, autocommit=True) as sql:
        if sql.execute("select from mailouts where recipients = %(rows)s", values).rowcount != 1:
            build(sql, rows)
        began = time.perf_counter()
        while sql.execute("select count_engagement(1000) > 0").fetchone() == (True,):
            pass
        sys.stdout.write(f"counted in slices: {time.perf_counter() - began:.0f} s\n")
        for name, call in CALLS:
            took = [measure(sql, f"select {call}", values) for _ in range(3)]
            wall, cpu = map(statistics.median, zip(*took, strict=True))
            sys.stdout.write(f"| {name} | {1_000 * wall:.0f} ms | {1_000 * cpu:.0f} ms |\n")


def measure(
    sql: psycopg.Connection[Any], query: str, values: dict[str, Any]
) -> tuple[float, float]:
    """Seconds that a call took, and of them the CPU's."""
    pid = sql.info.backend_pid
    before, start = _cpu(pid), time.perf_counter()
    sql.execute(query.encode(), values).fetchone()
    return time.perf_counter() - start, _cpu(pid) - before


def _cpu(pid: int) -> float:
    """User and system time of a process in seconds; clock ticks of Linux are hundredths."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def build(sql: psycopg.Connection[Any], rows: int) -> None:
    sql.execute("set session_replication_role = replica")  # no trigger: nothing of it is counted
    truncate(sql)
    sql.execute(
        "truncate recipient_counts, mailout_links, engagement_recipients, engagement_signals, "
        "engagement_counts, engagement_counting"
    )
    for statement in (
        FILL.replace("{rows}", str(rows)).replace("{mailout}", str(MAILOUT)).split(";")
    ):
        sql.execute(statement.encode())
    sql.execute("set session_replication_role = origin")
    sql.execute("vacuum analyze")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else RECIPIENTS)
