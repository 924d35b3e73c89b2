"""Requests to send out of SQS (moto's)."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from app.adapters.aws.ses import READ_TIMEOUT
from app.adapters.aws.sqs.queue import IN_HAND_SECONDS, WAIT_SECONDS, SqsQueue
from app.errors import DatabaseUnavailable, QueueAway, Unavailable
from app.ports import Waiting
from app.services.queues.reading import read_request
from tests.queues.desk import SqsDesk, a_request
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("sqs")


async def test_a_message_starts_its_mailout_once_however_often_it_comes(sqs: SqsDesk) -> None:
    await sqs.arrange.subscribers(3)
    mailout = await sqs.arrange.mailout()
    for _ in range(15):
        sqs.put(a_request(mailout))
    await sqs.drain()
    found = await sqs.store.show_mailout(mailout)
    assert (found["status"], found["recipients"]) == ("sending", 3)
    assert await sqs.requests() == 1
    assert sqs.fates("sqs") == {"done": 15, "buried": 0, "back": 0}
    assert sqs.server.count(sqs.url) == {"waiting": 0, "in_hand": 0}
    assert sqs.dead_letters() == []


async def test_without_a_key_the_messages_id_is_one(sqs: SqsDesk) -> None:
    """It stays when SQS hands the message out again."""
    await sqs.arrange.subscribers(1)
    mailout = await sqs.arrange.mailout()
    message = sqs.put(a_request(mailout, None))
    await sqs.drain()
    assert await sqs.arrange.one("select key from send_requests") == f"key:{message}"


async def test_what_can_never_be_done_is_buried_with_the_reason(sqs: SqsDesk) -> None:
    sqs.put("no JSON")
    sqs.put(a_request(uuid4()))
    await sqs.drain()
    letters = {letter.code: letter for letter in sqs.dead_letters()}
    assert letters["invalid_request"].body == b"no JSON"
    assert "must be a JSON object" in letters["invalid_request"].reason
    assert "There is no mailout" in letters["mailout_not_found"].reason
    assert sqs.server.count(sqs.url) == {"waiting": 0, "in_hand": 0}


async def test_a_fifo_queue_has_its_dead_letters_too(sqs: SqsDesk) -> None:
    sqs.url = sqs.server.queue(fifo=True)
    sqs.open(sqs.link())
    sqs.put("no JSON", MessageGroupId="g", MessageDeduplicationId="d")
    await sqs.drain()
    assert [letter.body for letter in sqs.dead_letters()] == [b"no JSON"]


async def test_without_dead_letters_a_message_that_is_refused_stays_for_hours(
    sqs: SqsDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs.url = sqs.server.queue(dead_letters=False)
    sqs.open(sqs.link())
    sqs.put("no JSON")
    await sqs.drain()
    assert sqs.server.count(sqs.url) == {"waiting": 0, "in_hand": 1}
    assert "give the queue a dead-letter queue" in capsys.readouterr().out


class Away(SqsQueue):
    """Dies once between the commit and the deletion; what was in hand is seen again."""

    deaths = 1

    async def done(self, messages: Any) -> None:
        if self.deaths:
            self.deaths -= 1
            await self.give_back(messages)
            raise QueueAway("The process died.")
        await super().done(messages)


async def test_who_dies_before_the_deletion_starts_nothing_twice(sqs: SqsDesk) -> None:
    await sqs.arrange.subscribers(2)
    mailout = await sqs.arrange.mailout()
    sqs.open(Away(sqs.settings, sqs.url, name="sqs", threads=4, wait_seconds=0))
    sqs.put(a_request(mailout, None))
    await sqs.drain()
    assert sqs.fates("sqs") == {"done": 1, "buried": 0, "back": 0}
    assert await sqs.requests() == 1
    assert sqs.dead_letters() == []


async def test_while_the_database_is_away_a_message_stays_in_hand(
    sqs: SqsDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long, it was handed out once: SQS buries what it handed out too often."""
    await sqs.arrange.subscribers(1)
    mailout = await sqs.arrange.mailout()
    tries, take = 0, sqs.taker.take

    async def failing(message: Waiting) -> None:
        nonlocal tries
        tries += 1
        if tries <= 10:
            raise DatabaseUnavailable("The database is away.")
        await take(message)

    async def tried() -> int:
        return tries

    monkeypatch.setattr(sqs.taker, "take", failing)
    sqs.put(a_request(mailout))
    await sqs.taker.step()
    await eventually(tried, until=bool)
    with pytest.raises(Unavailable, match="Messages wait: The database is away"):
        await sqs.taker.step()
    assert sqs.server.count(sqs.url) == {"waiting": 0, "in_hand": 1}
    await asyncio.wait(sqs.taker._in_hand)
    assert tries == 11
    assert sqs.fates("sqs") == {"done": 1, "buried": 0, "back": 0}


