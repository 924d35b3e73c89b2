"""Requests to send out of a real RabbitMQ."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any
from uuid import uuid4

import aio_pika
import pytest

from app.adapters.rabbitmq.queue import RabbitQueue, arguments_of, dead_letters_of
from app.errors import DatabaseUnavailable, QueueAway, Unavailable
from app.ports import Waiting
from app.running.loops import Loops
from app.services.queues.reading import MAX_BODY_BYTES
from tests.queues.desk import RabbitDesk, a_request
from tests.queues.road import a_road
from tests.support.rabbitmq import READER, Rabbit
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("rabbitmq")


async def test_a_message_starts_its_mailout_once_however_often_it_comes(desk: RabbitDesk) -> None:
    """Also written anew, with its members in another order."""
    await desk.arrange.subscribers(3)
    mailout = await desk.arrange.mailout()
    await desk.made()
    request = a_request(mailout)
    turned = dict(reversed(request.items()))
    await asyncio.gather(*(desk.put(request if number % 2 else turned) for number in range(40)))
    await desk.drain()
    found = await desk.store.show_mailout(mailout)
    assert (found["status"], found["recipients"]) == ("sending", 3)
    assert await desk.requests() == 1
    assert desk.fates("rabbitmq") == {"done": 40, "buried": 0, "back": 0}
    assert await desk.dead_letters() == []


@pytest.mark.short
async def test_a_test_and_a_dry_run_are_asked_for_as_over_http(desk: RabbitDesk) -> None:
    await desk.arrange.subscribers(2)
    mailout = await desk.arrange.mailout("draft")
    await desk.made()
    for _ in range(3):
        await desk.put(a_request(mailout, "test", test=True))
    await desk.put(a_request(mailout, "rehearsal", dry_run=True))
    await desk.drain()
    assert await desk.arrange.one("select count(*) from mailout_tests") == 1, "once by its key"
    assert await desk.arrange.one("select count(*) from jobs where kind = 'dry_run'") == 1
    assert (await desk.store.show_mailout(mailout))["status"] == "draft"


@pytest.mark.short
async def test_a_row_of_notion_is_asked_for_in_notions_form(desk: RabbitDesk) -> None:
    """The mailout that was made by hand for a page."""
    await desk.arrange.subscribers(1)
    page = uuid4()
    mailout = await desk.arrange.mailout(notion_page_id=page.hex)
    await desk.made()
    for attempt in (1, 2):
        source = {"type": "automation", "event_id": "event-1", "attempt": attempt}
        await desk.put({"source": source, "data": {"object": "page", "id": str(page)}})
    await desk.drain()
    assert (await desk.store.show_mailout(mailout))["status"] == "sending"
    assert desk.fates("rabbitmq")["done"] == 2


REFUSED: list[tuple[Any, str, str]] = [
    (b"\xff\xfe not JSON", "invalid_request", "must be a JSON object"),
    (b"[" * 100_000, "invalid_request", "must be a JSON object"),
    (b"[]", "invalid_request", "must be a JSON object"),
    (b"", "invalid_request", "must be a JSON object"),
    (b" " * (MAX_BODY_BYTES + 1), "invalid_request", "262,145 bytes"),
    ({"mailout_id": "no", "idempotency_key": "k"}, "invalid_request", "mailout_id"),
    ({"mailout_id": str(uuid4()), "idempotency_key": "\0"}, "invalid_request", "idempotency"),
    ({"mailout_id": str(uuid4()), "idempotency_key": 5}, "invalid_request", "idempotency_key"),
    (a_request(uuid4(), sendnow=True), "invalid_request", "sendnow"),
    (a_request(uuid4()), "mailout_not_found", "There is no mailout"),
    (a_request(uuid4(), auth_token="wrong"), "unauthorized", "auth_token"),
    ({"source": {"event_id": "\0"}, "data": {"id": str(uuid4())}}, "invalid_request", "NUL"),
    ({"verification_token": "secret_x"}, "invalid_request", "/notion-events"),
]


async def test_what_can_never_be_done_is_buried_with_the_reason(desk: RabbitDesk) -> None:
    await desk.made()
    for body, _, _ in REFUSED:
        await desk.put(body)
    await desk.drain()
    letters = {letter.body: letter for letter in await desk.dead_letters()}
    assert len(letters) == len(REFUSED)
    for body, code, says in REFUSED:
        letter = letters[body if isinstance(body, bytes) else json.dumps(body).encode()]
        assert letter.code == code
        assert says in letter.reason
    assert await desk.requests() == 0


@pytest.mark.short
async def test_a_refusal_says_how_the_mailout_is_and_the_key_stays_free(desk: RabbitDesk) -> None:
    """Once it is ready, the same message, moved back, starts it."""
    mailout = await desk.arrange.mailout("draft")
    await desk.arrange.subscribers(1)
    await desk.made()
    await desk.put(a_request(mailout))
    await desk.drain()
    [letter] = await desk.dead_letters()
    assert letter.code == "mailout_not_ready"
    assert "Set its status to ready first" in letter.reason
    await desk.arrange.sql.execute("update mailouts set status = 'ready'")
    await desk.put(letter.body)
    await desk.drain()
    assert (await desk.store.show_mailout(mailout))["status"] == "sending"


async def test_a_key_for_something_else_is_refused(desk: RabbitDesk) -> None:
    await desk.arrange.subscribers(1)
    first, second = await desk.arrange.mailout(), await desk.arrange.mailout()
    await desk.made()
    await desk.put(a_request(first))
    await desk.drain()
    await desk.put(a_request(second))
    await desk.drain()
    [letter] = await desk.dead_letters()
    assert letter.code == "idempotency_key_reused"
    assert (await desk.store.show_mailout(second))["status"] == "ready"


@pytest.mark.short
async def test_the_messages_own_id_will_do_as_a_key(desk: RabbitDesk) -> None:
    await desk.arrange.subscribers(1)
    mailout = await desk.arrange.mailout()
    await desk.made()
    for _ in range(2):
        await desk.put(a_request(mailout, None), message_id="from-the-producer")
    await desk.drain()
    assert desk.fates("rabbitmq") == {"done": 2, "buried": 0, "back": 0}


class Away(RabbitQueue):
    """Dies between the commit and the acknowledgement, so often."""

    deaths = 1

    async def done(self, messages: Any) -> None:
        if self.deaths:
            self.deaths -= 1
            await self.close()
            raise QueueAway("The process died.")
        await super().done(messages)


async def test_who_dies_before_the_acknowledgement_starts_nothing_twice(desk: RabbitDesk) -> None:
    await desk.arrange.subscribers(2)
    mailout = await desk.arrange.mailout()
    await desk.made()
    await desk.taker.close(0)
    url = desk.settings.rabbitmq_url
    assert url is not None
    desk.open(Away(url, desk.name, at_once=8, look_seconds=0.1))
    await desk.put(a_request(mailout))
    await desk.drain()
    assert (await desk.store.show_mailout(mailout))["recipients"] == 2
    assert desk.fates("rabbitmq") == {"done": 1, "buried": 0, "back": 0}
    assert await desk.dead_letters() == []


@pytest.mark.short
async def test_while_the_database_is_away_a_message_stays_in_hand(
    desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.arrange.subscribers(1)
    mailout = await desk.arrange.mailout()
    await desk.made()
    tries = 0
    take = desk.taker.take

    async def failing(message: Waiting) -> None:
        nonlocal tries
        tries += 1
        if tries < 30:
            raise DatabaseUnavailable("The database is away.")
        await take(message)

    async def tried() -> int:
        return tries

    monkeypatch.setattr(desk.taker, "take", failing)
    await desk.put(a_request(mailout))
    await desk.taker.step()
    await eventually(tried, until=bool)
    with pytest.raises(Unavailable, match="Messages wait: The database is away"):
        await desk.taker.step()
    await eventually(desk.count, until=lambda count: not count)
    await asyncio.wait(desk.taker._in_hand)
    assert (await desk.store.show_mailout(mailout))["status"] == "sending"
    assert desk.hands.trouble is None
    assert await desk.dead_letters() == []


@pytest.mark.short
async def test_one_that_is_held_for_long_goes_to_the_end_of_the_queue(
    desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a copy, so that the broker never counts it among its crashes, and no channel ends because
    a message wasn't acknowledged for 30 minutes."""
    await desk.arrange.subscribers(1)
    held, other = await desk.arrange.mailout(), await desk.arrange.mailout()
    await desk.made()
    desk.queue.hold_seconds = 0.0  # type: ignore[misc]
    take, away = desk.taker.take, 50

    async def failing(message: Waiting) -> None:
        nonlocal away
        if str(held).encode() in message.body and away:
            away -= 1
            raise DatabaseUnavailable("The database is away.")
        await take(message)

    monkeypatch.setattr(desk.taker, "take", failing)
    await desk.put(a_request(held, "held"))
    await desk.put(a_request(other, "other"))
    async with asyncio.timeout(60):
        while desk.fates("rabbitmq")["done"] < 2:
            with suppress(Unavailable):
                await desk.taker.step()
    assert desk.fates("rabbitmq") == {"done": 2, "buried": 0, "back": 50}
    assert (await desk.store.show_mailout(held))["status"] == "sending"
    assert await desk.dead_letters() == []


