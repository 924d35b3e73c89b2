"""A queue that SNS writes into, and who reads it."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any, Self

import httpx

from app.adapters.aws.sqs.queue import SqsQueue
from app.errors import Unavailable
from app.queues import takes_events
from app.services.queues.hands import Hands
from app.store import Store
from app.telemetry.metrics import Metrics
from tests.support.engagement import Mailed, mailed
from tests.support.factories import Arrange
from tests.support.service import settings_for
from tests.support.sns import TOPIC_ARN, SnsSigner
from tests.support.sqs import SqsServer, dead_letters_of

SIGNER = SnsSigner()


class Inbox:
    """An async context manager: a queue that SNS writes into, and who reads it."""

    def __init__(
        self, dsn: str, store: Store, arrange: Arrange, server: SqsServer, signer: SnsSigner
    ) -> None:
        self.store, self.arrange, self.server = store, arrange, server
        self.url = server.queue()
        self.signer = signer
        self.settings = settings_for(
            dsn,
            None,
            SES_EVENTS_QUEUE_URL=self.url,
            AWS_ENDPOINT_URL_SQS=server.url,
            SNS_ALLOWED_TOPIC_ARNS=TOPIC_ARN,
        )
        self.metrics = Metrics()
        answer = httpx.MockTransport(lambda _: httpx.Response(200, content=signer.certificate_pem))
        self.http = httpx.AsyncClient(transport=answer)

    async def __aenter__(self) -> Self:
        self.open()
        return self

    def open(self, url: str | None = None) -> None:
        queue = SqsQueue(
            self.settings, url or self.url, name="ses_events", threads=8, wait_seconds=0
        )
        self.hands = Hands(queue, self.metrics, pause_cap=0.02)
        self.taker = takes_events(self.store, self.settings, self.metrics, self.http)(self.hands)

    async def __aexit__(self, *_: object) -> None:
        self.taker.stop()
        await self.taker.close(1.0)
        await self.http.aclose()

    async def mail(self, email: str) -> Mailed:
        """That SES took, of a mailout of its own."""
        return await mailed(self.arrange, await self.arrange.mailout("sent"), email)

    def put(self, *bodies: Any, queue: str | None = None) -> None:
        """As they are, or as JSON."""
        texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
        for first in range(0, len(texts), 10):
            self.server.client.send_message_batch(
                QueueUrl=queue or self.url,
                Entries=[
                    {"Id": str(number), "MessageBody": text}
                    for number, text in enumerate(texts[first : first + 10])
                ],
            )

    async def patient_step(self) -> None:
        """That something is waited for is no failure."""
        with suppress(Unavailable):
            await self.taker.step()

    async def drain(self) -> None:
        """Take steps until nothing waits and nothing is in hand."""
        async with asyncio.timeout(60):
            while True:
                await self.taker.step()
                if self.taker._busy:
                    await asyncio.wait(self.taker._busy)
                counts = self.server.count(self.url)
                if not self.taker._busy and not counts["waiting"]:
                    return

    async def events(self) -> int:
        found: int = await self.arrange.one("select count(*) from ses_events")
        return found

    def buried(self) -> dict[str, str]:
        """Reasons by code."""
        return {
            each["MessageAttributes"]["amazonsender-code"]["StringValue"]: each[
                "MessageAttributes"
            ]["amazonsender-reason"]["StringValue"]
            for each in self.server.read(dead_letters_of(self.url))
        }