async def test_at_a_stop_a_message_that_waits_goes_back_at_once(
    sqs: SqsDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(_: Waiting) -> None:
        raise DatabaseUnavailable("The database is away.")

    monkeypatch.setattr(sqs.taker, "take", failing)
    sqs.put("{}")
    await sqs.taker.step()
    sqs.taker.stop()
    await sqs.taker.close(5)
    assert sqs.server.count(sqs.url) == {"waiting": 1, "in_hand": 0}


async def test_what_comes_for_one_who_has_gone_is_given_back(sqs: SqsDesk) -> None:
    """A call waits for up to 20 s; a process ends meanwhile."""
    queue = sqs.link(wait_seconds=3)
    gone = asyncio.create_task(queue.take(10))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    sqs.put("late")

    async def seen() -> dict[str, int]:
        return await asyncio.to_thread(sqs.server.count, sqs.url)

    await eventually(seen, until=lambda count: count == {"waiting": 1, "in_hand": 0})
    await queue.close()


def test_an_answer_that_gets_lost_is_over_before_others_get_its_messages() -> None:
    assert WAIT_SECONDS < READ_TIMEOUT < IN_HAND_SECONDS


async def test_a_queue_that_isnt_there_is_named_with_the_remedy(sqs: SqsDesk) -> None:
    queue = sqs.link(f"{sqs.url}-gone")
    with pytest.raises(QueueAway, match=r"There is no queue q.*-gone in SQS: make it"):
        await queue.take(1)
    await queue.close()


class Denied:
    """A client that SQS lets do nothing."""

    def __getattr__(self, _: str) -> Any:
        def call(**_: Any) -> Any:
            words = "User: arn:aws:iam::1:user/x is not authorized to perform: sqs:receivemessage"
            error: Any = {"Error": {"Code": "AccessDenied", "Message": words}}
            raise ClientError(error, "ReceiveMessage")

        return call


async def test_a_permission_that_isnt_given_is_named(sqs: SqsDesk) -> None:
    queue = sqs.link()
    queue._made = Denied()  # type: ignore[assignment]
    with pytest.raises(QueueAway, match=r"give the IAM user the permission.*sqs:receivemessage"):
        await queue.take(1)
    await queue.close()


async def test_an_sqs_that_is_away_is_waited_for(sqs: SqsDesk) -> None:
    class Nowhere:
        def receive_message(self, **_: Any) -> Any:
            raise EndpointConnectionError(endpoint_url="https://sqs.example.com")

    queue = sqs.link()
    queue._made = Nowhere()  # type: ignore[assignment]
    with pytest.raises(QueueAway, match="SQS can't be asked"):
        await queue.take(1)
    await queue.close()


@pytest.mark.parametrize("key", [None, "", "\0", "k" * 256, 5, True, ["k"]])
def test_a_message_needs_a_name_by_which_a_copy_is_known(key: Any) -> None:
    body = {"mailout_id": str(UUID(int=1)), "idempotency_key": key}
    with pytest.raises(Exception, match="idempotency_key"):
        read_request(Waiting(orjson.dumps(body), None, None, None))
