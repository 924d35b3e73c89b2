"""SES's events by SNS → SQS (moto's SQS, signatures by a key of our own)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from app.adapters.aws.sqs.queue import SqsQueue
from app.errors import DatabaseUnavailable, Unavailable
from app.ports import Waiting
from app.queues import takes_events
from app.services.queues.hands import Hands
from tests.queues.inbox import SIGNER, Inbox
from tests.support.engagement import told
from tests.support.sns import TOPIC_ARN, SnsSigner
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("sqs")


@pytest.mark.short
async def test_what_came_while_the_service_was_down_takes_effect_once(inbox: Inbox) -> None:
    """Batch by batch, with copies: SNS and SQS deliver at least once."""
    mails = [await inbox.mail(f"reader{number}@example.com") for number in range(45)]
    messages = [SIGNER.notification(told(mail, "Delivery")) for mail in mails]
    inbox.put(*messages, *messages[:15])
    await inbox.drain()
    assert await inbox.events() == 45
    assert inbox.server.count(inbox.url) == {"waiting": 0, "in_hand": 0}
    delivered = "select count(*) from send_logs where status = 'delivered'"
    assert await inbox.arrange.one(delivered) == 45
    assert inbox.buried() == {}


async def test_only_genuine_messages_of_our_topics_are_believed(inbox: Inbox) -> None:
    """The queue's policy may let others write."""
    mail = await inbox.mail("reader@example.com")
    event = told(mail, "Delivery")
    genuine = SIGNER.notification(event)
    inbox.put(
        {**genuine, "Message": json.dumps(told(mail, "Open"))},
        SIGNER.notification(event, TopicArn=f"{TOPIC_ARN}-other"),
        event,  # raw message delivery
        "no JSON",
        SIGNER.notification("no event"),
        " " * 300_001,
    )
    await inbox.drain()
    assert await inbox.events() == 0
    reasons = inbox.buried()
    assert reasons.keys() == {
        "bad_signature",
        "forbidden_source",
        "raw_message_delivery",
        "malformed_sns_message",
        "malformed_event",
        "payload_too_large",
    }
    assert "RawMessageDelivery = false" in reasons["raw_message_delivery"]


async def test_a_batch_ends_as_each_of_its_messages_would(inbox: Inbox) -> None:
    """What is read and committed together, beside one after the other: whatever is among it, each
    has its own end, and a copy in the same batch counts once."""
    mails = [await inbox.mail(f"reader{number}@example.com") for number in range(3)]
    events = [told(mail, "Delivery") for mail in mails]
    good = [SIGNER.notification(event) for event in events]
    texts = [
        good[0], good[0], {**good[1], "Signature": "AAAA"}, good[1], events[1], "no JSON", "",
        SIGNER.notification("no event"), SIGNER.notification("{}", Timestamp="today"),
        SIGNER.notification("Successfully validated SNS topic"),
        SIGNER.confirmation(kind="UnsubscribeConfirmation"), SnsSigner().notification(events[2]),
        SIGNER.notification(events[2], TopicArn=f"{TOPIC_ARN}-other"), " " * 300_001,
        SIGNER.notification({**events[2], "more": "x" * 250_000}), good[0], "[" * 3_000, "\udcff",
    ]  # fmt: skip
    now = datetime.now(UTC)
    bodies = [
        (text if isinstance(text, str) else json.dumps(text)).encode(errors="surrogatepass")
        for text in texts
    ]
    batch = [Waiting(body, str(n), now, None) for n, body in enumerate(bodies)]

    async def alone(waiting: Waiting) -> BaseException | None:
        try:
            await inbox.taker.take(waiting)
        except Exception as exc:  # noqa: BLE001  whatever it is
            return exc
        return None

    def counted() -> dict[Any, float]:
        return {
            name: value
            for name, value in inbox.metrics.totals().items()
            if name[0]
            in ("amazonsender_sns_messages_refused_total", "amazonsender_ses_events_total")
        }

    ways: list[Any] = []
    for certificate_is_known in (False, True):
        before = counted()
        if certificate_is_known:
            await inbox.arrange.sql.execute("delete from ses_events")
            ends = [await alone(waiting) for waiting in batch]
        else:
            ends = await inbox.taker.take_all(batch)
        ways.append([(type(end), str(end)) for end in ends])
        assert await inbox.events() == 3
        assert [end is None for end in ends].count(True) == 7
        ways.append({name: value - before[name] for name, value in counted().items()})
    again = await inbox.taker.take_all(batch)
    assert ways[0] == ways[2] == [(type(end), str(end)) for end in again]
    assert ways[1] == ways[3]
    assert await inbox.events() == 3


async def test_a_certificate_may_end_while_a_message_waits(inbox: Inbox) -> None:
    """Judged by when SQS took the message. One that had ended before is refused."""
    now = datetime.now(UTC)
    ended = SnsSigner(valid_from=now - timedelta(days=9), valid_until=now - timedelta(days=1))
    inbox.signer = ended
    answer = httpx.MockTransport(lambda _: httpx.Response(200, content=ended.certificate_pem))
    async with httpx.AsyncClient(transport=answer) as http:
        taker = takes_events(inbox.store, inbox.settings, inbox.metrics, http)(inbox.hands)
        inbox.put(ended.notification(told(await inbox.mail("a@example.com"))))
        [waiting] = await inbox.hands.queue.take(1)
        with pytest.raises(Exception, match="certificate is not valid"):
            await taker.take(waiting)
        old = type(waiting)(waiting.body, waiting.id, now - timedelta(days=5), waiting.handle)
        await taker.take(old)
    assert await inbox.events() == 1


