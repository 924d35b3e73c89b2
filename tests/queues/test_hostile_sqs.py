"""SQS with producers that mean harm, and dead-letter queues that don't do."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from app.queues import takes_events
from app.store import Store
from tests.queues.desk import SqsDesk, a_request
from tests.queues.inbox import SIGNER, Inbox
from tests.support.engagement import told
from tests.support.sqs import ACCOUNT, REGION, dead_letters_of

pytestmark = pytest.mark.xdist_group("sqs")


def limit(sqs: SqsDesk, most: int) -> None:
    """Of the dead-letter queue, in bytes."""
    attributes: Any = {"MaximumMessageSize": str(most)}
    sqs.server.client.set_queue_attributes(QueueUrl=dead_letters_of(sqs.url), Attributes=attributes)


class Narrow:
    """A client for SQS that counts a message's attributes to its size, as SQS does and moto not
    (SQS developer guide, "Amazon SQS message quotas")."""

    def __init__(self, client: Any, most: int) -> None:
        self._client, self._most = client, most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def send_message(self, **given: Any) -> Any:
        size = len(given["MessageBody"].encode()) + sum(
            len(name) + len(value["DataType"]) + len(value["StringValue"])
            for name, value in given["MessageAttributes"].items()
        )
        if size > self._most:
            given["MessageBody"] = "x" * (self._most + 1)  # SQS says why itself
        return self._client.send_message(**given)


async def test_a_message_as_large_as_can_be_is_buried_without_the_reason(sqs: SqsDesk) -> None:
    """Beside it the reason has no room. One that doesn't fit at all stays, and the others go on."""
    limit(sqs, 2048)
    queue: Any = sqs.queue
    queue._made = Narrow(queue._client(), 2048)
    for size in (3000, 2048, 100):
        sqs.put("x" * size)
    await sqs.drain()
    found = sqs.server.read(dead_letters_of(sqs.url))
    assert sorted(len(each["Body"]) for each in found) == [100, 2048]
    assert [bool(each.get("MessageAttributes")) for each in found if len(each["Body"]) == 100] == [
        True
    ]
    assert sqs.server.count(sqs.url) == {"waiting": 0, "in_hand": 1}


async def test_dead_letters_that_are_deleted_and_made_anew_are_found(sqs: SqsDesk) -> None:
    """Meanwhile what is refused stays, and nothing else waits for it."""
    sqs.put("first")
    await sqs.drain()
    sqs.server.client.delete_queue(QueueUrl=dead_letters_of(sqs.url))
    sqs.put("second")
    await sqs.drain()
    assert sqs.server.count(sqs.url) == {"waiting": 0, "in_hand": 1}
    other = sqs.server.client.create_queue(QueueName="other-dead")["QueueUrl"]
    policy = {
        "deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:other-dead",
        "maxReceiveCount": "5",
    }
    sqs.server.client.set_queue_attributes(
        QueueUrl=sqs.url, Attributes={"RedrivePolicy": json.dumps(policy)}
    )
    sqs.put("third")
    await sqs.drain()
    assert [each["Body"] for each in sqs.server.read(other)] == ["third"]


@pytest.mark.short
async def test_a_message_that_is_handed_out_again_while_it_is_committed_counts_once(
    sqs: SqsDesk,
) -> None:
    """Its time in hand was over, for whatever reason: two hold it, and both tell SQS."""
    await sqs.arrange.subscribers(2)
    mailout = await sqs.arrange.mailout()
    queue: Any = sqs.queue
    queue._in_hand_seconds = 0
    sqs.put(a_request(mailout))
    held = [*await queue.take(1), *await queue.take(1)]
    assert len({message.id for message in held}) == 1
    await asyncio.gather(*(sqs.hands.settle([message], sqs.taker.take) for message in held))
    assert (await sqs.store.show_mailout(mailout))["recipients"] == 2
    assert await sqs.requests() == 1
    assert sqs.server.count(sqs.url) == {"waiting": 0, "in_hand": 0}
    assert sqs.dead_letters() == []


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("answer", [404, 403, 200])
async def test_an_invented_certificate_holds_up_no_other_event(inbox: Inbox, answer: int) -> None:
    """The queue's policy may let a stranger write, who names a certificate that SNS doesn't have.
    200: something else is there."""
    path = "SimpleNotificationService-1nvented.pem"

    def sns(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(path):
            return httpx.Response(answer, content=b"no certificate")
        return httpx.Response(200, content=SIGNER.certificate_pem)

    async with httpx.AsyncClient(transport=httpx.MockTransport(sns)) as http:
        make = takes_events(inbox.store, inbox.settings, inbox.metrics, http)
        inbox.taker = make(inbox.hands)
        genuine = [
            SIGNER.notification(told(await inbox.mail(f"r{number}@example.com")))
            for number in range(3)
        ]
        invented = f"https://sns.eu-central-1.amazonaws.com/{path}"
        forged = [SIGNER.notification("{}", SigningCertURL=invented) for _ in range(3)]
        inbox.put(*forged, *genuine)
        await inbox.drain()
    assert await inbox.events() == 3
    assert inbox.hands.trouble is None
    assert inbox.server.count(inbox.url) == {"waiting": 0, "in_hand": 3}, "tried again later"


async def test_a_certificate_that_cant_be_had_now_is_waited_for(inbox: Inbox) -> None:
    """SNS is away: so all wait, and the queue counts nothing."""
    answers = [503, 429, 200]

    def sns(_: httpx.Request) -> httpx.Response:
        return httpx.Response(answers.pop(0), content=SIGNER.certificate_pem)

    async with httpx.AsyncClient(transport=httpx.MockTransport(sns)) as http:
        make = takes_events(inbox.store, inbox.settings, inbox.metrics, http)
        inbox.taker = make(inbox.hands)
        inbox.put(SIGNER.notification(told(await inbox.mail("reader@example.com"))))
        while await inbox.events() == 0:
            await inbox.patient_step()
    assert answers == []
    assert inbox.metrics.totals()["amazonsender_queue_messages_total", ("ses_events", "back")] == 0


async def test_a_subscription_that_may_not_be_confirmed_holds_up_no_event(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a topic in another account, say, without the permission sns:ConfirmSubscription."""
    from app.adapters.aws.sns import SubscriptionNotConfirmed

    async def confirm(*_: Any) -> str:
        raise SubscriptionNotConfirmed("SNS answered AuthorizationError.")

    monkeypatch.setattr("app.adapters.aws.sns.SnsConfirmer.confirm", confirm)
    inbox.put(SIGNER.confirmation())
    inbox.put(SIGNER.notification(told(await inbox.mail("reader@example.com"))))
    await inbox.drain()
    assert await inbox.events() == 1
    assert inbox.hands.trouble is None


async def test_an_event_that_comes_from_two_regions_queues_counts_once(
    inbox: Inbox, direct_store: Store
) -> None:
    """And each of several queues says which one it is."""
    from app.queues import events_queues

    other = inbox.server.queue()
    both = inbox.settings.model_copy(update={"ses_events_queue_url": (inbox.url, other)})
    queues = events_queues(both)
    assert [queue.name.split("/")[-1] for queue in queues] == [
        inbox.url.split("/")[-1],
        other.split("/")[-1],
    ]
    for queue in queues:
        await queue.close()
    message = SIGNER.notification(told(await inbox.mail("reader@example.com")))
    inbox.put(message)
    inbox.put(message, queue=other)
    await inbox.drain()
    inbox.open(other)
    await inbox.drain()
    assert await inbox.events() == 1
