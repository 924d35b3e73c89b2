"""The drill of docs/operations.md ("Restoring a backup"), with PostgreSQL's own programs: a backup
is taken in the middle of a mailout, the world goes on, the service starts on what was restored."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange
from tests.support.service import BEARER, Service, in_process, settings_for
from tests.support.waiting import eventually

READERS = 20
MIDDLE = """
select exists (select from send_logs where status in ('sent', 'delivered'))
   and exists (select from send_batches where recorded_at is null)
   and exists (select from send_logs where status = 'queued')
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(max_send_rate=40, max_24h_send=-1)) as server:
        yield server


async def run(server: DatabaseServer, program: str, *arguments: str) -> None:
    """One of PostgreSQL's programs, as an operator calls it."""
    done = await asyncio.create_subprocess_exec(
        server.server.programs / program, *arguments, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await done.communicate()
    assert done.returncode == 0, complaint.decode()


async def back_up_in_the_middle(server: DatabaseServer, dsn: str, file: Path) -> None:
    """While some mails are sent, some under way, and some queued."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)

        async def exported() -> str | None:
            await connection.rollback()
            row = await (await connection.execute(MIDDLE.encode())).fetchone()
            if not row or not row[0]:
                return None
            told = await (await connection.execute("select pg_export_snapshot()")).fetchone()
            return str(told[0]) if told else None

        snapshot = await eventually(exported, until=bool)
        await run(
            server, "pg_dump", "--format=custom", "--no-owner", f"--file={file}",
            f"--snapshot={snapshot}", "--schema=public", dsn,
        )  # fmt: skip


@asynccontextmanager
async def service_on(dsn: str, sandbox: SandboxServer) -> AsyncIterator[Service]:
    settings = settings_for(dsn, sandbox.url, RATE_LIMIT_PER_SEC="40", BATCH_SIZE="5")
    async with in_process(settings) as service:
        yield service


async def is_in(service: Service, mailout: UUID, status: str) -> None:
    await eventually(lambda: service.show(mailout), until=lambda shown: shown["status"] == status)


@pytest.mark.parametrize("where", ["elsewhere", "in place"])
async def test_what_was_being_sent_when_the_backup_was_made_asks_first(
    postgres_server: DatabaseServer,
    dsn: str,
    arrange: Arrange,
    sandbox: SandboxServer,
    tmp_path: Path,
    where: str,
) -> None:
    sandbox.reset()
    sandbox.faults(latency={"min": 0.1, "max": 0.1})
    await arrange.subscribers(READERS)
    first, ready = await arrange.mailout(), await arrange.mailout(subject="Second")
    backup = tmp_path / "backup.dump"
    async with service_on(dsn, sandbox) as original:
        assert (await original.send(first)).status_code == 202
        await back_up_in_the_middle(postgres_server, dsn, backup)
        await is_in(original, first, "sent")
        assert (await original.send(ready)).status_code == 202
        await is_in(original, ready, "sent")
    everybody = [f"reader{n}@example.com" for n in range(1, READERS + 1)]
    once = Counter((one, subject) for one in everybody for subject in ("Hello", "Second"))
    assert accepted(sandbox) == once

    with postgres_server.empty_database() as other:
        target = postgres_server.dsn(other) if where == "elsewhere" else dsn
        clean = ["--clean", "--if-exists"] if where == "in place" else []
        await run(
            postgres_server, "pg_restore", "--no-owner", "--schema=public", *clean,
            f"--dbname={target}", str(backup),
        )  # fmt: skip
        async with service_on(target, sandbox) as restored:
            await is_in(restored, first, "paused")
            held = await restored.show(first)
            assert "restored from a backup" in held["status_reason"]
            assert held["counts"]["queued"] > 0
            again = await restored.send(ready)
            assert (again.status_code, again.json()["code"]) == (409, "mailout_not_ready")
            asked = await restored.show(ready)
            assert asked["status"] == "draft"
            assert "may have been sent from elsewhere" in asked["status_reason"]
            await restored.healthy()
            cancel = await restored.http.post(f"/mailouts/{first}/cancel", headers=BEARER)
            assert cancel.status_code == 200
            await eventually(
                lambda: restored.show(first), until=lambda shown: not shown["counts"]["queued"]
            )
    assert accepted(sandbox) == once


def accepted(sandbox: SandboxServer) -> Counter[tuple[str, str]]:
    """Who was mailed what, over both lives."""
    return Counter((mail["to"][0], mail["subject"]) for mail in sandbox.mails())