@pytest.mark.short
async def test_a_message_at_which_the_program_fails_is_buried_in_the_end(
    desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.made()

    async def broken(_: Waiting) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(desk.taker, "take", broken)
    await desk.put(b"poison")
    await desk.drain()
    [letter] = await desk.dead_letters()
    assert (letter.body, letter.code) == (b"poison", "internal")


@pytest.mark.short
async def test_one_whose_taker_always_dies_is_buried_by_the_broker(desk: RabbitDesk) -> None:
    await desk.made()
    await desk.taker.close(0)
    await desk.put(b"deadly")
    handed_out = 0
    async with asyncio.timeout(60):
        while not await desk.count(dead_letters_of(desk.name)):
            doomed = desk.link()
            handed_out += len(await doomed.take(1))
            await doomed.close()
    assert handed_out == arguments_of(desk.name)["x-delivery-limit"] + 1
    [letter] = await desk.dead_letters()
    assert letter.body == b"deadly"


@pytest.mark.short
async def test_no_more_than_its_share_is_in_hand(
    desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.made()
    let_go, begun = asyncio.Event(), 0

    async def slow(_: Waiting) -> None:
        nonlocal begun
        begun += 1
        await let_go.wait()

    monkeypatch.setattr(desk.taker, "take", slow)
    for _ in range(20):
        await desk.put(b"{}")
    step = asyncio.create_task(desk.drain())
    await eventually(desk.count, until=lambda count: count == 12)
    assert begun == 8, "the rest is there for other processes"
    let_go.set()
    await step
    assert begun == 20


@pytest.mark.short
async def test_at_a_stop_what_is_in_hand_comes_to_its_end_or_back(
    desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.made()
    begun = asyncio.Event()
    let_go = asyncio.Event()

    async def slow(message: Waiting) -> None:
        begun.set()
        if message.body == b"hangs":
            await asyncio.Event().wait()
        if message.body == b"waits":
            raise DatabaseUnavailable("The database is away.")
        await let_go.wait()

    monkeypatch.setattr(desk.taker, "take", slow)
    for body in (b"hangs", b"waits", b"ends"):
        await desk.put(body)
    async with Loops() as loops:
        desk.taker.start(loops)
        await begun.wait()
        await eventually(desk.count, until=lambda count: not count)
        desk.taker.stop()
    let_go.set()
    await desk.taker.close(0.3)
    await eventually(desk.count, until=lambda count: count == 2)  # the broker counts a little late
    assert desk.fates("rabbitmq") == {"done": 1, "buried": 0, "back": 1}


async def test_it_comes_back_after_a_cut_and_after_its_queue_was_deleted(desk: RabbitDesk) -> None:
    async with a_road(desk) as road:
        road.network.cut()
        await road.one_more()
        await desk.channel.queue_delete(desk.name)
        await eventually(desk.count_or_none, until=lambda count: count is not None)
        await road.one_more()
        assert road.network.connections > 2


@pytest.mark.short
async def test_it_comes_back_after_a_silence_and_after_a_restart_of_the_broker(
    desk: RabbitDesk, rabbit: Rabbit
) -> None:
    """`/health` has a sentence meanwhile."""
    async with a_road(desk) as road:
        road.network.silence()  # only the heartbeat notices
        await eventually(road.troubles, until=bool)
        road.network.speak()
        await road.one_more()

        rabbit.cut_power()
        [said] = await eventually(road.troubles, until=bool)
        assert "RabbitMQ" in said
        assert "p4ss" not in said
        await asyncio.to_thread(rabbit.start)
        await desk.connect()
        await road.one_more()


async def test_a_consumer_that_the_broker_forgot_is_noticed(
    desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a reconnect of aio-pika (issues 231, 632): connected, and nobody consumes."""
    await desk.arrange.subscribers(1)
    mailout = await desk.arrange.mailout()
    await desk.made()
    queue = desk.queue
    assert isinstance(queue, RabbitQueue)
    assert queue._link is not None
    channel: Any = await queue._link.channel.get_underlay_channel()
    for tag in list(channel.consumers):
        await channel.basic_cancel(tag)
    await desk.put(a_request(mailout))
    with pytest.raises(QueueAway, match="no consumer"):
        await desk.taker.step()
    await desk.drain()
    assert (await desk.store.show_mailout(mailout))["status"] == "sending"


@pytest.mark.short
async def test_a_queue_that_was_made_in_another_way_is_used(desk: RabbitDesk) -> None:
    await desk.channel.declare_queue(desk.name, durable=True)  # classic, without dead letters
    await desk.made()
    await desk.put(b"no JSON")
    await desk.drain()
    [letter] = await desk.dead_letters()
    assert letter.code == "invalid_request", "buried by us, so with the reason"


@pytest.mark.short
@pytest.mark.parametrize(
    ("user", "password", "says"),
    [
        (READER, "rabbit-p4ss/w@rd", "permissions"),
        ("sender", "wrong-p4ssword", "refuses the user or password"),
        ("nobody", "rabbit-p4ss/w@rd", "refuses the user or password"),
    ],
)
async def test_a_refusal_by_the_broker_names_the_remedy_and_no_password(
    desk: RabbitDesk, rabbit: Rabbit, user: str, password: str, says: str
) -> None:
    url = type(desk.settings.executor_shared_secret[0])(rabbit.url(user, password))
    refused = RabbitQueue(url, desk.name, at_once=1)
    with pytest.raises(QueueAway, match=says) as caught:
        await refused.take(1)
    assert "p4ss" not in repr(caught.value)
    await desk.made()  # so that there is something to be deleted


@pytest.mark.short
async def test_dead_letters_that_cant_be_written_leave_the_message_where_it_is(
    desk: RabbitDesk,
) -> None:
    await desk.made()
    await desk.channel.queue_delete(dead_letters_of(desk.name))
    await desk.put(b"no JSON")
    async with asyncio.timeout(30):
        while not desk.fates("rabbitmq")["buried"]:  # made anew with the next connection
            with suppress(QueueAway):
                await desk.taker.step()
    [letter] = await desk.dead_letters()
    assert letter.body == b"no JSON"


async def test_the_library_shows_no_password() -> None:
    """Its lines in the log name the connection."""
    url = aio_pika.connection.make_url("amqp://user:s3cret-pass@example.com/")
    connection = aio_pika.Connection(url)
    assert "s3cret" not in f"{connection} {connection!r}"
    await connection.close()
