"""SIGTERM while others hang: whatever happens, the process is gone within ten seconds."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.store import Store
from tests.support.databases import DatabaseServer
from tests.support.factories import REGION, Arrange, an_account, start
from tests.support.service import environment, process
from tests.support.waiting import eventually, within

WITHIN_SECONDS = 10.0


@contextmanager
def silent() -> Iterator[tuple[str, socket.socket]]:
    """A server that takes connections and never answers: its address, and its socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", server


async def test_while_ses_does_not_answer_for_the_account(dsn: str, tmp_path: Path) -> None:
    with silent() as (url, server), process(tmp_path, environment(dsn, url), "worker") as worker:
        server.settimeout(30)
        connection, _ = await asyncio.to_thread(server.accept)  # GetAccount is being asked for
        with connection:
            assert await asyncio.to_thread(worker.stop) < within(WITHIN_SECONDS)
        assert "sender_stopped" in worker.log


@pytest.mark.short
async def test_while_a_call_to_ses_and_the_database_hang(
    dsn: str,
    direct_store: Store,
    arrange: Arrange,
    postgres_server: DatabaseServer,
    tmp_path: Path,
) -> None:
    """The call hangs for longer than there is time, and then its result can't be written: the next
    sender finds the rows in `sending`, and calls them unknown."""
    await arrange.subscribers(10)
    mailout = await arrange.mailout()
    await start(direct_store, mailout)
    await direct_store.record_account(REGION, an_account())
    with SandboxServer(SandboxConfig(max_send_rate=1e5, max_24h_send=-1)) as sandbox:
        sandbox.faults(hang={"seconds": 25, "accept": True})
        variables = environment(dsn, sandbox.url, LEASE_SECONDS="2")

        async def accepted() -> int:
            return len(sandbox.accepted())

        with process(tmp_path, variables, "worker") as worker:
            await eventually(accepted, until=lambda n: n == 10)
            with postgres_server.frozen():
                assert worker.stop() < within(WITHIN_SECONDS), worker.log
        assert await arrange.counts(mailout) == {"sending": 10}
        sandbox.faults()
        with process(tmp_path, variables, "worker") as another:
            counts = await eventually(
                lambda: arrange.counts(mailout), until=lambda c: "sending" not in c, seconds=30
            )
            assert another.stop() < within(WITHIN_SECONDS)
        assert counts == {"unknown": 10}
        assert await accepted() == 10


async def test_an_idle_sender_without_its_database(
    dsn: str, tmp_path: Path, postgres_server: DatabaseServer, arrange: Arrange
) -> None:
    with (
        SandboxServer(SandboxConfig(max_send_rate=1e5, max_24h_send=-1)) as sandbox,
        process(tmp_path, environment(dsn, sandbox.url), "worker") as worker,
    ):
        await eventually(lambda: arrange.one("select count(*) from executors"), until=bool)
        with postgres_server.frozen():
            assert worker.stop() < within(WITHIN_SECONDS), worker.log
