"""Every page and list beside ten million subscribers and a ledger of twenty million rows.

`python -m bench.pages [FUNCTION …]` makes each call that a page, a `GET` endpoint or a listing
command makes, in its worst form, and tells the time in the database (median, and first on a new
connection), the CPU time of it, which others on the machine hardly move, the rows and the buffers
read. The database is filled by `bench.pages_fill` and kept.

Every function that app/store calls is either here or in `NOT_PAGES`;
tests/integration/test_every_page_is_measured.py compares.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from app.services.audience.segments import QUICK
from bench.pages_calls import COMPUTED, PAGES
from bench.pages_fill import SUBSCRIBERS, database, fill, mailout

GOAL_MS = 50.0
COMPUTED_MS = 1_000.0
SLOWEST = 5
NEW_CONNECTIONS = 30
Sql = psycopg.Connection[Any]
Row = tuple[str, str, str, str]

# What sequential scans returned and the entries that indexes did, as in tests/support/reads.py.
_READ = """
select coalesce(sum(pg_stat_get_xact_tuples_returned(oid)), 0)::bigint from pg_class
 where relnamespace = 'public'::regnamespace and relkind in ('r', 'i')
"""


@dataclass(frozen=True)
class Taken:
    """first, median: milliseconds in the database. first: on a new connection. cpu: of the process
    behind the connection, median, planning included."""

    function: str
    form: str
    first: float
    median: float
    cpu: float
    rows: int
    buffers: int
    goal: float


def goal(function: str, form: dict[str, Any]) -> float:
    """Milliseconds. The first number of a preview is waited for, as a page is."""
    waited_for = function not in COMPUTED or form.get("p_exact") == QUICK
    return GOAL_MS if waited_for else COMPUTED_MS


def known(sql: Sql) -> dict[str, Any]:
    """What stands for itself in PAGES, beginning with $: somebody with thousands of changes and
    mails, and others."""

    def one(query: str) -> Any:
        row = sql.execute(query.encode()).fetchone()
        assert row is not None, query
        return row[0]

    person = one("select id::text from subscribers order by id limit 1")
    return {
        "$all": mailout(0), "$middle": mailout(1), "$sending": mailout(3), "$paused": mailout(5),
        "$cancelled": mailout(6),
        "$small": one("select id::text from mailouts where subject = 'Small letter 9'"),
        "$draft": one("select id::text from mailouts where subject = 'Draft 9'"),
        "$person": person,
        "$address": one(f"select address from subscribers where id = '{person}'"),
        "$last": one("select id::text from subscribers order by id desc limit 1"),
        "$lastaddress": one("select address from subscribers order by id desc limit 1"),
        "$segment": one("select id::text from segments limit 1"),
        "$hook": one("select hook_id::text from hook_deliveries where state = 'waiting' limit 1"),
        "$import": one("select import_id::text from import_refusals limit 1"),
        "$job": one("select id::text from jobs where state = 'running'"),
        "$template": one("select id::text from templates limit 1"),
        "$signup": one("select id::text from signups limit 1"),
        "$target": one("select target from audit_log limit 1"),
        "$event": one("select sns_message_id from ses_events limit 1"),
        "$halftime": one("select (min(created_at) + (max(created_at) - min(created_at)) / 2)::text "
                         "from jobs"),
        "$zero": str(UUID(int=0)),
    }  # fmt: skip


def given(value: Any, facts: dict[str, Any]) -> Any:
    if isinstance(value, str):
        return facts.get(value, value)
    if isinstance(value, dict):
        return {name: given(one, facts) for name, one in value.items()}
    return [given(one, facts) for one in value] if isinstance(value, list) else value


class Asking:
    """A connection, as a pool keeps it, and what calls on it took. Nothing is kept."""

    def __init__(
        self, sql: Sql, function: str, form: dict[str, Any], facts: dict[str, Any]
    ) -> None:
        arguments = given(form, facts)
        names = ", ".join(f"{name} => %({name})s" for name in arguments)
        self._query = f"explain (analyze, buffers, format json) select {function}({names})".encode()
        self._values = {
            name: Jsonb(value) if isinstance(value, list | dict) else value
            for name, value in arguments.items()
        }
        self._sql = sql
        self.form = form
        self.took: list[float] = []
        self.cpu: list[float] = []
        self._used = Path(f"/proc/{sql.info.backend_pid}/schedstat")
        self.rows = self.buffers = 0

    def ask(self) -> None:
        with self._sql.transaction(force_rollback=True):
            [before] = one_row(self._sql, _READ.encode())
            used = self._cpu()
            [[plan]] = one_row(self._sql, self._query, self._values)
            self.cpu.append(self._cpu() - used)
            [after] = one_row(self._sql, _READ.encode())
        top = plan["Plan"]
        self.took.append(plan["Execution Time"])
        self.rows = after - before
        self.buffers = top["Shared Hit Blocks"] + top["Shared Read Blocks"]

    def _cpu(self) -> float:
        return int(self._used.read_text().split()[0]) / 1e6


def one_row(sql: Sql, query: bytes, values: dict[str, Any] | None = None) -> Any:
    row = sql.execute(query, values).fetchone()
    assert row is not None
    return row


def all_pages(dsn: str, only: list[str] | None = None) -> Iterator[Taken]:
    """Each form twice, the slowest of each function three times more."""
    with psycopg.connect(dsn, autocommit=True) as sql:
        facts = known(sql)
    for function, forms in PAGES.items():
        if only and function not in only:
            continue
        asked: list[Asking] = []
        with ExitStack() as stack:
            for form in forms:
                # Beyond some dozens of forms a connection each would be what is measured.
                if len(asked) < NEW_CONNECTIONS:
                    sql = stack.enter_context(psycopg.connect(dsn, autocommit=True))
                one = Asking(sql, function, form, facts)
                one.ask()
                one.ask()
                asked.append(one)
            asked.sort(key=lambda one: -one.took[1])
            for one in asked[:SLOWEST]:
                for _ in range(3):
                    one.ask()
        for one in asked:
            yield Taken(
                function, ", ".join(f"{k.removeprefix('p_')} {v}" for k, v in one.form.items()),
                one.took[0], statistics.median(one.took[1:]),
                statistics.median(one.cpu[1:]), one.rows, one.buffers, goal(function, one.form),
            )  # fmt: skip


def pages() -> Iterator[Row]:
    """For `make bench`: the slowest, and how many are above the goal. Fills what isn't there."""
    with database(filling=True) as dsn, psycopg.connect(dsn, autocommit=True) as sql:
        fill(sql, float("inf"))
    with database() as dsn:
        taken = list(all_pages(dsn))
    beside = f"beside {SUBSCRIBERS:,} subscribers and twice as many ledger rows"
    for name, goal, these in (
        ("pages and lists", GOAL_MS, [one for one in taken if one.goal == GOAL_MS]),
        ("counts and reports of millions, kept afterwards", COMPUTED_MS,
         [one for one in taken if one.goal == COMPUTED_MS]),
    ):  # fmt: skip
        slowest = max(these, key=lambda one: one.median)
        late = sum(one.median > goal for one in these)
        yield (
            f"{name}, {len(these)} calls {beside}",
            f"{slowest.median:,.1f} ms at most ({slowest.function}), {late} above",
            f"under {goal:,.0f} ms",
            "in the database, the second call on a connection",
        )


def main(only: list[str]) -> None:
    """Every form of these functions; without any, the slowest of each."""
    with database() as dsn:
        shown: set[str] = set()
        for one in all_pages(dsn, only):
            if not only and one.function in shown and one.median <= one.goal:
                continue
            shown.add(one.function)
            mark = " **" if one.median > one.goal else ""
            sys.stdout.write(
                f"| {one.function} | {one.form} | {one.median:,.1f}{mark} | {one.first:,.1f} | "
                f"{one.cpu:,.1f} | {one.rows:,} | {one.buffers:,} |\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
