"""The service is started while its database is away: it waits, says so, and begins by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from app.adapters.database.postgres import PostgresDatabase
from app.errors import AppError, ConfigurationError, DatabaseUnavailable
from app.runtime import LOG_EVERY_SECONDS
from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.store import Store
from tests.support.databases import DatabaseServer
from tests.support.factories import REGION, Arrange, an_account, start
from tests.support.ports import free_port
from tests.support.postgrest import PostgrestStandIn
from tests.support.service import BEARER, Process, client, environment, process
from tests.support.waiting import eventually, within

READERS = 30
AT_ONCE_SECONDS = 1.0


@pytest.fixture
def ses() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(max_send_rate=1e5, max_24h_send=-1)) as server:
        yield server


async def until_said(running: Process, words: str) -> None:
    async def log() -> str:
        assert running.child.poll() is None, running.log
        return running.log

    await eventually(log, until=lambda text: words in text)


async def test_the_service_comes_up_with_its_database(
    dsn: str,
    arrange: Arrange,
    ses: SandboxServer,
    postgres_server: DatabaseServer,
    tmp_path: Path,
) -> None:
    """Meanwhile it answers: alive, not healthy, 503 for all that needs the database."""
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    variables = environment(dsn, ses.url, PORT=str(port), APP_BASE_URL=base)
    postgres_server.server.stop()
    with ExitStack() as away, process(tmp_path, variables, "serve") as service:
        away.callback(postgres_server.server.start)
        await until_said(service, "database_waits")
        async with client(base, headers=BEARER) as http:
            assert (await http.get("/health/live")).status_code == 200
            health = await http.get("/health")
            assert (health.status_code, health.json()["status"]) == (503, "fail")
            assert health.json()["checks"]["database"]["status"] == "fail"
            refused = await http.post("/send-mailout", json={"mailout_id": str(mailout)})
            assert refused.status_code == 503
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.headers["retry-after"]
            assert refused.json()["code"] == "database_unavailable"
            # Said now and then, by each of the two processes, not with every try.
            said = sorted(
                datetime.fromisoformat(line["timestamp"])
                for line in map(json.loads, service.log.splitlines())
                if line["event"] == "database_waits"
            )
            assert len(said) <= 2 * (1 + (said[-1] - said[0]).total_seconds() // LOG_EVERY_SECONDS)
            away.close()

            async def now() -> httpx.Response:
                return await http.get("/health")

            well = await eventually(now, until=lambda answer: answer.status_code == 200)
            checks = health.json()["checks"]
            assert checks.keys() == well.json()["checks"].keys() - {"processes"}
            sent = await http.post("/send-mailout", json={"mailout_id": str(mailout)})
            assert sent.status_code == 202

            async def accepted() -> int:
                return len(ses.accepted())

            await eventually(accepted, until=lambda n: n == READERS)
        service.stop()
        assert service.child.returncode == 0


@pytest.mark.short
async def test_a_worker_goes_on_when_its_database_comes(
    dsn: str,
    direct_store: Store,
    arrange: Arrange,
    ses: SandboxServer,
    postgres_server: DatabaseServer,
    tmp_path: Path,
) -> None:
    """It hangs instead of being gone, as behind a network that swallows packets."""
    await arrange.subscribers(READERS)
    await start(direct_store, await arrange.mailout())
    await direct_store.record_account(REGION, an_account())
    with postgres_server.frozen(), process(tmp_path, environment(dsn, ses.url), "worker") as worker:
        await until_said(worker, "database_waits")
        assert worker.stop() < within(AT_ONCE_SECONDS)
        assert worker.child.returncode == 0
    with process(tmp_path, environment(dsn, ses.url), "worker"):

        async def accepted() -> int:
            return len(ses.accepted())

        await eventually(accepted, until=lambda n: n == READERS)


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("command", ["serve", "worker"])
async def test_sigterm_ends_the_wait(ses: SandboxServer, tmp_path: Path, command: str) -> None:
    nobody = f"postgresql://user:canary-secret@127.0.0.1:{free_port()}/x"
    variables = environment(nobody, ses.url, PORT=str(free_port()))
    with process(tmp_path, variables, command) as running:
        await until_said(running, "database_waits")
        assert await asyncio.to_thread(running.stop) < within(AT_ONCE_SECONDS)
        assert running.child.returncode == 0
        assert "canary-secret" not in running.log
        assert "refused" in running.log.lower()


async def test_supabase_is_waited_for(
    supabase_key: str, ses: SandboxServer, tmp_path: Path
) -> None:
    variables = environment(
        "", ses.url, PORT=str(free_port()), DATABASE_URL=None,
        SUPABASE_URL=f"http://127.0.0.1:{free_port()}", SUPABASE_SERVICE_ROLE_KEY=supabase_key,
    )  # fmt: skip
    with process(tmp_path, variables, "serve") as running:
        await until_said(running, "database_waits")
        assert running.stop() < within(AT_ONCE_SECONDS)


def changed(dsn: str, *, password: str | None = None, path: str | None = None) -> str:
    parts = urlsplit(dsn)
    netloc = parts.netloc
    if password is not None:
        netloc = f"{parts.username}:{password}@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=netloc, path=path or parts.path))


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    ("command", "wrong", "words"),
    [
        ("serve", {"password": "wrong"}, "password authentication failed"),
        ("worker", {"path": "/nowhere"}, 'database "nowhere" does not exist'),
        ("serve", {"path": "/template1"}, "has no schema yet"),
    ],
    ids=["password", "database", "schema"],
)
async def test_what_does_not_pass_by_itself_ends_the_start(
    dsn: str,
    ses: SandboxServer,
    tmp_path: Path,
    command: str,
    wrong: dict[str, str],
    words: str,
) -> None:
    variables = environment(changed(dsn, **wrong), ses.url, PORT=str(free_port()))
    with process(tmp_path, variables, command) as running:
        assert await asyncio.to_thread(running.child.wait, 20) == 1
        assert running.log.count(words) == 1, running.log
        assert running.log.splitlines()[-1].startswith("amazonsender: ")
        assert "process_ended" not in running.log  # and so nothing was started again
        assert "database_waits" not in running.log


@pytest.mark.short
async def test_a_refused_key_ends_the_start(
    postgrest: PostgrestStandIn, database_name: str, ses: SandboxServer, tmp_path: Path
) -> None:
    variables = environment(
        "", ses.url, PORT=str(free_port()), DATABASE_URL=None,
        SUPABASE_URL=postgrest.url(database_name), SUPABASE_SERVICE_ROLE_KEY="wrong",
    )  # fmt: skip
    with process(tmp_path, variables, "serve") as running:
        assert await asyncio.to_thread(running.child.wait, 20) == 1
        assert "service_role" in running.log


@asynccontextmanager
async def refusing(sqlstate: str, words: str) -> AsyncIterator[str]:
    """A server that answers every start-up packet with this error; its address.

    https://www.postgresql.org/docs/current/protocol-message-formats.html: ErrorResponse.
    """
    fields = f"SFATAL\0VFATAL\0C{sqlstate}\0M{words}\0\0".encode()
    answer = b"E" + (len(fields) + 4).to_bytes(4, "big") + fields

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"postgresql://user:canary-secret@127.0.0.1:{port}/x?sslmode=disable"


@pytest.mark.parametrize(
    ("sqlstate", "words", "expected"),
    [
        ("57P03", "the database system is starting up", DatabaseUnavailable),
        ("57P03", "the database system is not yet accepting connections", DatabaseUnavailable),
        ("57P01", "terminating connection due to administrator command", DatabaseUnavailable),
        ("53300", "sorry, too many clients already", DatabaseUnavailable),
        ("08P01", "server login failed: connection refused", DatabaseUnavailable),
        ("28P01", 'password authentication failed for user "user"', ConfigurationError),
        ("28000", "no pg_hba.conf entry for host", ConfigurationError),
        ("3D000", 'database "x" does not exist', ConfigurationError),
        ("XX000", "Tenant or user not found", ConfigurationError),
    ],
)
async def test_what_passes_and_what_does_not(
    sqlstate: str, words: str, expected: type[AppError]
) -> None:
    """A server that recovers is away; one that knows neither us nor the database refuses."""
    async with refusing(sqlstate, words) as dsn:
        database = PostgresDatabase(dsn)
        with pytest.raises(expected) as caught:
            await database.check_access()
        await database.close()
    assert words in caught.value.detail
    assert "canary-secret" not in caught.value.detail
