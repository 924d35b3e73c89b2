"""All who ask something of the service: readers who leave, SNS with its events, a monitor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import UUID

import httpx

from app.domain.tokens import UnsubscribeTokens
from tests.soak.world import AcceptLog
from tests.support.service import TOPIC, UNSUBSCRIBE_SECRET
from tests.support.sns import SnsSigner, body_of, headers_of

ASK_SECONDS = 0.5
"""Between two questions of one kind."""
PATIENCE_SECONDS = 20.0
"""How long the asking side waits: SNS 15 s, mail clients about as long."""


class _Certificate(BaseHTTPRequestHandler):
    pem: bytes

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.pem)

    def log_message(self, *args: object) -> None: ...


@contextmanager
def sns() -> Iterator[tuple[SnsSigner, str]]:
    """Who signs, and the address of SNS, where the certificate is."""
    signer = SnsSigner()
    handler = type("Handler", (_Certificate,), {"pem": signer.certificate_pem})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield signer, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Answer:
    """at: when it was asked for, unix seconds. code: None when nothing came in time."""

    kind: str
    at: float
    seconds: float
    code: int | None
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def health(self) -> str:
        """What `/health` says, in a few words."""
        ill = [n for n, check in self.body["checks"].items() if check["status"] in {"fail", "warn"}]
        return f"{self.code} {self.body['status']}" + (f": {', '.join(ill)}" if ill else "")


class Outside:
    """Readers who leave, SNS with its events, and a monitor: all who ask something of us."""

    def __init__(
        self, http: httpx.AsyncClient, signer: SnsSigner, sns_url: str, log: AcceptLog
    ) -> None:
        self._http, self._signer, self._log = http, signer, log
        self._certificate = f"{sns_url}/SimpleNotificationService-faults.pem"
        self._tokens = UnsubscribeTokens([UNSUBSCRIBE_SECRET])
        self._posted = 0
        self.readers: list[tuple[str, UUID]] = []  # those who will leave; from the end
        self.answers: list[Answer] = []
        self.left: dict[str, float] = {}  # address: when that was confirmed
        self.kept: set[str] = set()  # SNS message ids that were answered 200
        self._again_leave: list[tuple[str, UUID]] = []
        self._again_post: list[dict[str, Any]] = []

    async def ask_on(self, mailout: UUID) -> None:
        """Ask until cancelled. A slow answer doesn't hold up the next question."""
        asked: set[asyncio.Task[Any]] = set()
        try:
            while True:
                reader = self.readers.pop() if self.readers else None
                works = [self.health(), *([self.leave(reader, mailout)] if reader else [])]
                if self._log.read() > self._posted:
                    works.append(self.post(self._event(self._next())))
                elif self._again_post:
                    works.append(self.post(self._again_post.pop(0)))
                asked |= {asyncio.create_task(work) for work in works}
                for task in {task for task in asked if task.done()}:
                    task.result()  # raises what went wrong
                    asked.remove(task)
                await asyncio.sleep(ASK_SECONDS)
        finally:
            await asyncio.gather(*asked)

    async def finish(self, mailout: UUID) -> None:
        """Everything that was put off comes again, and every event that is still missing."""
        while self._again_leave:
            await self.leave(self._again_leave.pop(), mailout)
        self._log.read()
        posts = [self._event(self._next()) for _ in range(len(self._log.lines) - self._posted)]
        self._again_post += posts

        async def post_all() -> None:
            while self._again_post:
                await self.post(self._again_post.pop())

        await asyncio.gather(*(post_all() for _ in range(10)))

    async def health(self) -> None:
        answer = await self._ask("health", "GET", "/health")
        self.answers.append(answer)

    async def leave(self, reader: tuple[str, UUID], mailout: UUID) -> None:
        token = self._tokens.sign(reader[1], mailout)
        answer = await self._ask(
            "unsubscribe",
            "POST",
            f"/unsubscribe?token={token}",
            data={"List-Unsubscribe": "One-Click"},
        )
        self.answers.append(answer)
        if answer.code == 200:
            self.left[reader[0]] = time.time()
        else:
            self._again_leave.append(reader)

    async def post(self, message: dict[str, Any]) -> None:
        answer = await self._ask(
            "event", "POST", "/ses-events", content=body_of(message), headers=headers_of(message)
        )
        self.answers.append(answer)
        if answer.code == 200:
            self.kept.add(message["MessageId"])
        else:
            self._again_post.append(message)

    async def _ask(self, kind: str, method: str, path: str, **request: Any) -> Answer:
        at, started = time.time(), time.monotonic()
        try:
            response = await self._http.request(method, path, **request)
        except httpx.TransportError:
            return Answer(kind, at, time.monotonic() - started, None)
        body = response.json() if kind == "health" else {}
        return Answer(kind, at, time.monotonic() - started, response.status_code, body)

    def _next(self) -> dict[str, Any]:
        self._posted += 1
        return self._log.lines[self._posted - 1]

    def _event(self, line: dict[str, Any]) -> dict[str, Any]:
        """SNS's message with the Delivery event of a line of the accept log."""
        event = {
            "eventType": "Delivery",
            "mail": {
                "timestamp": line["time"],
                "messageId": line["message_id"],
                "destination": [line["to"]],
                "tags": {name: [value] for name, value in line["tags"].items()},
            },
            "delivery": {"timestamp": line["time"], "recipients": [line["to"]]},
        }
        return self._signer.notification(
            event, version="2", TopicArn=TOPIC, SigningCertURL=self._certificate
        )
