"""Mailouts side by side, with an instant sink and no limit: what each gets while all of them have
some left, and what all get together, beside one mailout to as many.

`python -m bench.beside [MAILOUTS [RECIPIENTS [WORKERS]]]`; BESIDE_RUNS; or by bench.run.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg

from bench.parts import (
    Sink,
    command,
    cpu_of_postgres,
    database,
    fill,
    ready_mailout,
    sink,
    start_directly,
    wait_for,
)

Row = tuple[str, str, str, str]
RUNS = int(os.environ.get("BESIDE_RUNS", "1"))
ASKED = ("claim_recipients", "record_batches", "queue_recipients", "sender_work")


def beside(
    dsn: str, mailouts: int = 10, recipients: int = 20_000, workers: int = 1
) -> Iterator[Row]:
    """Interleaved: one to all of them, then these many, RUNS times."""
    with sink() as target:
        for _ in range(RUNS):
            alone = run(dsn, target, 1, mailouts * recipients, workers)
            many = run(dsn, target, mailouts, recipients, workers)
            for found in (alone, many):
                yield (
                    f"{found['mailouts']:.0f} × {found['recipients']:,.0f} side by side, "
                    f"{workers} worker{'s' * (workers > 1)}",
                    f"{found['rate']:,.0f} mails/s; each got {found['least']:.0%} to "
                    f"{found['most']:.0%} of an equal share",
                    "fair within 10 %, together as one",
                    f"CPU a mail: workers {found['cpu']:.0f} µs, PostgreSQL "
                    f"{found['postgres']:.0f}; for 1,000 mails: "
                    + ", ".join(f"{name} {found[name]:.1f}" for name in ASKED),
                )


def run(dsn: str, target: Sink, mailouts: int, recipients: int, workers: int) -> dict[str, float]:
    fill(dsn, recipients)
    target.reset()
    with ExitStack() as stack, psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute("alter system set track_functions = 'all'")
        sql.execute("select pg_reload_conf()")
        senders = [stack.enter_context(command(dsn, target.url, "worker")) for _ in range(workers)]
        wait_for(dsn, "select count(*) from executors", workers)
        wait_for(dsn, "select count(*) from send_rates where account is not null", 1)
        ids = [ready_mailout(dsn) for _ in range(mailouts)]
        cpu, server = sum(s.cpu_seconds for s in senders), cpu_of_postgres(dsn)
        calls = asked(sql)
        began = time.monotonic()
        for mailout in ids:
            start_directly(dsn, mailout)
        wait_for(dsn, "select count(*) from mailouts where status = 'sent'", mailouts)
        took = time.monotonic() - began
        mails = mailouts * recipients
        assert target.stats()["mails"] == mails, target.stats()["mails"]
        used = sum(s.cpu_seconds for s in senders) - cpu
        calls = {name: n - calls[name] for name, n in asked(sql).items()}
        least, most = shares(sql)
        return {
            "mailouts": mailouts, "recipients": recipients, "rate": mails / took,
            "cpu": used / mails * 1e6,
            "postgres": (cpu_of_postgres(dsn) - server) / mails * 1e6,
            "least": least, "most": most, **{name: n / mails * 1000 for name, n in calls.items()},
        }  # fmt: skip


def asked(sql: psycopg.Connection[tuple[object, ...]]) -> dict[str, float]:
    """Calls of each function so far."""
    time.sleep(1.1)  # until the backends have told their figures
    rows = sql.execute(
        "select funcname, sum(calls)::float8 from pg_stat_user_functions group by 1"
    ).fetchall()
    found = {str(name): calls for name, calls in rows}
    return {name: float(str(found.get(name, 0))) for name in ASKED}


def shares(sql: psycopg.Connection[tuple[object, ...]]) -> tuple[float, float]:
    """The least and the most that a mailout got, of an equal share, while all were being sent: from
    when the last one got its first mail to when the first one got its last."""
    rows = sql.execute(
        "select mailout_id::text, extract(epoch from recorded_at)::float8, accepted "
        "from send_batches order by recorded_at"
    ).fetchall()
    batches = [(str(m), float(str(at)), int(str(n))) for m, at, n in rows]
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    for mailout, at, _ in batches:
        first.setdefault(mailout, at)
        last[mailout] = at
    begun, ended = max(first.values()), min(last.values())
    got = Counter(dict.fromkeys(first, 0))
    for mailout, at, mails in batches:
        if begun <= at <= ended:
            got[mailout] += mails
    mean = sum(got.values()) / len(got)
    return min(got.values()) / mean, max(got.values()) / mean


def main(arguments: list[str]) -> None:
    data = Path(os.environ.get("BENCH_DATA", "/var/tmp/amazonsender-bench"))
    with database(data) as dsn:
        for row in beside(dsn, *map(int, arguments)):
            print(" | ".join(row), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
