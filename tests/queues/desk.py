"""A process that takes messages out of a queue, its queue, and a producer."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import DeliveryError

from app.adapters.aws.sqs.queue import SqsQueue
from app.adapters.rabbitmq.queue import RabbitQueue, dead_letters_of
from app.ports import MessageQueue
from app.queues import take_requests
from app.services.queues.hands import Hands
from app.services.queues.requests import AT_ONCE, TakeRequests
from app.store import Store
from app.telemetry.metrics import Metrics
from tests.support.factories import Arrange
from tests.support.rabbitmq import Rabbit
from tests.support.service import settings_for
from tests.support.sqs import SqsServer
from tests.support.sqs import dead_letters_of as sqs_dead_letters_of
from tests.support.waiting import eventually


@dataclass(frozen=True)
class DeadLetter:
    body: bytes
    code: str
    reason: str


class Desk:
    """What both kinds of queue share."""

    queue: MessageQueue
    taker: TakeRequests
    hands: Hands

    def __init__(self, dsn: str, store: Store, arrange: Arrange, **settings: str | None) -> None:
        self.store, self.arrange = store, arrange
        self.settings = settings_for(dsn, "http://127.0.0.1:9", **settings)
        self.metrics = Metrics()

    def open(self, queue: MessageQueue) -> None:
        """Take from this queue, with pauses that a test can wait for."""
        self.queue = queue
        self.hands = Hands(queue, self.metrics, pause_cap=0.02)
        self.taker = take_requests(self.store, self.settings, self.hands)

    async def requests(self) -> int:
        """Requests that were accepted."""
        found: int = await self.arrange.one("select count(*) from send_requests")
        return found

    def fates(self, queue: str) -> dict[str, float]:
        totals = self.metrics.totals()
        name = "amazonsender_queue_messages_total"
        return {fate: totals[name, (queue, fate)] for fate in ("done", "buried", "back")}


class RabbitDesk(Desk):
    """An async context manager: a queue of the test's own, in the session's broker."""

    def __init__(
        self, dsn: str, store: Store, arrange: Arrange, rabbit: Rabbit, **settings: str | None
    ) -> None:
        self.rabbit = rabbit
        self.name = f"q{uuid.uuid4().hex}"
        own = {"RABBITMQ_URL": rabbit.url(), "RABBITMQ_QUEUE": self.name}
        super().__init__(dsn, store, arrange, **{**own, **settings})

    async def __aenter__(self) -> Self:
        self.open(self.link())
        await self.connect()
        return self

    async def connect(self) -> None:
        """The producer's own connection."""
        self._producer = await aio_pika.connect(self.rabbit.url())
        self.channel: AbstractChannel = await self._producer.channel()

    async def __aexit__(self, *_: object) -> None:
        self.taker.stop()
        await self.taker.close(1.0)
        if self._producer.is_closed:
            await self.connect()
        for queue in (self.name, dead_letters_of(self.name)):
            await self.channel.queue_delete(queue)
        await self._producer.close()

    def link(self, *, port: int | None = None, look_seconds: float = 0.1) -> RabbitQueue:
        url = self.settings.rabbitmq_url
        assert url is not None
        if port is not None:
            url = type(url)(self.rabbit.url(port=port))
        return RabbitQueue(url, self.name, at_once=AT_ONCE, look_seconds=look_seconds)

    async def made(self) -> None:
        """The queue is there."""
        await self.taker.step()

    async def put(self, body: Any, **properties: Any) -> None:
        """Confirmed by the broker. body: bytes, or what is written as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        message = aio_pika.Message(content, delivery_mode=2, **properties)

        async def is_taken() -> bool:
            try:
                await self.channel.default_exchange.publish(message, self.name)
            except DeliveryError:  # a broker that has just started refuses: the queue isn't up yet
                return False
            return True

        await eventually(is_taken, until=bool)

    async def count(self, queue: str | None = None) -> int:
        """Messages that wait in the queue, those in hand aside."""
        channel = await self._producer.channel()
        try:
            found = await channel.declare_queue(queue or self.name, passive=True)
            return found.declaration_result.message_count or 0
        finally:
            await channel.close()

    async def count_or_none(self) -> int | None:
        """None: there is no queue."""
        try:
            return await self.count()
        except aio_pika.exceptions.ChannelNotFoundEntity:
            return None

    async def dead_letters(self) -> list[DeadLetter]:
        """Those that were buried, which are taken out."""
        queue = await self.channel.get_queue(dead_letters_of(self.name))
        found = []
        while message := await queue.get(fail=False, no_ack=True):
            found.append(_dead_letter(message))
        return found

    async def drain(self) -> None:
        """Take steps until nothing waits and nothing is in hand."""
        async with asyncio.timeout(60):
            while True:
                await self.taker.step()
                busy = self.taker._in_hand
                if busy:
                    await asyncio.wait(busy)
                elif not await self.count():
                    return


def _dead_letter(message: AbstractIncomingMessage) -> DeadLetter:
    headers = message.headers
    return DeadLetter(
        message.body,
        str(headers.get("x-amazonsender-code")),
        str(headers.get("x-amazonsender-reason")),
    )


class SqsDesk(Desk):
    """An async context manager: a queue of the test's own."""

    def __init__(
        self, dsn: str, store: Store, arrange: Arrange, server: SqsServer, **settings: str | None
    ) -> None:
        self.server = server
        self.url = server.queue()
        own = {"SQS_QUEUE_URL": self.url, "AWS_ENDPOINT_URL_SQS": server.url}
        super().__init__(dsn, store, arrange, **{**own, **settings})

    async def __aenter__(self) -> Self:
        self.open(self.link())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.taker.stop()
        await self.taker.close(1.0)

    def link(self, url: str | None = None, **options: Any) -> SqsQueue:
        chosen: dict[str, Any] = {"wait_seconds": 0, "threads": 2 + AT_ONCE, **options}
        return SqsQueue(self.settings, url or self.url, name="sqs", **chosen)

    def put(self, body: Any, **more: Any) -> str:
        """Gives the message's id."""
        text = body if isinstance(body, str) else json.dumps(body)
        sent = self.server.client.send_message(QueueUrl=self.url, MessageBody=text, **more)
        return sent["MessageId"]

    def dead_letters(self) -> list[DeadLetter]:
        found = self.server.read(sqs_dead_letters_of(self.url))
        return [
            DeadLetter(
                each["Body"].encode(),
                each["MessageAttributes"]["amazonsender-code"]["StringValue"],
                each["MessageAttributes"]["amazonsender-reason"]["StringValue"],
            )
            for each in found
        ]

    async def drain(self) -> None:
        """Take steps until nothing waits and nothing is in hand."""
        async with asyncio.timeout(60):
            while True:
                await self.taker.step()
                if self.taker._in_hand:
                    await asyncio.wait(self.taker._in_hand)
                elif not self.server.count(self.url)["waiting"]:
                    return


def a_request(mailout: UUID, key: str | None = "one", **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"mailout_id": str(mailout), **more}
    return body if key is None else {**body, "idempotency_key": key}
