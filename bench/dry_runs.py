"""A dry run of a large mailout, as the command and the work process do it: every recipient's mail
is made, and what comes of it added up."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from app.adapters.database.postgres import PostgresDatabase
from app.services.starting.dry_run import DryRuns, RunDryRun
from app.services.starting.start_mailout import SendRequest, StartMailout
from app.settings import Settings
from app.store import Store
from bench.parts import cpu_of_postgres, fill, ready_mailout
from tests.support.service import settings_for

Row = tuple[str, str, str, str]

RECIPIENTS = 200_000


def rehearsed(dsn: str, recipients: int = RECIPIENTS) -> Iterator[Row]:
    fill(dsn, recipients)
    mailout = UUID(ready_mailout(dsn))
    seconds, cpu, postgres = asyncio.run(
        _run(dsn, settings_for(dsn, "http://127.0.0.1:9"), mailout, recipients)
    )
    yield (
        f"dry run of a mailout to {recipients:,} (30 KB)",
        f"{recipients / seconds:,.0f} recipients/s, peak memory {_peak_mb():.0f} MB",
        "25,000 recipients/s",
        f"CPU a million: {cpu / recipients * 1e6:.0f} s service, "
        f"{postgres / recipients * 1e6:.0f} s PostgreSQL",
    )


async def _run(
    dsn: str, settings: Settings, mailout: UUID, recipients: int
) -> tuple[float, float, float]:
    """Seconds: of the clock, of our CPU, of PostgreSQL's."""
    database = PostgresDatabase(dsn)
    try:
        store = Store(database)
        start = StartMailout(store, settings)
        order, _ = await DryRuns(store, settings, start).start_here(SendRequest(mailout))
        before = time.monotonic(), time.process_time(), cpu_of_postgres(dsn)
        await RunDryRun(store, settings, start)(order)
        after = time.monotonic(), time.process_time(), cpu_of_postgres(dsn)
        report = await store.show_dry_run(mailout)
        assert report is not None
        assert (report["state"], report["recipients"]) == ("done", recipients), report
    finally:
        await database.close()
    clock, cpu, postgres = (then - now for now, then in zip(before, after, strict=True))
    return clock, cpu, postgres


def _peak_mb() -> float:
    for line in Path(f"/proc/{os.getpid()}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM")
