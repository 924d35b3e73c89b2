"""Outgoing webhooks: how many are delivered a second, and what those cost who write them."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import psycopg

from bench.events import ATTEMPT, MAILOUT, sent_mails
from bench.parts import Child, command, cpu_of_postgres, fill, sink, wait_for

DELIVERIES = 4_000
EVENTS = 10_000
GROUP = 50  # events in one transaction, as /ses-events groups them under load
PEOPLE = 100_000


def hooks(dsn: str) -> Iterator[tuple[str, str, str, str]]:
    yield delivered(dsn)
    yield told(dsn)
    yield written(dsn)


def delivered(dsn: str) -> tuple[str, str, str, str]:
    """To four hooks at one receiver, each at the highest rate that a hook may have."""
    fill(dsn, 0)
    with receiver() as url, sink() as target:
        for number in range(4):
            add_hook(dsn, f"{url}/{number}", "subscriber.created", rate=1000)
        with psycopg.connect(dsn, autocommit=True) as sql:
            people(sql, DELIVERIES // 4)
            sql.execute("vacuum analyze")
        with command(dsn, target.url, "worker", HOOKS_ALLOW_PRIVATE="true") as worker:
            wait_for(dsn, "select count(*) > 0 from hook_deliveries where state = 'done'", True)
            before, began = done(dsn), time.monotonic()
            cpu, postgres = worker.cpu_seconds, cpu_of_postgres(dsn)
            wait_for(dsn, "select count(*) from hook_deliveries where state <> 'done'", 0)
            took, count = time.monotonic() - began, done(dsn) - before
            figures = words(worker, dsn, cpu, postgres, count)
    return (
        f"{DELIVERIES:,} deliveries to four hooks, signed, a connection each",
        f"{count / took:,.0f}/s", "stated", figures,
    )  # fmt: skip


def told(dsn: str) -> tuple[str, str, str, str]:
    """Deliveries of SES, in SQL alone: nobody wants them, then one hook does."""
    rates = []
    for wants in (False, True):
        sent_mails(dsn)
        if wants:
            add_hook(dsn, "https://example.com/", "recipient.delivered")
        with psycopg.connect(dsn, autocommit=True) as sql:
            began = time.monotonic()
            for first in range(1, EVENTS + 1, GROUP):
                group = [delivery(row) for row in range(first, first + GROUP)]
                sql.execute("select apply_ses_events(%s)", [json.dumps(group)])
            rates.append(EVENTS / (time.monotonic() - began))
            found = sql.execute("select count(*) from hook_deliveries").fetchone()
            assert found == (EVENTS * wants,), found
    return (
        f"SES's events written, {GROUP} a transaction, with a hook on recipient.delivered",
        f"{rates[1]:,.0f}/s, without {rates[0]:,.0f}/s", "2,000/s", "",
    )  # fmt: skip


def written(dsn: str) -> tuple[str, str, str, str]:
    """Subscribers added in one statement: nobody wants to know, then one hook does."""
    rates = []
    for wants in (False, True):
        fill(dsn, 0)
        if wants:
            add_hook(dsn, "https://example.com/", "subscriber.created")
        with psycopg.connect(dsn, autocommit=True) as sql:
            began = time.monotonic()
            people(sql, PEOPLE)
            rates.append(PEOPLE / (time.monotonic() - began))
    return (
        f"{PEOPLE:,} subscribers added at once, with a hook on subscriber.created",
        f"{rates[1]:,.0f}/s, without {rates[0]:,.0f}/s", "in bulk", "",
    )  # fmt: skip


def people(sql: psycopg.Connection[tuple[object, ...]], count: int) -> None:
    sql.execute(
        "insert into subscribers (email, name) select 'new' || n || '@example.com', 'Reader ' || n "
        "from generate_series(1, %s) n",
        [count],
    )


def delivery(row: int) -> dict[str, object]:
    return {
        "sns_message_id": f"bench-{row}", "type": "delivery", "message_id": f"m-{row}",
        "mailout_id": str(MAILOUT), "send_log_id": row, "attempt": str(ATTEMPT),
        "occurred_at": "2026-11-26T07:00:00+00:00", "payload": {"mail": {}},
    }  # fmt: skip


def add_hook(dsn: str, url: str, event: str, rate: float = 20) -> None:
    secret = "whsec_" + "QUJD" * 11
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute(
            "select create_hook(%s, %s, %s, '', null, %s, 'owner')",
            [url, json.dumps([event]), secret, rate],
        )


def done(dsn: str) -> int:
    with psycopg.connect(dsn) as sql:
        row = sql.execute("select count(*) from hook_deliveries where state = 'done'").fetchone()
        assert row is not None
        return int(row[0])


def words(worker: Child, dsn: str, cpu: float, postgres: float, count: int) -> str:
    return (
        f"CPU a delivery: {(worker.cpu_seconds - cpu) / count * 1e6:,.0f} µs worker, "
        f"{(cpu_of_postgres(dsn) - postgres) / count * 1e6:,.0f} µs PostgreSQL"
    )


@contextmanager
def receiver() -> Iterator[str]:
    """A process that answers 204 to everything; gives its address."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_receive, args=(theirs,))
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()
        process.join()


def _receive(port: Connection) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        [length] = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ]
        await reader.readexactly(length)
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())
