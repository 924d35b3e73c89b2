"""Pages of a list with a filter, and what the indexes for them cost an import.

`python -m bench.lists [ROWS]`: each filter's slowest of four pages, asked for one after another:
the median of three times after the first, for which nothing may be in memory. The list is kept in
DATA for another time.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from bench.parts import database, dropped_indexes, indexed, truncate

ROWS = 1_000_000
DATA = Path("/var/tmp/amazonsender-lists")
SLICE = 10_000
LAST = 100_000
"""Rows that are inserted with all indexes and triggers at work, to see what those cost."""
PAGE = 50

# Statuses, tags and names from frequent to rare; `middle` is too frequent to look at all who have
# it, and too rare to fill a page soon.
INSERT = """
insert into subscribers (email, name, status, tags, fields, address)
select *, email from (
select 'u' || md5(n::text) || '@' || case when n %% 50000 = 0 then 'rare.org'
           else (array['gmail.com', 'gmx.de', 'example' || n %% 5000 || '.org'])[n %% 3 + 1] end
           as email,
       case when n %% 77777 = 0 then 'Xaver Quendel'
           else (array['Ann', 'Bogdan', 'Chiara'])[n %% 3 + 1] || ' '
             || (array['Smith', 'Petrov', 'Luca', 'Miller', 'Berger'])[n %% 5 + 1] end,
       case when n %% 40000 = 0 then 'complained' when n %% 20 = 0 then 'unsubscribed'
           else 'active' end,
       case when n %% 33333 = 0 then '{rare,news}' when n %% 2 = 0 then '{news}'
           when n %% 300 = 1 then '{middle}' else '{}' end::text[],
       jsonb_build_object('plan', n %% 7)
  from generate_series(%s::integer, %s::integer) n) people
"""

FILTERS: tuple[dict[str, Any], ...] = (
    {}, {"status": "active"}, {"status": "complained"},
    {"status": "unsubscribed", "tags": ["news"]}, {"tags": ["news"]}, {"tags": ["rare"]},
    {"tags": ["middle"]}, {"tags": ["middle"], "status": "unsubscribed"},
    {"q": "rare.org"}, {"q": "gmail"}, {"q": "xav"}, {"q": "quend"},
    {"q": "smith"}, {"q": "nobody"}, {"q": "smith", "status": "complained"},
    {"q": "gmail", "tags": ["middle"], "status": "unsubscribed"}, {"fields": {"plan": "3"}},
    {"fields": {"plan": "x"}},
)  # fmt: skip


def pages(sql: psycopg.Connection[Any], wanted: dict[str, Any]) -> Iterator[float]:
    """Milliseconds of each of the first four."""
    after = None
    for _ in range(4):
        start = time.perf_counter()
        found = sql.execute(
            "select subscribers_page(%s, %s, %s)", [Jsonb(wanted), PAGE, after and Jsonb(after)]
        ).fetchone()
        yield 1_000 * (time.perf_counter() - start)
        assert found is not None
        after = found[0]["next"]
        if after is None:
            return


def main(rows: int) -> None:
    with database(DATA) as dsn, psycopg.connect(dsn, autocommit=True) as sql:
        there = sql.execute(
            "select coalesce(sum(subscribers), 0) from subscriber_counts"
        ).fetchone()
        if there is None or there[0] != rows:
            build(sql, rows)
        for wanted in FILTERS:
            first, *more = (max(pages(sql, wanted)) for _ in range(4))
            sys.stdout.write(
                f"| {wanted} | {statistics.median(more):.1f} ms, first {first:.1f} |\n"
            )
            sys.stdout.flush()


def build(sql: psycopg.Connection[Any], rows: int) -> None:
    truncate(sql)
    indexes = dropped_indexes(sql, "subscribers")
    sql.execute(INSERT, [1, rows - LAST])
    indexed(sql, indexes, "subscribers")
    start = time.perf_counter()
    for first in range(rows - LAST + 1, rows + 1, SLICE):
        sql.execute(INSERT, [first, first + SLICE - 1])
    took = time.perf_counter() - start
    sys.stdout.write(f"| the last {LAST:,} of {rows:,} rows | {LAST / took:,.0f} rows/s |\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else ROWS)
