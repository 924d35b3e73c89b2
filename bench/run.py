"""`make bench`: each figure beside its goal and its baseline, into bench/results.md.

`python -m bench.run [NAME …]` measures only those. Loads go to 127.0.0.1 alone.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg

from bench.audience import audiences
from bench.beside import beside
from bench.big import big
from bench.dry_runs import rehearsed
from bench.engagement import tracked
from bench.events import compare
from bench.floods import flooded
from bench.hooks import hooks
from bench.imports import imported
from bench.ledger import ledger
from bench.many import many
from bench.pages import pages
from bench.parts import (
    Sink,
    age,
    command,
    cpu_of_postgres,
    database,
    fill,
    fullest,
    most_at_sink,
    peak_mb,
    ready_mailout,
    sink,
    start_by_request,
    start_directly,
    wait_for,
    wait_until_up,
)
from bench.rest import cpu_seconds, family, rest, start
from bench.sqs import backlog
from bench.supabase import supabase
from tests.support.ports import free_port
from tests.support.service import BEARER

DATA = Path(os.environ.get("BENCH_DATA", "/var/tmp/amazonsender-bench"))
DJANGO = Path("/var/tmp/amazonsender-bench-django")
RESULTS = Path(__file__).parent / "results.md"
Row = tuple[str, str, str, str]  # what, measured, goal, note


def baseline(url: str, operation: str, threads: int, seconds: float = 5) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.baselines", url, operation, str(threads), str(seconds)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rate, cpu = map(float, done.stdout.split())
    return rate, cpu


def django_queue(dsn: str, url: str, mails: int = 4_000) -> tuple[float, float]:
    """django-post_office with django-ses, in an environment and a database of their own."""
    python, here = DJANGO / "bin/python", Path(__file__).parent
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", DJANGO], check=True)
        needs = str(here / "django_queue.txt")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", needs], check=True)
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute("drop database if exists django_queue")
        sql.execute("create database django_queue")
    own = urlsplit(dsn)._replace(path="/django_queue").geturl()
    done = subprocess.run(
        [python, here / "django_queue.py", own, url, str(mails)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
    )  # fmt: skip
    rate, cpu = map(float, done.stdout.split())
    return rate, cpu


def our_run(
    dsn: str,
    target: Sink,
    recipients: int,
    *,
    workers: int = 1,
    program: str = "worker",
    old: int = 0,
    **changes: str | None,
) -> dict[str, float]:
    """Send one mailout with workers of its own, or with `serve`; mails/s from the start to the last
    record, CPU in microseconds a mail, of all processes that are there before it. old: rows of
    earlier mailouts in the ledger."""
    if program == "serve":
        changes |= {"PORT": str(free_port())}
    fill(dsn, recipients)
    if old:
        age(dsn, old)
    target.reset()
    with ExitStack() as stack:
        senders = [
            stack.enter_context(command(dsn, target.url, program, **changes))
            for _ in range(workers)
        ]
        wait_for(dsn, "select count(*) from executors", workers)
        wait_for(dsn, "select count(*) from send_rates where account is not null", 1)
        if program == "serve":
            wait_until_up(f"http://127.0.0.1:{changes['PORT']}")
        mailout = ready_mailout(dsn)
        processes = [pid for sender in senders for pid in family(sender.process.pid)]
        cpu, started = cpu_seconds(processes), time.monotonic()
        others = target.cpu_seconds, cpu_of_postgres(dsn)
        start_directly(dsn, mailout)
        wait_for(dsn, "select status from mailouts", "sent")
        took = time.monotonic() - started
        stats = target.stats()
        assert stats["mails"] == recipients, stats["mails"]
        return {
            "rate": recipients / took,
            "cpu": (cpu_seconds(processes) - cpu) / recipients * 1e6,
            "sink_cpu": (target.cpu_seconds - others[0]) / recipients * 1e6,
            "postgres_cpu": (cpu_of_postgres(dsn) - others[1]) / recipients * 1e6,
            "peak_mb": max(peak_mb(pid) for pid in processes),
            "bytes": stats["bytes"] / recipients,
            "calls": stats["calls"],
        }


def throughput(dsn: str) -> list[Row]:
    """Interleaved: baseline, ours, baseline, ours."""
    rows: list[Row] = []
    with sink() as target:
        loops: dict[str, list[tuple[float, float]]] = {}
        ours: list[dict[str, float]] = []
        pairs: list[dict[str, float]] = []
        for _ in range(2):
            for name, operation, threads in (
                ("boto3 send_email, 1 thread", "send_email", 1),
                ("boto3 send_email, 20 threads", "send_email", 20),
                ("boto3 send_bulk_email, no ledger", "send_bulk_email", 1),
            ):
                loops.setdefault(name, []).append(baseline(target.url, operation, threads))
            glued = loops.setdefault("django-post_office with django-ses", [])
            glued.append(django_queue(dsn, target.url))
            ours.append(our_run(dsn, target, 100_000, program="serve"))
            pairs.append(our_run(dsn, target, 200_000, workers=2))
        for name, runs in loops.items():
            rate = statistics.mean(r for r, _ in runs)
            cpu = statistics.mean(c for _, c in runs)
            rows.append(
                (name, f"{rate:,.0f} mails/s, {cpu:,.0f} CPU-s per million", "baseline", "")
            )
        best = max(r for n, runs in loops.items() if "send_email" in n for r, _ in runs)
        rate, cpu = mean_of(ours, "rate"), mean_of(ours, "cpu")
        rows += [
            ("throughput, instant sink, two workers",
             f"{mean_of(pairs, 'rate'):,.0f} mails/s = {mean_of(pairs, 'rate') / best:.1f} ×",
             "14 × the best send_email loop", f"{mean_of(pairs, 'cpu'):,.0f} CPU-s per million, "
             f"PostgreSQL {mean_of(pairs, 'postgres_cpu'):,.0f}"),
            ("throughput, instant sink, one serve", f"{rate:,.0f} mails/s = {rate / best:.1f} ×",
             "12 ×", f"{ours[0]['bytes']:,.0f} bytes a mail on the wire"),
            ("CPU of serve and PostgreSQL per million",
             f"{cpu + mean_of(ours, 'postgres_cpu'):,.0f} s", "at most 110 s",
             f"serve {cpu:,.0f} s, PostgreSQL {mean_of(ours, 'postgres_cpu'):,.0f} s; beside them "
             f"the sink {mean_of(ours, 'sink_cpu'):,.0f} s"),
            ("peak memory of a process, 100,000 recipients",
             f"{max(r['peak_mb'] for r in ours):.0f} MB", "at most 150 MB", ""),
        ]  # fmt: skip
    with sink(0.08) as target:
        one, _ = baseline(target.url, "send_email", 1)
        run = our_run(dsn, target, 50_000)
        rows.append(
            ("throughput, 80 ms answers", f"{run['rate']:,.0f} mails/s = {run['rate'] / one:.0f} ×"
             f" the one-by-one loop ({one:.1f}/s)", "400 ×", "")
        )  # fmt: skip
    return rows


def mean_of(runs: list[dict[str, float]], figure: str) -> float:
    return statistics.mean(run[figure] for run in runs)


def through_supabase(dsn: str) -> list[Row]:
    with sink() as target, supabase(dsn) as (own, stand_in, variables):
        run = our_run(own, target, 20_000, **variables)
        calls = stand_in.calls
    sending = sum(
        calls[name] for name in ("claim_recipients", "record_batches", "queue_recipients")
    )
    return [
        ("throughput through Supabase's API", f"{run['rate']:,.0f} mails/s, executor CPU "
         f"{run['cpu']:,.0f} s per million", "4,000 mails/s, 12 round trips per 1,000",
         f"{sending / 20:.1f} round trips per 1,000 mails, {sum(calls.values()) / 20:.1f} with all "
         "else; a stand-in for PostgREST that connects anew for each")
    ]  # fmt: skip


def growth(dsn: str) -> list[Row]:
    with sink() as target:
        small, large = our_run(dsn, target, 100_000), our_run(dsn, target, 1_000_000)
        aged = our_run(dsn, target, 100_000, old=20_000_000)
    return [
        ("throughput, 100,000 recipients beside 20 million old rows",
         f"{aged['rate']:,.0f} against {small['rate']:,.0f} mails/s", "nothing noticeable", ""),
        ("throughput, 1,000,000 against 100,000 recipients",
         f"{large['rate']:,.0f} against {small['rate']:,.0f} mails/s", "within 10 %", ""),
        ("peak memory, 1,000,000 recipients", f"{large['peak_mb']:.0f} MB", "at most 200 MB", ""),
    ]  # fmt: skip


def queueing(dsn: str) -> list[Row]:
    fill(dsn, 1_000_000)
    mailout = ready_mailout(dsn)
    start_directly(dsn, mailout)
    with psycopg.connect(dsn, autocommit=True) as sql:
        started = time.monotonic()
        done = False
        while not done:
            row = sql.execute("select queue_recipients(%s, 20000)", [mailout]).fetchone()
            assert row is not None
            done = row[0]["done"]
        ours = time.monotonic() - started
        sql.execute("truncate send_logs")
        started = time.monotonic()
        sql.execute(
            "insert into send_logs (mailout_id, subscriber_id, email, status) "
            "select %s, id, email, 'queued' from subscribers order by id",
            [mailout],
        )
        bare = time.monotonic() - started
    return [
        ("queueing 1,000,000 recipients", f"{1e6 / ours:,.0f} rows/s = {ours / bare:.2f} × a bare "
         f"INSERT…SELECT", "100,000 rows/s or 1.3 ×", "")
    ]  # fmt: skip


def first_call(dsn: str) -> list[Row]:
    rows: list[Row] = []
    for recipients, goal in ((1_000, "300 ms"), (1_000_000, "1 s")):
        for rendered in (False, True):
            fill(dsn, recipients)  # anew: without the mailout that was begun before
            port = str(free_port())
            base = f"http://127.0.0.1:{port}"
            with sink() as ses, command(dsn, ses.url, "serve", PORT=port, APP_BASE_URL=base):
                wait_for(dsn, "select count(*) from send_rates where account is not null", 1)
                wait_until_up(base)
                mailout = ready_mailout(dsn)
                if rendered:  # in the minute before, as who opens a mailout's page does
                    seen = httpx.post(f"{base}/mailouts/{mailout}/preview", headers=BEARER)
                    assert seen.status_code == 200, seen.text
                answered, first, _ = start_by_request(mailout, ses, base)
            rows.append(
                (f"POST to SES's first call, {recipients:,} recipients, "
                 f"{'a preview before' if rendered else 'nothing rendered before'}",
                 f"{first * 1000:.0f} ms (answered after {answered * 1000:.0f} ms)",
                 f"under {goal}", "")
            )  # fmt: skip
    return rows


def fidelity(dsn: str) -> list[Row]:
    """The mean rate over 30 s, and the fullest one-second window: by token time and at the sink."""
    rows: list[Row] = []
    seconds = 30
    for executors in (1, 3):
        for rate in (0.9, 14, 100, 1000):
            fill(dsn, int(rate * (seconds + 10)) + 100)
            with sink() as target, ExitStack() as stack:
                for _ in range(executors):
                    stack.enter_context(
                        command(dsn, target.url, "worker", RATE_LIMIT_PER_SEC=str(rate))
                    )
                wait_for(dsn, "select count(*) from executors", executors)
                wait_for(dsn, "select count(*) from send_rates where rate is not null", 1)
                start_directly(dsn, ready_mailout(dsn))
                time.sleep(seconds + 3)
                arrivals = target.stats()["arrivals"]
                with psycopg.connect(dsn, autocommit=True) as sql:
                    batches = sql.execute(
                        "select extract(epoch from token_at)::float8, cardinality(send_log_ids) "
                        "from send_batches order by token_at"
                    ).fetchall()
            first = arrivals[0][0]
            counted = [n for at, n in arrivals if at - first < seconds]
            # What the first batch brings at once was earned before.
            mean = (sum(counted) - counted[0]) / seconds
            tokens = [
                at - (size - 1 - k) / rate for at, size in batches for k in range(size)
            ]  # each token's own time
            rows.append(
                (f"rate {rate}/s, {executors} executor{'s' * (executors > 1)}",
                 f"mean {mean / rate:.1%}; fullest second {fullest([(t, 1) for t in tokens])} "
                 f"tokens, {fullest(arrivals)} at the sink",
                 f"at least 95 %; at most {rate:g} tokens, {most_at_sink(rate):g}", "")
            )  # fmt: skip
    return rows


def events(dsn: str) -> list[Row]:
    return list(compare(dsn))


def help_page(_: str) -> list[Row]:
    """The command line's answer to somebody who asks what it can do: wall and CPU, median of 10."""
    program = str(Path(sys.executable).with_name("amazonsender"))
    walls, cpus = [], []
    for _run in range(10):
        began, used = time.monotonic(), os.times()
        subprocess.run([program, "--help"], capture_output=True, check=True)
        walls.append(time.monotonic() - began)
        now = os.times()
        cpus.append(now.children_user + now.children_system - used[2] - used[3])
    wall, cpu = statistics.median(walls), statistics.median(cpus)
    return [("amazonsender --help", f"{wall:.2f} s", "0.3 s", f"{cpu:.2f} s of CPU")]


