"""A large CSV file by the command: uploaded, read, written, imported again, and exported."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from bench.parts import Child, cpu_of_postgres, truncate
from tests.support.service import environment

Row = tuple[str, str, str, str]

ROWS = 1_000_000
GOAL = "50,000 rows/s in flat memory"


def imported(dsn: str, rows: int = ROWS) -> Iterator[Row]:
    with psycopg.connect(dsn, autocommit=True) as sql:
        truncate(sql)
    with tempfile.TemporaryDirectory() as folder:
        for count in (rows // 10, rows):  # memory is compared
            file = Path(folder) / "people.csv"
            with file.open("w", encoding="utf-8", newline="") as out:
                write(csv.writer(out), count)
            yield imported_from(dsn, file, count, "into a list that has a tenth of it")
        yield imported_from(dsn, file, rows, "again, changing nothing")
        yield imported_from(dsn, file, rows, "dry run", "--dry-run")
        yield measured(
            dsn, rows, f"export of {rows:,} subscribers", "100,000 rows/s in flat memory",
            "export", str(Path(folder) / "all.csv"),
        )  # fmt: skip


def write(out: Any, rows: int) -> None:
    """As Mailchimp exports it."""
    out.writerow(
        ["Email Address", "First Name", "Last Name", "MEMBER_RATING", "OPTIN_TIME", "TAGS", "City"]
    )
    out.writerows(
        [
            f"reader{n}@example{n % 1_000}.com", f"First{n % 5_000}", f"Last{n % 20_000}", n % 5,
            "2021-03-04 05:06:07", '"VIP","Blog"' if n % 3 else "", f"City {n % 300}",
        ]
        for n in range(rows)
    )  # fmt: skip


def imported_from(dsn: str, file: Path, rows: int, what: str, *options: str) -> Row:
    what = f"import of {rows:,} rows ({file.stat().st_size / 1e6:.0f} MB), {what}"
    return measured(dsn, rows, what, GOAL, "import", str(file), *options)


def measured(dsn: str, rows: int, what: str, goal: str, *words: str) -> Row:
    """A command about subscribers, with its time, its memory and everybody's CPU."""
    before = cpu_of_postgres(dsn)
    began = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "subscribers", *words],
        env=environment(dsn, None),
        stdout=subprocess.DEVNULL,
    )
    peaks, cpu = [0.0], [0.0]
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            try:
                peaks.append(Child(child).peak_mb)
                cpu.append(Child(child).cpu_seconds)
            except (OSError, RuntimeError):
                return  # it has ended

    looking = threading.Thread(target=look)
    looking.start()
    code = child.wait()
    seconds = time.monotonic() - began
    over.set()
    looking.join()
    assert code == 0, code
    postgres = cpu_of_postgres(dsn) - before
    return (
        what,
        f"{rows / seconds:,.0f} rows/s, peak memory {max(peaks):.0f} MB",
        goal,
        f"CPU a million: {max(cpu) / rows * 1e6:.0f} s command, {postgres / rows * 1e6:.0f} s "
        "PostgreSQL",
    )
