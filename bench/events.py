"""Signed Delivery events against `/ses-events`, beside the same in a transaction per event."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import UUID

import httpx
import psycopg

from bench.load import post_all
from bench.parts import Child, cpu_of_postgres, fill, running, sink
from tests.support.ports import free_port
from tests.support.service import TOPIC, environment
from tests.support.sns import SnsSigner, body_of, headers_of

EVENTS = 12_000
CONNECTIONS = 50
WARM_UP = 500
ROUNDS = 2
MAILOUT = UUID("7b0e6f0a-3c1d-4e59-9a86-5f0f2d9c1b11")
ATTEMPT = UUID("c2a9d3e4-8f17-4b60-b5d1-0e6a7c8f9d22")
DELIVERY = Path("tests/payloads/ses/delivery.json").read_text()


@dataclass(frozen=True)
class EventRun:
    """rate: events a second. p50, p99: seconds. …_cpu: seconds an event. lost: answered or not,
    what is not in the ledger afterwards; refused: not answered with 200."""

    rate: float
    p50: float
    p99: float
    service_cpu: float
    postgres_cpu: float
    lost: int
    refused: int

    @property
    def words(self) -> str:
        return (
            f"{self.rate:,.0f}/s, median {self.p50 * 1000:.0f} ms, 99th percentile "
            f"{self.p99 * 1000:.0f} ms, {self.lost} lost, {self.refused} refused"
        )

    @property
    def cpu(self) -> str:
        return (
            f"CPU an event: {self.service_cpu * 1e6:.0f} µs service, "
            f"{self.postgres_cpu * 1e6:.0f} µs PostgreSQL"
        )


def compare(dsn: str) -> Iterator[tuple[str, str, str, str]]:
    """Interleaved: one by one, ours, one by one, ours; rows for the table."""
    glue: list[EventRun] = []
    ours: list[EventRun] = []
    with certificate_host() as (signer, sns_url), tempfile.NamedTemporaryFile() as pem:
        pem.write(signer.certificate_pem)
        pem.flush()
        requests = [request(signer, sns_url, row + 1) for row in range(EVENTS)]
        with other_app("nothing", dsn, pem.name) as (_, port):
            answers, took = post_all(port, requests, CONNECTIONS)
            assert answers.refused == 0
            ceiling = EVENTS / took
        for _ in range(ROUNDS):
            sent_mails(dsn)
            with other_app("glue", dsn, pem.name) as (child, port):
                glue.append(measure(dsn, child, port, requests))
            sent_mails(dsn)
            with our_service(dsn, sns_url) as (child, port):
                ours.append(measure(dsn, child, port, requests))
    base, best = mean(glue), mean(ours)
    what = f"/ses-events, signed deliveries, {CONNECTIONS} connections"
    yield f"{what}: answered and forgotten", f"{ceiling:,.0f}/s", "the generator's ceiling", ""
    yield f"{what}: one event, one transaction", base.words, "baseline", base.cpu
    yield (
        what, f"{best.words}; {best.rate / base.rate:.1f} × the baseline",
        "5,000/s, 99th percentile 50 ms, none lost", best.cpu,
    )  # fmt: skip


def mean(runs: list[EventRun]) -> EventRun:
    """Of rates and CPU times; the worse of the rest."""
    return EventRun(
        rate=statistics.mean(run.rate for run in runs),
        p50=max(run.p50 for run in runs),
        p99=max(run.p99 for run in runs),
        service_cpu=statistics.mean(run.service_cpu for run in runs),
        postgres_cpu=statistics.mean(run.postgres_cpu for run in runs),
        lost=sum(run.lost for run in runs),
        refused=sum(run.refused for run in runs),
    )


def measure(dsn: str, service: Child, port: int, requests: list[bytes]) -> EventRun:
    """Post every event once."""
    post_all(port, requests[:WARM_UP], CONNECTIONS)
    cpu, postgres = service.cpu_seconds, cpu_of_postgres(dsn)
    answers, took = post_all(port, requests[WARM_UP:], CONNECTIONS)
    count = len(requests) - WARM_UP
    latencies = sorted(answers.latencies)
    return EventRun(
        rate=count / took,
        p50=latencies[len(latencies) // 2],
        p99=latencies[int(len(latencies) * 0.99)],
        service_cpu=(service.cpu_seconds - cpu) / count,
        postgres_cpu=(cpu_of_postgres(dsn) - postgres) / count,
        lost=len(requests) - applied(dsn),
        refused=answers.refused,
    )


def sent_mails(dsn: str) -> None:
    """A new ledger, with the row of every event as sending leaves it. No service may be running: it
    would be in it."""
    fill(dsn, EVENTS)
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute(
            "insert into mailouts (id, subject, status) values (%s, 'x', 'sent')", [MAILOUT]
        )
        sql.execute(
            "insert into send_logs (id, mailout_id, subscriber_id, email, status, attempt_id, "
            "attempts, message_id, claimed_at, sent_at) overriding system value "
            "select row_number() over (), %s, id, email, 'sent', %s, 1, "
            "'m-' || row_number() over (), now(), now() from subscribers",
            [MAILOUT, ATTEMPT],
        )
        sql.execute("vacuum analyze send_logs")


def applied(dsn: str) -> int:
    """Events that are kept and whose row has moved."""
    with psycopg.connect(dsn) as sql:
        row = sql.execute(
            "select count(*) from send_logs l join ses_events e on e.send_log_id = l.id "
            "where l.status = 'delivered' and e.type = 'delivery'"
        ).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def our_service(dsn: str, sns_url: str) -> Iterator[tuple[Child, int]]:
    """As it comes, with its log at the usual level."""
    port = free_port()
    with sink() as target, tempfile.TemporaryFile() as log:
        variables = environment(
            dsn, target.url, AWS_ENDPOINT_URL_SNS=sns_url, LOG_LEVEL="info", PORT=str(port),
            APP_BASE_URL=f"http://127.0.0.1:{port}",
        )  # fmt: skip
        with running(["serve", "--no-sender"], variables, log) as child:
            wait_for_events(port)
            yield child, port


@contextmanager
def other_app(kind: str, dsn: str, pem: str) -> Iterator[tuple[Child, int]]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.one_by_one", kind, str(port), dsn, pem]
    )
    try:
        wait_for_events(port)
        yield Child(process), port
    finally:
        process.terminate()
        process.wait(15)


def wait_for_events(port: int) -> None:
    """Until a body that is no event is refused as such, or as a fault (the glue): it is up."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            answer = httpx.post(f"http://127.0.0.1:{port}/ses-events", content=b"{}")
        except httpx.TransportError:
            pass
        else:
            if answer.status_code != 503:
                return
        time.sleep(0.05)
    raise TimeoutError("nothing takes events")


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


def request(signer: SnsSigner, sns_url: str, row: int) -> bytes:
    """A Delivery as long as SES's own, of the row with this id."""
    event = json.loads(DELIVERY)
    address = f"reader{row}@example.com"
    event["mail"]["messageId"] = event["mail"]["commonHeaders"]["messageId"] = f"m-{row}"
    event["mail"]["destination"] = event["delivery"]["recipients"] = [address]
    event["mail"]["tags"] |= {
        "mailout_id": [str(MAILOUT)], "send_log_id": [str(row)], "attempt": [str(ATTEMPT)],
    }  # fmt: skip
    message = signer.notification(
        json.dumps(event, separators=(",", ":")),
        TopicArn=TOPIC,
        SigningCertURL=f"{sns_url}/SimpleNotificationService-bench.pem",
    )
    body = body_of(message)
    headers = {**headers_of(message), "Host": "127.0.0.1", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /ses-events HTTP/1.1\r\n{head}\r\n".encode() + body
