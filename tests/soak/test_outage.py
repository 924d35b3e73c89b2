"""Outages of two hours, in which what is tried again fails more than 1,024 times: nobody is mailed
twice, nobody is lost, and sending goes on by itself when they are over."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from app.adapters.database.postgres import PostgresDatabase
from app.errors import DatabaseUnavailable
from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.store import Store
from tests.soak.virtual import VirtualTime
from tests.support.factories import REGION, Arrange, an_account
from tests.support.service import Service, in_process, settings_for
from tests.support.waiting import eventually

READERS = 400
TWO_HOURS = 7_200.0
OVERFLOW = 1_024
"""So many doublings of a pause are more than a float holds."""


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(max_send_rate=1e5, max_24h_send=-1)) as server:
        yield server


@pytest.fixture(autouse=True)
def log_lines() -> Iterator[list[EventDict]]:
    """Kept: to write a line for each failure takes longer than the failure."""
    with capture_logs() as lines:
        yield lines


class Switch:
    """Between the program and its database. away: it is. failed: calls by function, and attempt."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.away = False
        self.failed: Counter[str] = Counter()
        call = PostgresDatabase.call

        async def switched(database: PostgresDatabase, function: str, /, **arguments: Any) -> Any:
            if not self.away:
                return await call(database, function, **arguments)
            told = arguments.get("p_batches", ())  # whoever comes again comes alone
            attempt = told[0]["attempt"] if len(told) == 1 else ""
            self.failed[f"{function} {attempt}".strip()] += 1
            raise DatabaseUnavailable("The database can't be reached")

        patch.setattr(PostgresDatabase, "call", switched)


async def status_of(service: Service) -> int:
    return (await service.http.get("/health")).status_code


async def finish(service: Service, sandbox: SandboxServer, arrange: Arrange, mailout: Any) -> None:
    """The end of every mailout: each reader once."""
    shown = await eventually(
        lambda: service.show(mailout), until=lambda s: s["status"] == "sent", seconds=60
    )
    assert await arrange.counts(mailout) == {"sent": READERS}, shown["status_reason"]
    to = [line["to"] for line in sandbox.accepted()]
    assert len(to) == len(set(to)) == READERS


@pytest.mark.short
async def test_two_hours_without_the_database(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What SES has answered by then is recorded afterwards, as it was."""
    clock, database = VirtualTime(monkeypatch), Switch(monkeypatch)
    monkeypatch.setattr("app.services.watching.health.CACHE_SECONDS", -1.0)
    monkeypatch.setattr("app.services.watching.health.FAILED_SECONDS", -1.0)
    sandbox.faults(latency={"min": 0.4, "max": 0.4})
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    settings = settings_for(dsn, sandbox.url, BATCH_SIZE="20", RATE_LIMIT_PER_SEC="100")
    async with in_process(settings) as service:
        await service.send(mailout)
        await eventually(
            lambda: arrange.one("select count(*) from send_batches where recorded_at is null"),
            until=lambda calls: calls >= 2,
        )
        database.away = True

        async def waiting() -> int:
            return sum(name.startswith("record_batches ") for name in database.failed)

        in_flight = await eventually(waiting, until=lambda results: results >= 2)
        await clock.passes(TWO_HOURS)
        assert await status_of(service) == 503
        often = {name: times for name, times in database.failed.items() if times > OVERFLOW}
        assert {"heartbeat", "sender_work"} <= often.keys()
        assert sum(name.startswith("record_batches ") for name in often) >= in_flight
        # Only retention rests longer, for an hour (drop_details.py).
        assert sum(times for seconds, times in clock.slept.items() if seconds > 60) <= 3
        # The server's clock, of which these are, has gone on as well.
        await arrange.sql.execute(
            "update executors set heartbeat_at = heartbeat_at - interval '2 hours',"
            " alive_since = alive_since - interval '2 hours'"
        )
        await arrange.sql.execute(
            "update send_batches set claimed_at = claimed_at - interval '2 hours'"
        )
        database.away = False
        await finish(service, sandbox, arrange, mailout)
        await eventually(lambda: status_of(service), until=lambda code: code == 200)


@pytest.mark.short
async def test_two_hours_without_ses(
    dsn: str,
    direct_store: Store,
    sandbox: SandboxServer,
    arrange: Arrange,
    monkeypatch: pytest.MonkeyPatch,
    log_lines: list[EventDict],
) -> None:
    """Nobody fails for it, and each try is a small one."""
    clock = VirtualTime(monkeypatch)
    await direct_store.record_account(REGION, an_account())
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))  # and doesn't listen: every connection is refused
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        async with in_process(settings_for(dsn, url)) as service:
            await service.send(mailout)
            await clock.passes(TWO_HOURS, step=3.0, pause=0.001)
            counts = await eventually(
                lambda: arrange.counts(mailout), until=lambda now: "sending" not in now
            )
            assert counts == {"queued": READERS}
            assert await arrange.one("select max(attempts) from send_logs") <= 1
            happened = Counter(line["event"] for line in log_lines)
            assert happened["ses_breaker_open"] > 10
            assert happened["account_check_failed"] > 100
            async with await asyncio.start_server(through_to(sandbox), sock=nobody):
                await clock.passes(10, pause=0.02)
                await finish(service, sandbox, arrange, mailout)


def through_to(sandbox: SandboxServer) -> Any:
    """What passes connections on to it."""
    port = int(sandbox.url.rpartition(":")[2])

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer))

    return pass_on
