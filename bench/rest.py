"""What `serve` costs while there is nothing to do, and how soon it is there: transactions on the
database, CPU time and memory of all of its processes, and the seconds until `/health` says ok."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg

from bench.parts import TICKS, sink, stat_of
from tests.support.ports import free_port
from tests.support.service import environment

Row = tuple[str, str, str, str]

SETTLED_SECONDS = 100.0
"""After the start: loops go on looking by themselves for half a minute, and the job that looks at
the sender's standing runs in the second."""
SECONDS = float(os.environ.get("BENCH_REST_SECONDS", "60"))
STARTS = 5


@contextmanager
def serving(dsn: str, sink_url: str) -> Iterator[tuple[int, str]]:
    """`serve` with its default processes; gives the supervisor's pid and the address."""
    port = free_port()
    variables = environment(dsn, sink_url, LOG_LEVEL="warning", PORT=str(port), HOST="127.0.0.1")
    child = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve"],
        env={"PATH": os.environ["PATH"], **variables},
    )
    try:
        yield child.pid, f"http://127.0.0.1:{port}"
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(20)


def family(pid: int) -> list[int]:
    """A process and all that come from it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def until_healthy(base: str) -> float:
    """Seconds until `/health` says ok."""
    began, health = time.monotonic(), {}
    with httpx.Client(trust_env=False) as http:
        while time.monotonic() - began < 30:
            try:
                health = http.get(f"{base}/health").json()
                if health.get("status") == "ok":
                    return time.monotonic() - began
            except (httpx.TransportError, ValueError):
                pass
            time.sleep(0.02)
    # A database in which mailouts were sent without events is degraded: take a new one.
    raise TimeoutError(f"/health isn't ok: {health.get('problems', 'no answer')}")


def transactions(sql: psycopg.Connection) -> int:
    sql.execute("select pg_stat_clear_snapshot()")
    row = sql.execute(
        "select xact_commit + xact_rollback from pg_stat_database "
        "where datname = current_database()"
    ).fetchone()
    assert row is not None
    return int(row[0])


def cpu_seconds(pids: list[int]) -> float:
    return sum(sum(map(int, stat_of(pid)[11:13])) for pid in pids) / TICKS


def pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no Pss")


def rest(dsn: str) -> list[Row]:
    with sink() as target, serving(dsn, target.url) as (pid, base):
        until_healthy(base)
        time.sleep(SETTLED_SECONDS)
        with psycopg.connect(dsn, autocommit=True) as sql:
            pids = family(pid)
            before, cpu, began = transactions(sql), cpu_seconds(pids), time.monotonic()
            time.sleep(SECONDS)
            # PostgreSQL's statistics of a backend that is idle come a second late; two are ours.
            done, took = transactions(sql) - before - 2, time.monotonic() - began
            used = cpu_seconds(pids) - cpu
        memory = [pss_mb(each) for each in family(pid)]
    return [
        ("at rest: transactions a second", f"{done / took:.2f}", "at most 1", f"{took:.0f} s"),
        ("at rest: CPU of all processes of serve", f"{100 * used / took:.2f} %", "0.2 %", ""),
        ("at rest: memory (PSS) of all of serve", f"{sum(memory):.0f} MB", "170 MB",
         " + ".join(f"{each:.0f}" for each in memory)),
    ]  # fmt: skip


def start(dsn: str) -> list[Row]:
    """The median of several; the database runs and is migrated."""
    walls = []
    with sink() as target:
        for _ in range(STARTS):
            began = time.monotonic()
            with serving(dsn, target.url) as (_pid, base):
                until_healthy(base)
                walls.append(time.monotonic() - began)
    return [
        ("serve from start to healthy", f"{statistics.median(walls):.2f} s", "1.5 s",
         f"{min(walls):.2f} to {max(walls):.2f} s")
    ]  # fmt: skip