MEASUREMENTS: dict[str, Callable[[str], Iterable[Row]]] = {
    "help": help_page,
    "start": start,
    "rest": rest,
    "throughput": throughput,
    "first_call": first_call,
    "queueing": queueing,
    "ledger": lambda dsn: list(ledger(dsn)),
    "fidelity": fidelity,
    "events": events,
    "events-sqs": lambda dsn: list(backlog(dsn)),
    "events-engagement": lambda dsn: list(tracked(dsn)),
    "flood": flooded,
    "hooks": lambda dsn: list(hooks(dsn)),
    "supabase": through_supabase,
    "growth": growth,
    "import": lambda dsn: list(imported(dsn)),
    "dry-run": lambda dsn: list(rehearsed(dsn)),
    "audience": lambda dsn: list(audiences(dsn)),
    "beside": lambda dsn: [*beside(dsn), *beside(dsn, workers=2)],
    "many": many,
    "big": lambda dsn: list(big(dsn)),
    "pages": lambda _: list(pages()),
}


def main(names: list[str]) -> None:
    rows: list[Row] = []
    with database(DATA) as dsn:
        for name in names or list(MEASUREMENTS):
            print(f"{name} …", flush=True)
            for row in MEASUREMENTS[name](dsn):
                print("  " + " | ".join(row), flush=True)
                rows.append(row)
    when = datetime.now(UTC)
    lines = [
        "# Measured",
        "",
        f"{when:%Y-%m-%d}, `make bench`; {os.cpu_count()} cores shared by executor, PostgreSQL and "
        f"sink, {platform.machine()}, Python {platform.python_version()}; fsync on.",
        "",
        "| what | measured | goal | |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]
    if not names:
        RESULTS.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
