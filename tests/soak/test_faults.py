"""Each fault produced for real in the middle of a mailout, and seen to heal (`make soak`).

While it lasts the process stays up, `/health` names the part, unsubscribing and events are served
or answered 503; afterwards sending resumes by itself. SOAK_OUTAGE: seconds PostgreSQL is stopped.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from app.adapters.database.embedded import EmbeddedPostgres
from app.adapters.database.embedded_host import processes_in
from app.errors import ConfigurationError
from tests.soak.faults import Produce, Report, Scene, judged, scene
from tests.soak.test_soak import hold_to, tell
from tests.soak.world import durable_postgres
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(900)

RECIPIENTS = 3_000
FULL_SECONDS = 20.0
CONNECTIONS = 30


@pytest.fixture(scope="module")
def reports() -> Iterator[list[Report]]:
    """All reports of the session; told as one table at its end."""
    found: list[Report] = []
    yield found
    if found:
        tell("\n".join([Report.HEAD, *(report.row() for report in found)]))


def told(reports: list[Report], report: Report) -> None:
    reports.append(report)
    tell(report.row())
    hold_to(report.verdict)


@asynccontextmanager
async def mailing(
    folder: Path,
    recipients: int = RECIPIENTS,
    *,
    worker: bool = False,
    settings: dict[str, str] | None = None,
    disk: Path | None = None,
) -> AsyncIterator[Scene]:
    """A mailout a fifth of which SES has accepted."""
    async with AsyncExitStack() as stack:
        opened = durable_postgres(settings, disk=disk)
        server = await asyncio.to_thread(opened.__enter__)
        stack.push_async_callback(asyncio.to_thread, opened.__exit__, None, None, None)
        one = await stack.enter_async_context(scene(folder, server, recipients, worker=worker))
        await one.progress(recipients // 5)
        yield one


@pytest.mark.soak
async def test_ses_is_down(tmp_path: Path, reports: list[Report]) -> None:
    async def down(one: Scene) -> None:
        open_calls = await one.query("select 1 from send_batches where recorded_at is null")
        one.ses.kill()
        one.unsure = len(open_calls) + 2  # claimed in between
        said: set[str] = set()
        until = time.monotonic() + 20
        while time.monotonic() < until:
            said.add((await one.show()).get("status_reason") or "")
            await asyncio.sleep(0.5)
        assert any(s.startswith("Waiting for SES, which does not answer; next try") for s in said)
        await asyncio.to_thread(one.ses.start)

    async with mailing(tmp_path) as one:
        await one.endure(down)
        told(reports, await judged(one, "SES down", "its process killed", "ses"))


async def out_of_service(folder: Path, recipients: int, seconds: float, *, worker: bool) -> Report:
    async def stopped(one: Scene) -> None:
        await asyncio.to_thread(one.stop_postgres, "immediate")
        await asyncio.sleep(seconds)
        await asyncio.to_thread(one.server.start)

    async with mailing(folder, recipients, worker=worker) as one:
        await one.endure(stopped)
        return await judged(
            one, "PostgreSQL down", "`pg_ctl stop -m immediate`, later started", "database"
        )


@pytest.mark.short
async def test_postgres_is_down_short(tmp_path: Path, reports: list[Report]) -> None:
    told(reports, await out_of_service(tmp_path, 300, 4, worker=False))


@pytest.mark.soak
async def test_postgres_is_down(
    tmp_path: Path, reports: list[Report], outer_environment: dict[str, str]
) -> None:
    seconds = float(outer_environment.get("SOAK_OUTAGE", "120"))
    told(reports, await out_of_service(tmp_path, RECIPIENTS, seconds, worker=True))


@pytest.mark.soak
async def test_postgres_is_restarted_in_mid_batch(tmp_path: Path, reports: list[Report]) -> None:
    def restart(mode: str) -> Produce:
        async def restarted(one: Scene) -> None:
            await eventually(
                lambda: one.query("select from send_batches where recorded_at is null"), until=bool
            )
            await asyncio.to_thread(one.stop_postgres, mode)
            await asyncio.to_thread(one.server.start)

        return restarted

    modes = ("immediate", "fast") * 3
    async with mailing(tmp_path) as one:
        for number, mode in enumerate(modes):
            await one.progress(RECIPIENTS * (2 + number) // 10)
            await one.endure(restart(mode))
        how = f"{len(modes)} times, `immediate` and `fast`, with calls to SES under way"
        told(reports, await judged(one, "PostgreSQL restarted in mid-batch", how, None))


@pytest.mark.soak
async def test_postgres_is_frozen(tmp_path: Path, reports: list[Report]) -> None:
    async def frozen(one: Scene) -> None:
        processes = processes_in(one.server._data) or []
        assert processes
        for number in processes:
            os.kill(number, signal.SIGSTOP)
        await asyncio.sleep(30)
        for number in processes:
            os.kill(number, signal.SIGCONT)

    async with mailing(tmp_path, worker=True) as one:
        await one.endure(frozen)
        how = "SIGSTOP to all its processes, later SIGCONT"
        told(reports, await judged(one, "PostgreSQL frozen", how, "database"))


@pytest.mark.soak
async def test_the_server_is_out_of_connections(tmp_path: Path, reports: list[Report]) -> None:
    async def taken(one: Scene) -> None:
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(one.sql())
            until = time.monotonic() + FULL_SECONDS
            while time.monotonic() < until:
                try:
                    await stack.enter_async_context(one.sql())
                except psycopg.OperationalError:
                    await first.execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity "
                        "where application_name = 'amazonsender'"
                    )
                    await asyncio.sleep(0.01)

    settings = {"max_connections": str(CONNECTIONS)}
    async with mailing(tmp_path, settings=settings) as one:
        await one.endure(taken)
        how = f"another client takes all {CONNECTIONS}, ours were cut"
        told(reports, await judged(one, "Server out of connections", how, "database"))


@pytest.mark.soak
async def test_our_pool_is_exhausted(tmp_path: Path, reports: list[Report]) -> None:
    async def exhausted(one: Scene) -> None:
        slow = [one.outside.readers.pop() for _ in range(60)]
        over = asyncio.Event()

        async def leave(reader: tuple[str, object]) -> None:
            while not over.is_set():
                await one.outside.leave(reader, one.mailout)  # type: ignore[arg-type]

        async with one.sql() as sql, sql.transaction():
            await sql.execute(
                "select from subscribers where id = any(%s) for update", [[r[1] for r in slow]]
            )
            asked = [asyncio.create_task(leave(reader)) for reader in slow]
            await asyncio.sleep(FULL_SECONDS)
            over.set()
        await asyncio.gather(*asked)

    async with mailing(tmp_path) as one:
        await one.endure(exhausted)
        how = "60 requests at once, their rows locked by another session"
        told(reports, await judged(one, "Connection pool exhausted", how, "database"))


@pytest.mark.soak
async def test_statements_time_out(tmp_path: Path, reports: list[Report]) -> None:
    async def locked(one: Scene) -> None:
        async with one.sql() as sql:
            await sql.execute("alter database postgres set statement_timeout = '50ms'")
            async with sql.transaction():
                await sql.execute("select from send_rates for update")
                await sql.execute("select from mailouts for update")
                await sql.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where application_name = 'amazonsender'"
                )
                await asyncio.sleep(FULL_SECONDS)
            # Those who are connected keep the 50 ms to the end.
            await sql.execute("alter database postgres reset statement_timeout")

    async with mailing(tmp_path) as one:
        await one.endure(locked)
        how = "`statement_timeout` 50 ms, `mailouts` and `send_rates` locked"
        told(reports, await judged(one, "Statement timeouts", how, "sender"))


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of its own, in memory. Skips where it may not be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="amazonsender-disk-"))
    size = f"size={megabytes}m,mode=711"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip(f"may not mount a file system: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


@pytest.mark.soak
@pytest.mark.parametrize("crash", [False, True], ids=["tables", "log"])
async def test_the_disk_is_full(tmp_path: Path, reports: list[Report], crash: bool) -> None:
    """Tables can't grow; and (crash) its log can't, after which PostgreSQL gives up. A supervisor
    starts it again whenever it went down, as systemd does."""
    restarts = 0

    def supervise(server: EmbeddedPostgres) -> None:
        nonlocal restarts
        if server._pg_ctl("status").returncode != 0:
            server.stop()
            restarts += 1
            with suppress(ConfigurationError):
                server.start()

    async def full(one: Scene) -> None:
        filler = disk / "filler"
        until = time.monotonic() + FULL_SECONDS
        with filler.open("ab", buffering=0) as file:
            while time.monotonic() < until:
                with suppress(OSError):
                    while True:
                        file.write(bytes(2**16))
                if crash:
                    with suppress(psycopg.OperationalError):
                        await one.query("select pg_switch_wal()")
                await asyncio.to_thread(supervise, one.server)
                await asyncio.sleep(0.2)
        filler.unlink()
        await asyncio.to_thread(supervise, one.server)

    settings = {"min_wal_size": "32MB", "max_wal_size": "48MB"}
    with small_disk(700) as disk:
        async with mailing(tmp_path, settings=settings, disk=disk) as one:
            await one.endure(full)
            if crash:
                assert restarts, "PostgreSQL stayed up"
                fault = "Disk full, PostgreSQL down"
                how = f"until it couldn't write its log and went down; {restarts} starts tried"
            else:
                fault = "Disk full"
                how = "PostgreSQL's file system filled up by another file"
            told(reports, await judged(one, fault, how, "database" if crash else "sender"))
