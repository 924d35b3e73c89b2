"""Eight workers and a database far away: is the rate kept, is each mailout served, who carries on?

Each worker reaches PostgreSQL by a line of its own, on which everything takes 5 ms each way, so a
call and its answer 10 ms (tests/support/distance.py). Variables: MANY, which parts
(rate,speed,fairness,failover); MANY_RUNS, how often each; MANY_SECONDS, how long a run is to take;
MANY_RECIPIENTS, of a run without a limit.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import psycopg

from bench.parts import (
    Child,
    Sink,
    command,
    cpu_of_postgres,
    fill,
    fullest,
    most_at_sink,
    ready_mailout,
    sink,
    start_directly,
    wait_for,
)

Row = tuple[str, str, str, str]

WORKERS = 8
ONE_WAY = 0.005
RUNS = int(os.environ.get("MANY_RUNS", "3"))
SECONDS = float(os.environ.get("MANY_SECONDS", "12"))
LEASE = 10.0
SES_LATENCY = 0.08


@dataclass
class Fleet:
    """The workers, by number, and the lines to their database."""

    dsn: str
    workers: list[Child]
    lines: subprocess.Popen[str]

    def line(self, verb: str, number: int) -> None:
        """`cut` or `mend` the line of a worker."""
        assert self.lines.stdin is not None
        self.lines.stdin.write(f"{verb} {number}\n")
        self.lines.stdin.flush()

    def open_calls(self, number: int) -> int:
        """Recipients of the batches that a worker has claimed and not recorded."""
        return int(
            one(
                self.dsn,
                "select coalesce(sum(cardinality(send_log_ids)), 0) from send_batches b "
                "join executors e on e.id = b.executor_id "
                f"where recorded_at is null and label like '%:{self.pid(number)}'",
            )
        )

    def pid(self, number: int) -> int:
        return self.workers[number].process.pid

    @property
    def cpu_seconds(self) -> float:
        return sum(w.cpu_seconds for w in self.workers if w.process.poll() is None)


@contextmanager
def fleet(
    dsn: str, target: Sink, *, workers: int = WORKERS, one_way: float = ONE_WAY, **changes: str
) -> Iterator[Fleet]:
    address = urlsplit(dsn)
    with ExitStack() as stack:
        lines = subprocess.Popen(
            [sys.executable, "-m", "tests.support.distance", f"{address.hostname}:{address.port}",
             str(one_way), str(workers)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        stack.callback(lines.wait)
        stack.callback(lines.kill)
        assert lines.stdout is not None
        ports = lines.stdout.readline().split()
        login = address.netloc.rpartition("@")[0]
        children = [
            stack.enter_context(
                command(
                    address._replace(netloc=f"{login}@127.0.0.1:{port}").geturl(),
                    target.url,
                    "worker",
                    **changes,
                )
            )
            for port in ports
        ]
        wait_for(dsn, "select count(*) from executors", workers)
        wait_for(dsn, "select count(*) from send_rates where account is not null", 1)
        yield Fleet(dsn, children, lines)


def many(dsn: str) -> Iterator[Row]:
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute("alter database postgres set track_functions = 'all'")
    parts = {"rate": rates, "speed": speeds, "fairness": fairness, "failover": failover}
    for name in os.environ.get("MANY", ",".join(parts)).split(","):
        yield from parts[name](dsn)


def rates(dsn: str) -> Iterator[Row]:
    """The shared rate: how near below, and the fullest second, by token time and at the sink."""
    for rate in (14.0, 200.0, 1000.0, 5000.0):
        fill(dsn, int(rate * SECONDS))
        means, tokens, seen, asked = [], [], [], []
        with sink(SES_LATENCY) as target, fleet(dsn, target, RATE_LIMIT_PER_SEC=str(rate)) as found:
            for _ in range(RUNS):
                target.reset()
                mailout, calls = ready_mailout(dsn), function_calls(dsn)
                start_directly(dsn, mailout)
                wait_for(dsn, f"select status from mailouts where id = '{mailout}'", "sent")
                arrivals = target.stats()["arrivals"]
                took = max(at for at, _ in arrivals) - arrivals[0][0]
                mails = sum(n for _, n in arrivals) - arrivals[0][1]  # the first was earned before
                means.append(mails / took / rate)
                seen.append(fullest(sorted(arrivals)))
                tokens.append(fullest(token_times(dsn, mailout, rate)))
                now = function_calls(dsn)
                asked.append((now["claim_batches"] - calls["claim_batches"]) / took)
            assert len(found.workers) == WORKERS
        most = most_at_sink(rate)
        yield (
            f"8 workers, 10 ms to the database, rate {rate:g}/s",
            f"mean {spread(means, '.1%')}; fullest second {spread(tokens, ',.0f')} tokens, "
            f"{spread(seen, ',.0f')} at the sink",
            f"at most {rate:,.0f} tokens, {most:,.0f} at the sink",
            f"{spread(asked, ',.0f')} claims asked for a second",
        )


def token_times(dsn: str, mailout: str, rate: float) -> list[tuple[float, int]]:
    """Each token of a mailout, at the time when it fell due."""
    with psycopg.connect(dsn, autocommit=True) as sql:
        batches = sql.execute(
            "select extract(epoch from token_at)::float8, cardinality(send_log_ids) "
            "from send_batches where mailout_id = %s order by token_at",
            [mailout],
        ).fetchall()
    return sorted((at - (size - 1 - k) / rate, 1) for at, size in batches for k in range(size))


def speeds(dsn: str) -> Iterator[Row]:
    """Without a limit: what the distance costs, and what more workers give, on these cores."""
    recipients = int(os.environ.get("MANY_RECIPIENTS", "60000"))
    for workers, one_way in ((1, 0.0), (1, ONE_WAY), (2, ONE_WAY), (8, 0.0), (8, ONE_WAY)):
        runs: list[dict[str, float]] = []
        fill(dsn, recipients)
        with sink(SES_LATENCY) as target, fleet(dsn, target, workers=workers, one_way=one_way) as f:
            runs += [speed(dsn, f, recipients) for _ in range(RUNS)]
        figures = {name: [run[name] for run in runs] for name in runs[0]}
        yield (
            f"{workers} worker{'s' * (workers > 1)}, {one_way * 2000:.0f} ms to the database, "
            "no limit",
            f"{spread(figures['rate'], ',.0f')} mails/s",
            "stated",
            f"CPU a mail: workers {spread(figures['cpu'], '.0f')} µs, PostgreSQL "
            f"{spread(figures['postgres'], '.0f')} µs; calls per 1,000 mails: claim_batches "
            f"{spread(figures['claim_batches'], '.1f')}, record_results "
            f"{spread(figures['record_results'], '.1f')}, all others "
            f"{spread(figures['others'], '.1f')}; in the database claim_batches takes "
            f"{spread(figures['claim_ms'], '.1f')} ms, record_results "
            f"{spread(figures['record_ms'], '.1f')} ms",
        )


def speed(dsn: str, found: Fleet, recipients: int) -> dict[str, float]:
    mailout, before, times = ready_mailout(dsn), function_calls(dsn), function_ms(dsn)
    cpu, server, began = found.cpu_seconds, cpu_of_postgres(dsn), time.monotonic()
    start_directly(dsn, mailout)
    wait_for(dsn, f"select status from mailouts where id = '{mailout}'", "sent")
    took = time.monotonic() - began
    time.sleep(1.5)  # the counters come with a delay of a second
    now, later = function_calls(dsn), function_ms(dsn)
    calls = {name: now[name] - before[name] for name in now}
    ours = {"claim_batches", "record_results"}
    return {
        "rate": recipients / took,
        "cpu": (found.cpu_seconds - cpu) / recipients * 1e6,
        "postgres": (cpu_of_postgres(dsn) - server) / recipients * 1e6,
        "claim_batches": calls["claim_batches"] / recipients * 1000,
        "record_results": calls["record_results"] / recipients * 1000,
        "others": sum(n for name, n in calls.items() if name in ASKED - ours) / recipients * 1000,
        "claim_ms": (later["claim_batches"] - times["claim_batches"])
        / max(1, calls["claim_batches"]),
        "record_ms": (later["record_results"] - times["record_results"])
        / max(1, calls["record_results"]),
    }


ASKED = {
    "claim_batches", "record_results", "queue_recipients", "sender_work", "heartbeat",
    "recover_lost", "keep_house", "start_due_mailouts", "record_account",
    "resume_waiting_mailouts", "snapshot_content", "release_batches", "advance_canary",
}  # fmt: skip
"""What a worker calls while it sends."""


def function_calls(dsn: str) -> Counter[str]:
    return Counter(dict(functions(dsn, "sum(calls)::bigint")))


def function_ms(dsn: str) -> Counter[str]:
    """Milliseconds in each function, waiting for locks and all."""
    return Counter(dict(functions(dsn, "sum(total_time)::float8")))


def functions(dsn: str, figure: str) -> list[tuple[str, Any]]:
    with psycopg.connect(dsn, autocommit=True) as sql:
        query = f"select funcname, {figure} from pg_stat_user_functions group by 1"
        return sql.execute(query.encode()).fetchall()


def fairness(dsn: str) -> Iterator[Row]:
    """Mailouts side by side at 1,000 a second: what each gets of it while all have some left."""
    rate = 1000.0
    for mailouts in (2, 10):
        worst, shares, ends = [], [], []
        for _ in range(RUNS):
            fill(dsn, int(rate * SECONDS) // mailouts)
            with (
                sink(SES_LATENCY, "who") as target,
                fleet(dsn, target, RATE_LIMIT_PER_SEC=str(rate)),
            ):
                ids = [ready_mailout(dsn) for _ in range(mailouts)]
                target.reset()
                for mailout in ids:
                    start_directly(dsn, mailout)
                wait_for(dsn, "select count(*) from mailouts where status = 'sent'", mailouts)
                seen = target.stats("who")["mailouts"]
            last = {m: max(at for at, _, its in seen if its == m) for m in ids}
            all_left = min(last.values())
            first = min(at for at, _, _ in seen) + 1  # by then all are queued
            got = Counter(dict.fromkeys(ids, 0))
            for at, mails, mailout in seen:
                if first <= at < all_left:
                    got[mailout] += mails
            mean = sum(got.values()) / mailouts
            shares += [min(got.values()) / mean, max(got.values()) / mean]
            ends.append((max(last.values()) - all_left) / (max(last.values()) - first))
            worst.append(max(longest_gap([at for at, _, m in seen if m == its]) for its in ids))
        yield (
            f"{mailouts} mailouts side by side, 8 workers, 10 ms, {rate:,.0f}/s",
            f"each got {min(shares):.0%} to {max(shares):.0%} of an equal share",
            "stated",
            f"longest pause of any of them {spread(worst, '.2f')} s; the first was through when "
            f"{spread(ends, '.1%')} of the time was left",
        )


def longest_gap(times: list[float]) -> float:
    times = sorted(times)
    return max((b - a for a, b in pairwise(times)), default=0.0)


def failover(dsn: str) -> Iterator[Row]:
    def killed(found: Fleet) -> None:
        found.workers[3].process.kill()

    def stopped(found: Fleet) -> None:
        os.kill(found.pid(3), signal.SIGSTOP)
        time.sleep(LEASE * 1.5)
        os.kill(found.pid(3), signal.SIGCONT)

    def cut_for(seconds: float) -> Callable[[Fleet], None]:
        def cut(found: Fleet) -> None:
            found.line("cut", 3)
            time.sleep(seconds)
            found.line("mend", 3)

        return cut

    for name, fault in (
        ("one worker killed (-9)", killed),
        (f"one worker stopped for {LEASE * 1.5:.0f} s, then continued", stopped),
        ("one worker's line cut for 6 s", cut_for(6)),
        (f"one worker's line cut for {LEASE * 1.5:.0f} s", cut_for(LEASE * 1.5)),
    ):
        runs = [fail(dsn, fault) for _ in range(RUNS)]
        figures = {key: [run[key] for run in runs] for key in runs[0]}
        for must in ("twice", "lost", "not told"):
            assert sum(figures[must]) == 0, (name, figures)
        yield (
            f"8 workers, 10 ms, 1,000/s: {name}",
            f"{sum(figures['twice']):.0f} twice, {sum(figures['lost']):.0f} lost; unknown "
            f"{spread(figures['unknown'], '.0f')}, in flight at the fault "
            f"{spread(figures['open'], '.0f')}",
            "0 twice, 0 lost, unknown at most in flight",
            f"longest pause at the sink in the 3 s after {spread(figures['pause'], '.2f')} s, "
            f"before {spread(figures['usual'], '.2f')} s; sent in these 3 s "
            f"{spread(figures['kept'], '.0%')} of the rate; "
            f"mailout over {spread(figures['over'], '.1f')} s after its last mail",
        )


def fail(dsn: str, fault: Callable[[Fleet], None]) -> dict[str, float]:
    rate = 1000.0
    recipients = int(rate * (LEASE * 1.5 + 6))
    fill(dsn, recipients)
    with (
        sink(SES_LATENCY, "who") as target,
        fleet(dsn, target, RATE_LIMIT_PER_SEC=str(rate), LEASE_SECONDS=str(LEASE)) as found,
    ):
        target.reset()
        start_directly(dsn, ready_mailout(dsn))
        while target.stats()["mails"] < 3 * rate:
            time.sleep(0.02)
        while not (in_flight := found.open_calls(3)):
            time.sleep(0.002)
        at = time.monotonic()  # one clock for all processes of a machine
        fault(found)
        wait_for(dsn, "select status from mailouts", "sent")
        over = time.monotonic()
        arrivals, who = sorted(target.stats()["arrivals"]), target.stats("who")["rows"]
    with psycopg.connect(dsn, autocommit=True) as sql:
        ledger: dict[str, str] = dict(
            sql.execute("select id::text, status from send_logs").fetchall()
        )
    after = [t for t, _ in arrivals if at <= t <= at + 3]
    accepted = Counter(ledger[row] for row in who)
    return {
        "twice": sum(1 for n in who.values() if n > 1),
        # Told as sent, and SES never had it; or not in the ledger, or in it without an end.
        "lost": recipients - len(ledger)
        + sum(1 for i, s in ledger.items() if s == "sent" and i not in who)
        + sum(1 for s in ledger.values() if s not in {"sent", "unknown"}),
        "not told": accepted.total() - accepted["sent"] - accepted["unknown"],
        "unknown": sum(s == "unknown" for s in ledger.values()),
        "open": in_flight,
        "pause": longest_gap([at, *after]),
        "usual": longest_gap([t for t, _ in arrivals if at - 2 <= t <= at]),
        "kept": sum(n for t, n in arrivals if at <= t <= at + 3) / 3 / rate,
        "over": over - arrivals[-1][0],
    }  # fmt: skip


def spread(figures: Sequence[float], form: str) -> str:
    """The median, and the least and the most of the runs."""
    middle, least, most = statistics.median(figures), min(figures), max(figures)
    if format(least, form) == format(most, form):
        return format(middle, form)
    return f"{middle:{form}} ({least:{form}} to {most:{form}})"


def one(dsn: str, query: str) -> Any:
    with psycopg.connect(dsn, autocommit=True) as sql:
        row = sql.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]
