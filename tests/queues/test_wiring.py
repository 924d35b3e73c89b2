"""All queues that are set, as a process that does the work takes from them."""

from __future__ import annotations

import json

import pytest

from app.queues import queue_work
from app.running.loops import Loops
from app.store import Store
from app.telemetry.metrics import Metrics
from tests.queues.desk import a_request
from tests.support.factories import Arrange
from tests.support.service import settings_for
from tests.support.sqs import SqsServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("sqs")


async def test_every_queue_that_is_set_is_taken_from_and_named_when_it_is_away(
    dsn: str, direct_store: Store, arrange: Arrange, sqs_server: SqsServer
) -> None:
    """One of two queues of events isn't there: /health says which, and the others go on."""
    await arrange.subscribers(1)
    mailout = await arrange.mailout()
    requests, events, gone = sqs_server.queue(), sqs_server.queue(), sqs_server.queue()
    sqs_server.client.delete_queue(QueueUrl=gone)
    settings = settings_for(
        dsn,
        "http://127.0.0.1:9",
        RABBITMQ_URL="amqp://user:s3cret-pass@127.0.0.1:9/",
        SQS_QUEUE_URL=requests,
        SES_EVENTS_QUEUE_URL=f"{events},{gone}",
        AWS_ENDPOINT_URL_SQS=sqs_server.url,
    )
    sqs_server.client.send_message(QueueUrl=requests, MessageBody=json.dumps(a_request(mailout)))
    sqs_server.client.send_message(QueueUrl=events, MessageBody="no JSON")
    metrics = Metrics()

    async def seen() -> dict[str, float]:
        totals, name = metrics.totals(), "amazonsender_queue_messages_total"
        return {
            "sqs": totals[name, ("sqs", "done")],
            "ses_events": totals[name, ("ses_events", "buried")],
        }

    async with queue_work(direct_store, settings, metrics) as work, Loops() as loops:
        work.start(loops)
        await eventually(seen, until=lambda found: found == {"sqs": 1, "ses_events": 1})

        async def troubles() -> dict[str, str]:
            return {trouble.loop: trouble.detail for trouble in loops.troubles}

        told = await eventually(troubles, until=lambda found: len(found) == 2)
        name = gone.rpartition("/")[2]
        assert "Check RABBITMQ_URL" in told["queue rabbitmq"]
        assert "s3cret" not in str(told)
        [away] = [detail for loop, detail in told.items() if loop.endswith(name)]
        assert f"There is no queue {name} in SQS" in away
        work.stop()
        await loops.close()
        await work.close()
    assert (await direct_store.show_mailout(mailout))["status"] == "sending"
