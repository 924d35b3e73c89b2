"""SES's events out of SQS: a backlog, signed, taken by one process.

The queue is a program of its own that answers at once, so that what is measured is ours and
boto3's: `python -m bench.run events-sqs`.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from app.adapters.aws.sqs.queue import SqsQueue
from app.adapters.database.postgres import PostgresDatabase
from app.ports import Burial, MessageQueue, Waiting
from app.queues import takes_events
from app.services.queues.events import RECEIVERS
from app.services.queues.hands import Hands
from app.settings import Settings
from app.store import Store
from app.telemetry.metrics import Metrics
from bench.events import EVENTS, applied, certificate_host, request, sent_mails
from bench.parts import cpu_of_postgres
from tests.support.ports import free_port
from tests.support.service import settings_for

BATCH = 10


class SqsStandIn(asyncio.Protocol):
    """Speaks as much of SQS's JSON protocol as is needed: hands out a backlog once.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
    """

    backlog: list[dict[str, Any]]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._data = transport, b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        while b"\r\n\r\n" in self._data:
            head, _, rest = self._data.partition(b"\r\n\r\n")
            fields = dict(
                line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line
            )
            length = int(fields.get(b"content-length", b"0"))
            if len(rest) < length:
                return
            body, self._data = rest[:length], rest[length:]
            if b"x-amz-target" not in fields:  # a look whether it listens
                self._transport.close()
                return
            answer = self._answer(fields[b"x-amz-target"].decode(), json.loads(body))
            text = json.dumps(answer).encode()
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(text), text)
            )

    def _answer(self, target: str, asked: dict[str, Any]) -> dict[str, Any]:
        if target.endswith("receivemessage"):
            taken = self.backlog[-BATCH:]
            del self.backlog[-BATCH:]
            return {"Messages": taken} if taken else {}
        return {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]], "Failed": []}


def serve(port: int, file: str) -> None:
    now = str(round(time.time() * 1000))
    SqsStandIn.backlog = [
        {
            "MessageId": str(number),
            "ReceiptHandle": f"{number:0180}",  # about as long as SQS's
            "Body": line,
            "Attributes": {"SentTimestamp": now},
        }
        for number, line in enumerate(Path(file).read_text("utf-8").splitlines())
    ]

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(SqsStandIn, "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def stand_in(bodies: list[str]) -> Iterator[str]:
    """The queue's URL."""
    port = free_port()
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write("\n".join(bodies))
        file.flush()
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.sqs", "serve", str(port), file.name]
        )
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    httpx.get(f"http://127.0.0.1:{port}/", timeout=0.2)
                except httpx.ConnectError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                except httpx.TransportError:
                    break  # it listens, and doesn't speak so
            yield f"http://127.0.0.1:{port}/123456789012/events"
        finally:
            process.terminate()
            process.wait(15)


class Received:
    """ports.MessageQueue: what SQS has handed out already. So what is measured is all that comes
    after its answer was read, without boto3."""

    name, hold_seconds = "ses_events", 3600.0

    def __init__(self, bodies: list[str]) -> None:
        now = datetime.now(UTC)
        self._left = [
            Waiting(body.encode(), str(number), now, None) for number, body in enumerate(bodies)
        ]

    async def take(self, most: int) -> list[Waiting]:
        taken, self._left = self._left[:most], self._left[most:]
        if not taken:
            await asyncio.sleep(1)
        return taken

    async def done(self, messages: Sequence[Waiting]) -> None:
        pass

    async def keep(self, messages: Sequence[Waiting], seconds: float) -> None:
        pass

    async def give_back(self, messages: Sequence[Waiting], seconds: float = 0.0) -> None:
        raise RuntimeError("nothing is given back here")

    async def bury(self, message: Waiting, burial: Burial) -> bool:
        raise RuntimeError(burial.reason)

    async def close(self) -> None:
        pass


def queue_of(settings: Settings, url: str) -> SqsQueue:
    return SqsQueue(settings, url, name="ses_events", threads=2 * RECEIVERS, wait_seconds=1)


async def drain(
    dsn: str, sns_url: str, count: int, queue: Callable[[Settings], MessageQueue], **more: str
) -> None:
    settings = settings_for(dsn, sns_url, **more)
    metrics = Metrics()
    db = PostgresDatabase(dsn)
    async with httpx.AsyncClient() as http:
        taker = takes_events(Store(db), settings, metrics, http)(Hands(queue(settings), metrics))
        done = ("amazonsender_queue_messages_total", ("ses_events", "done"))
        while metrics.totals()[done] < count:
            for _ in range(20):  # to add up all metrics costs as much as a batch
                await taker.step()
        taker.stop()
        await taker.close(5)
    await db.close()


def backlog(dsn: str, count: int = EVENTS) -> Iterator[tuple[str, str, str, str]]:
    """Rows for the table."""
    with certificate_host() as (signer, sns_url):
        bodies = [
            request(signer, sns_url, row + 1).partition(b"\r\n\r\n")[2].decode()
            for row in range(count)
        ]
        sent_mails(dsn)
        with stand_in(bodies) as url:
            whole = drain(
                dsn, sns_url, count, lambda settings: queue_of(settings, url),
                SES_EVENTS_QUEUE_URL=url,
                AWS_ENDPOINT_URL_SQS=url.rpartition("/123456789012")[0],
            )  # fmt: skip
            what = f"SES's events out of SQS, a backlog of {count:,}, one process"
            yield row_of(dsn, what, count, whole)
        sent_mails(dsn)
        handling = drain(dsn, sns_url, count, lambda _: Received(bodies))
        yield row_of(dsn, "the same from the batch received to its commit, no SQS", count, handling)


def row_of(
    dsn: str, what: str, count: int, work: Coroutine[None, None, None]
) -> tuple[str, str, str, str]:
    postgres, own, began = cpu_of_postgres(dsn), time.process_time(), time.monotonic()
    asyncio.run(work)
    took = time.monotonic() - began
    return (
        what,
        f"{count / took:,.0f}/s, {count - applied(dsn)} lost",
        "20,000/s, none lost",
        f"CPU an event: {(time.process_time() - own) / count * 1e6:.0f} µs service, "
        f"{(cpu_of_postgres(dsn) - postgres) / count * 1e6:.0f} µs PostgreSQL",
    )


if __name__ == "__main__":
    serve(int(sys.argv[2]), sys.argv[3])
