"""Signed Delivery events against `/ses-events`: a closed loop of keep-alive connections."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import psycopg

from bench.parts import command, fill, sink, wait_for
from tests.acceptance.conftest import free_port
from tests.support.service import TOPIC
from tests.support.sns import SnsSigner, body_of, headers_of

EVENTS = 6_000


@dataclass(frozen=True)
class EventRun:
    connections: int
    rate: float
    p99: float
    lost: int
    note: str


def post_events(dsn: str) -> Iterator[tuple[EventRun, str]]:
    """Deliveries of rows that were sent, from 50 connections."""
    mailout, attempt = uuid4(), uuid4()
    fill(dsn, EVENTS)
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute(
            "insert into mailouts (id, subject, status) values (%s, 'x', 'sent')", [mailout]
        )
        sql.execute(
            "insert into send_logs (mailout_id, subscriber_id, email, status, attempt_id, "
            "attempts) select %s, id, email, 'sent', %s, 1 from subscribers",
            [mailout, attempt],
        )
        ids = [row[0] for row in sql.execute("select id from send_logs").fetchall()]
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with certificate_host() as (signer, sns_url), sink() as target, command(
        dsn, target.url, "serve", "--no-sender", PORT=str(port), APP_BASE_URL=base,
        AWS_ENDPOINT_URL_SNS=sns_url,
    ) as service:  # fmt: skip
        requests = [request(signer, sns_url, mailout, attempt, i) for i in ids]
        wait_for(dsn, "select 1", 1)
        asyncio.run(load(port, requests[:50], 50))  # until it is up and warm
        cpu = service.cpu_seconds
        latencies, took = asyncio.run(load(port, requests[50:], 50))
        cpu = (service.cpu_seconds - cpu) / len(latencies)
        with psycopg.connect(dsn) as sql:
            row = sql.execute(
                "select count(*) from send_logs where status = 'delivered'"
            ).fetchone()
            assert row is not None
    latencies.sort()
    yield (
        EventRun(
            50, len(latencies) / took, latencies[int(len(latencies) * 0.99)], len(ids) - row[0],
            f"{cpu * 1e6:.0f} µs of the service's CPU an event; generator on the same cores",
        ),
        "2,000/s, under 100 ms, none lost",
    )  # fmt: skip


@contextmanager
def certificate_host() -> Iterator[tuple[SnsSigner, str]]:
    """A signer, and the address that serves its certificate."""
    signer = SnsSigner()
    pem = signer.certificate_pem

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(pem)))
            self.end_headers()
            self.wfile.write(pem)

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield signer, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def request(signer: SnsSigner, sns_url: str, mailout: object, attempt: object, row: int) -> bytes:
    event = {
        "eventType": "Delivery",
        "mail": {
            "timestamp": "2026-11-24T12:00:00.000Z", "messageId": f"m-{row}",
            "destination": [f"reader{row}@example.com"],
            "tags": {
                "mailout_id": [str(mailout)], "send_log_id": [str(row)], "attempt": [str(attempt)],
            },
        },
        "delivery": {
            "timestamp": "2026-11-24T12:00:02.000Z", "processingTimeMillis": 1900,
            "recipients": [f"reader{row}@example.com"], "smtpResponse": "250 ok",
        },
    }  # fmt: skip
    message = signer.notification(
        event,
        TopicArn=TOPIC,
        SigningCertURL=f"{sns_url}/SimpleNotificationService-bench.pem",
    )
    body = body_of(message)
    headers = {**headers_of(message), "Host": "127.0.0.1", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /ses-events HTTP/1.1\r\n{head}\r\n".encode() + body


async def load(port: int, requests: list[bytes], connections: int) -> tuple[list[float], float]:
    """Each connection sends its next request when the last one is answered."""
    waiting = iter(requests)
    latencies: list[float] = []

    async def connection() -> None:
        for _ in range(100):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:
                await asyncio.sleep(0.1)
        for each in waiting:
            started = time.monotonic()
            writer.write(each)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            latencies.append(time.monotonic() - started)
        writer.close()

    started = time.monotonic()
    await asyncio.gather(*(connection() for _ in range(connections)))
    return latencies, time.monotonic() - started