async def test_while_the_database_is_away_nothing_is_lost_or_buried(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply, is_away = inbox.store.apply_ses_events, True

    async def away(*arguments: Any) -> Any:
        if is_away:
            raise DatabaseUnavailable("The database is away.")
        return await apply(*arguments)

    monkeypatch.setattr(inbox.store, "apply_ses_events", away)
    mails = [await inbox.mail(f"reader{number}@example.com") for number in range(20)]
    inbox.put(*(SIGNER.notification(told(mail, "Delivery")) for mail in mails))
    with pytest.raises(Unavailable, match="Messages wait: The database is away"):  # noqa: PT012
        while True:
            await inbox.taker.step()
    before = inbox.server.count(inbox.url)
    with pytest.raises(Unavailable, match="Messages wait"):
        await inbox.taker.step()
    assert inbox.server.count(inbox.url) == before, "no more are taken meanwhile"
    is_away = False
    while await inbox.events() < 20:
        await inbox.patient_step()
    assert inbox.buried() == {}
    assert await inbox.events() == 20


async def test_a_stop_waits_for_no_call_that_only_waits(inbox: Inbox) -> None:
    """A call for messages takes up to 20 s; what it still brings is given back."""
    queue = SqsQueue(inbox.settings, inbox.url, name="ses_events", threads=4, wait_seconds=3)
    taker = takes_events(inbox.store, inbox.settings, inbox.metrics, inbox.http)(
        Hands(queue, inbox.metrics)
    )
    await taker.step()  # gives up looking after a second; the call goes on
    assert len(taker._busy) == 1
    taker.stop()
    await taker.close(60)
    assert not [task for task in taker._busy if not task.cancelled()]
    inbox.put("late")

    async def seen() -> dict[str, int]:
        return await asyncio.to_thread(inbox.server.count, inbox.url)

    await eventually(seen, until=lambda count: count == {"waiting": 1, "in_hand": 0})


@contextmanager
def suppress_waiting() -> Iterator[None]:
    """A step may look while the message in hand is known to wait, and not yet given back."""
    try:
        yield
    except Unavailable as away:
        if not str(away).startswith("Messages wait"):
            raise


async def test_it_goes_on_after_database_and_queue_were_both_away(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was in hand is lost to us then, and comes again."""
    queue, apply, is_away = inbox.hands.queue, inbox.store.apply_ses_events, True

    async def away(*arguments: Any) -> Any:
        if is_away:
            raise DatabaseUnavailable("The database is away.")
        return await apply(*arguments)

    async def keep(messages: Any, _: float) -> None:
        await queue.give_back(messages)  # as after its time in hand
        raise Unavailable("SQS is away.")

    monkeypatch.setattr(inbox.store, "apply_ses_events", away)
    mail = await inbox.mail("reader@example.com")
    inbox.put(SIGNER.notification(told(mail, "Delivery")))
    with monkeypatch.context() as patch:
        patch.setattr(queue, "keep", keep)
        with pytest.raises(Unavailable, match="SQS is away"):  # noqa: PT012
            while True:
                with suppress_waiting():
                    await inbox.drain()
    assert inbox.hands.trouble is None
    is_away = False
    await inbox.drain()
    assert await inbox.events() == 1


async def test_a_commit_whose_deletion_is_lost_counts_once(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = inbox.hands.queue
    done = queue.done
    deaths = [1]

    async def dying(messages: Any) -> None:
        if deaths.pop() if deaths else 0:
            await queue.give_back(messages)
            raise Unavailable("The process died.")
        await done(messages)

    monkeypatch.setattr(queue, "done", dying)
    mail = await inbox.mail("reader@example.com")
    inbox.put(SIGNER.notification(told(mail, "Delivery")))
    with pytest.raises(Unavailable, match="died"):
        await inbox.drain()
    await inbox.drain()
    assert await inbox.events() == 1
    assert inbox.server.count(inbox.url) == {"waiting": 0, "in_hand": 0}


async def test_more_calls_are_made_while_they_bring_full_batches(inbox: Inbox) -> None:
    taken: list[int] = []
    queue = inbox.hands.queue
    most = 0

    class Full:
        name, hold_seconds = "ses_events", 60.0

        async def take(self, _: int) -> list[Any]:
            nonlocal most
            most = max(most, len(inbox.taker._busy))
            await asyncio.sleep(0)
            taken.append(1)
            return [] if len(taken) > 60 else [object()] * 10

        async def close(self) -> None:
            await queue.close()

    inbox.taker._queue = Full()  # type: ignore[assignment]

    async def settle(messages: Any, do: Any) -> None:
        await asyncio.sleep(0)

    inbox.hands.settle_all = settle  # type: ignore[method-assign]
    while len(taken) < 200:
        await inbox.taker.step()
    assert most == 16
    assert inbox.taker._receivers == 1, "an idle queue costs one call in 20 seconds"


async def test_a_subscription_from_another_account_is_confirmed(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirmed = []

    async def confirm(self: Any, message: Any) -> str:
        confirmed.append(message.topic_arn)
        return "arn"

    monkeypatch.setattr("app.adapters.aws.sns.SnsConfirmer.confirm", confirm)
    inbox.put(SIGNER.confirmation())
    await inbox.drain()
    assert confirmed == [TOPIC_ARN]


async def test_a_poisonous_event_takes_no_other_with_it(
    inbox: Inbox, sql: psycopg.AsyncConnection[Any]
) -> None:
    mails = [await inbox.mail(f"reader{number}@example.com") for number in range(9)]
    odd = told(mails[0], "Delivery")
    odd["delivery"]["smtpResponse"] = "250 \u0000 ok"
    inbox.put(*(SIGNER.notification(told(mail, "Delivery")) for mail in mails[1:]))
    inbox.put(SIGNER.notification(odd))
    await inbox.drain()
    assert await inbox.events() == 9
