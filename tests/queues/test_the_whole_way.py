"""The running program: asked by queues, told by a queue, killed and stopped in between."""

from __future__ import annotations

import asyncio
import json
import signal
import uuid
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import aio_pika
import pytest

from tests.queues.desk import a_request
from tests.support.factories import Arrange
from tests.support.local_server import LocalServer, Reply
from tests.support.rabbitmq import Rabbit
from tests.support.service import process
from tests.support.sqs import SqsServer
from tests.support.waiting import eventually, within
from tests.support.world import World, run_world

pytestmark = pytest.mark.xdist_group("rabbitmq")


class SnsToSqs(LocalServer):
    """What SNS does with a subscription of the protocol SQS: puts its messages into a queue."""

    def __init__(self, server: SqsServer, queue: str) -> None:
        self._sqs, self._queue = server, queue

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        self._sqs.client.send_message(QueueUrl=self._queue, MessageBody=body.decode())
        return Reply()


async def put(rabbit: Rabbit, queue: str, *requests: dict[str, Any]) -> None:
    connection = await aio_pika.connect(rabbit.url())
    async with connection:
        channel = await connection.channel()
        await channel.get_queue(queue)  # there, since the service makes it
        for request in requests:
            message = aio_pika.Message(json.dumps(request).encode(), delivery_mode=2)
            await channel.default_exchange.publish(message, queue)


async def status(world: World, mailout: UUID) -> str:
    found: str = (await world.show(mailout))["status"]
    return found


async def queues_are_well(world: World) -> bool:
    checks: dict[str, Any] = (await world.http.get("/health")).json()["checks"]
    return bool(checks["queues"] == {"status": "ok"})


@pytest.mark.short
async def test_from_a_request_in_a_queue_to_the_delivery_told_by_one(
    dsn: str, arrange: Arrange, tmp_path: Path, rabbit: Rabbit, sqs_server: SqsServer
) -> None:
    """Nothing is posted to the service. It ends at once although a call waits for 20 s, and its log
    has no password."""
    await arrange.subscribers(5)
    name, requests, events = f"q{uuid.uuid4().hex}", sqs_server.queue(), sqs_server.queue()
    with SnsToSqs(sqs_server, events) as topic:
        async with run_world(
            dsn,
            tmp_path,
            sandbox={"event_endpoint": f"{topic.url}/queue"},
            RABBITMQ_URL=rabbit.url(),
            RABBITMQ_QUEUE=name,
            SQS_QUEUE_URL=requests,
            SES_EVENTS_QUEUE_URL=events,
            AWS_ENDPOINT_URL_SQS=sqs_server.url,
        ) as world:
            first, second = await arrange.mailout(), await arrange.mailout()
            await eventually(lambda: queues_are_well(world), until=bool)
            await eventually(
                lambda: asyncio.to_thread(lambda: world.service.log),
                until=lambda log: "queue_connected" in log,
            )
            await put(rabbit, name, a_request(first, "first"), a_request(first, "first"))
            body = json.dumps(a_request(second, "second"))
            await asyncio.to_thread(
                sqs_server.client.send_message, QueueUrl=requests, MessageBody=body
            )

            async def delivered() -> int:
                found: int = await arrange.one(
                    "select count(*) from send_logs where status = 'delivered'"
                )
                return found

            await eventually(delivered, until=lambda count: count == 10)
            assert {await status(world, first), await status(world, second)} == {"sent"}
            assert len(world.sandbox.mails()) == 10
            metrics = (await world.http.get("/metrics")).text
            name_of = "amazonsender_queue_messages_total"
            assert f'{name_of}{{fate="done",queue="rabbitmq"}} 2.0' in metrics
            assert f'{name_of}{{fate="done",queue="sqs"}} 1.0' in metrics
            allowed = within(9.0)
            assert await asyncio.to_thread(world.service.stop) < allowed
            assert "p4ss" not in world.service.log


@pytest.mark.short
async def test_killed_again_and_again_each_mailout_is_sent_once(
    dsn: str, arrange: Arrange, tmp_path: Path, rabbit: Rabbit
) -> None:
    await arrange.subscribers(3)
    name = f"q{uuid.uuid4().hex}"
    mailouts = [await arrange.mailout() for _ in range(40)]
    async with run_world(
        dsn, tmp_path, RABBITMQ_URL=rabbit.url(), RABBITMQ_QUEUE=name, LEASE_SECONDS="2"
    ) as world:
        await eventually(
            lambda: asyncio.to_thread(lambda: world.service.log),
            until=lambda log: "queue_connected" in log,
        )
        await put(
            rabbit, name, *(a_request(m, f"k{n}") for n, m in enumerate(mailouts) for _ in "12")
        )
        running = world.service
        for kill in range(4):

            async def started(enough: int = 8 * (kill + 1)) -> bool:
                count: int = await arrange.one(
                    "select count(*) from mailouts where status <> 'ready'"
                )
                return count >= enough

            await eventually(started, until=bool)
            running.signal(signal.SIGKILL)
            running.kill()
            again = process(tmp_path, world.variables, "serve")
            running = again.__enter__()
        try:

            async def ended() -> int:
                count: int = await arrange.one(
                    "select count(*) from mailouts where status = 'sent'"
                )
                return count

            await eventually(ended, until=lambda count: count == 40, seconds=90)
            mails = Counter(
                (line["tags"]["mailout_id"], line["to"]) for line in world.sandbox.accepted()
            )
            assert max(mails.values()) == 1
            unknown = await arrange.one("select count(*) from send_logs where status = 'unknown'")
            assert len(mails) >= 120 - unknown
            assert await arrange.one("select count(*) from send_logs") == 120
            assert await arrange.one("select count(*) from send_requests") == 40
        finally:
            running.kill()
