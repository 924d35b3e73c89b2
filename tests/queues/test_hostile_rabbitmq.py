"""RabbitMQ with producers, brokers and networks that mean harm, or are broken."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pamqp.encode
import pytest

from app.adapters.rabbitmq import queue as adapter
from app.adapters.rabbitmq.look import RabbitBroker
from app.adapters.rabbitmq.queue import RabbitQueue, dead_letters_of
from app.errors import QueueAway, Unavailable
from app.ports import Waiting
from app.services.queues.check import check_rabbitmq
from tests.queues.desk import RabbitDesk, a_request
from tests.queues.road import a_road
from tests.support.rabbitmq import Rabbit
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("rabbitmq")


async def test_a_message_that_asks_for_copies_of_itself_is_buried_once(desk: RabbitDesk) -> None:
    """By RabbitMQ's header CC a message that is written anew, as into the dead letters, goes into
    those queues, too: into its own one, say, for ever."""
    await desk.made()
    await desk.put(b"no JSON", headers={"CC": [desk.name], "x-of": "the producer"})
    await desk.drain()
    assert [letter.body for letter in await desk.dead_letters()] == [b"no JSON"]
    assert await desk.count() == 0


@pytest.mark.short
async def test_headers_that_fill_a_frame_leave_room_for_the_reason(desk: RabbitDesk) -> None:
    await desk.made()
    await desk.put(b"no JSON", headers={"x": "y" * 130_900})
    await desk.drain()
    [letter] = await desk.dead_letters()
    assert letter.code == "invalid_request"


async def test_a_stream_is_refused_and_the_doctor_says_so(desk: RabbitDesk) -> None:
    """Nothing can be taken out of one."""
    stream: Any = {"x-queue-type": "stream"}
    await desk.channel.declare_queue(desk.name, durable=True, arguments=stream)
    await desk.put(b"no JSON")
    with pytest.raises(QueueAway, match="a stream can't be used"):
        await desk.taker.step()
    url = desk.settings.rabbitmq_url
    assert url is not None
    found = (await check_rabbitmq(RabbitBroker(url, desk.name), url))[0]
    assert (found.level, "is a stream" in found.what) == ("fail", True)
    await eventually(desk.count, until=lambda count: count == 1)  # nothing is lost


@pytest.mark.short
async def test_a_broker_that_refuses_connections_at_the_start_is_waited_for(
    desk: RabbitDesk,
) -> None:
    nowhere = desk.link(port=9)
    with pytest.raises(QueueAway, match="Check RABBITMQ_URL, and that it runs") as caught:
        await nowhere.take(1)
    assert "p4ss" not in caught.value.detail
    nowhere._url = desk.link()._url  # it runs now
    assert await nowhere.take(1) == []
    await nowhere.close()


async def test_headers_that_are_no_text_are_copied_all_the_same(
    desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a producer that writes Latin-1. The library reads them, and writes no such text."""
    proper = pamqp.encode.long_string

    def written(value: str) -> bytes:
        return b"\x00\x00\x00\x02\xe9\xe8" if value == "latin" else proper(value)

    await desk.made()
    with monkeypatch.context() as patch:
        patch.setattr(pamqp.encode, "long_string", written)
        await desk.put(b"no JSON", headers={"x": "latin", "y": ["latin", {"z": "latin"}]})
    await desk.drain()
    [letter] = await desk.dead_letters()
    assert letter.code == "invalid_request"


@pytest.mark.short
async def test_a_message_that_cant_be_buried_leaves_its_place_to_others(
    desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with it: by a fault of ours, say. In the end the broker buries it."""
    await desk.arrange.subscribers(1)
    await desk.made()
    await desk.taker.close(0)
    monkeypatch.setattr(adapter, "_own_headers", lambda _: {"x": object()})
    await desk.put(b"no JSON")
    await desk.put(a_request(await desk.arrange.mailout()))
    desk.open(RabbitQueue(desk.link()._url, desk.name, at_once=1, look_seconds=0.1))
    async with asyncio.timeout(90):
        while desk.fates("rabbitmq")["done"] < 1:
            with suppress(Unavailable):
                await desk.taker.step()
    assert await desk.count(dead_letters_of(desk.name)) == 1


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> str:
    """A message's id that goes out as three bytes which are no UTF-8: the library that reads it
    ends the connection."""
    name, proper = "unreadable", pamqp.encode.short_string

    def written(value: str) -> bytes:
        return b"\x03\xff\xfe\xfd" if value == name else proper(value)

    monkeypatch.setitem(pamqp.encode.METHODS, "shortstr", written)
    return name


@pytest.mark.short
async def test_a_message_that_ends_every_connection_takes_no_other_with_it(
    desk: RabbitDesk, unreadable: str
) -> None:
    """The broker counts all that were in hand at the end of a connection, and buries those that it
    counted too often. Afterwards as many are in hand as ever."""
    await desk.arrange.subscribers(1)
    await desk.made()
    await desk.taker.close(0)
    await desk.put(b"{}", message_id=unreadable)
    for number in range(10):
        await desk.put(a_request(await desk.arrange.mailout(), f"key {number}"))
    desk.open(desk.link())
    async with asyncio.timeout(90):
        while desk.fates("rabbitmq")["done"] < 10:
            with suppress(Unavailable):
                await desk.taker.step()
    assert await desk.count(dead_letters_of(desk.name)) == 1
    assert await desk.arrange.one("select count(*) from mailouts where status = 'sending'") == 10
    for number in range(8):
        await desk.put(a_request(await desk.arrange.mailout(), f"later {number}"))
    await desk.drain()
    await desk.taker.step()
    queue = desk.queue
    assert isinstance(queue, RabbitQueue)
    assert queue._link is not None
    assert not queue._link.careful


@pytest.mark.short
async def test_a_thousand_copies_of_a_message_start_its_mailout_once(desk: RabbitDesk) -> None:
    """Also some that ask for something else with its key."""
    await desk.arrange.subscribers(3)
    mailout, other = await desk.arrange.mailout(), await desk.arrange.mailout()
    await desk.made()
    await desk.put(a_request(mailout))
    await desk.drain()
    for request in (a_request(mailout, test=True), a_request(other), a_request(mailout)):
        await asyncio.gather(*(desk.put(request) for _ in range(333)))
    await desk.drain()
    assert desk.fates("rabbitmq") == {"done": 334, "buried": 666, "back": 0}
    codes = {letter.code for letter in await desk.dead_letters()}
    assert codes == {"idempotency_key_reused"}
    assert await desk.requests() == 1
    assert await desk.arrange.one("select count(*) from mailout_tests") == 0
    assert (await desk.store.show_mailout(other))["status"] == "ready"


@pytest.mark.short
async def test_what_is_committed_while_the_broker_restarts_is_known_afterwards(
    desk: RabbitDesk, rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_road(desk) as road:
        mailout = await desk.arrange.mailout()
        take, came, committed = desk.taker.take, 0, asyncio.Event()

        async def watched(message: Waiting) -> None:
            nonlocal came
            came += 1
            if came == 1:
                await asyncio.to_thread(rabbit.cut_power)
            await take(message)
            committed.set()

        monkeypatch.setattr(desk.taker, "take", watched)
        await desk.put(a_request(mailout, "restart"))
        await committed.wait()
        await eventually(road.troubles, until=bool)
        assert (await desk.store.show_mailout(mailout))["status"] == "sending"
        await asyncio.to_thread(rabbit.start)
        await desk.connect()
        await road.one_more()
        # Two of the road itself, and this one, which came twice.
        await eventually(desk.requests, until=lambda count: count == 3)
        await eventually(desk.count, until=lambda count: not count)
        assert came == 3
        assert await desk.dead_letters() == []


@pytest.mark.short
async def test_what_is_committed_while_the_network_is_silent_is_known_afterwards(
    desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The acknowledgement gets lost: nobody says so until the heartbeat, and the message comes
    again."""
    async with a_road(desk) as road:
        mailout = await desk.arrange.mailout()
        take, came, committed = desk.taker.take, 0, asyncio.Event()

        async def watched(message: Waiting) -> None:
            nonlocal came
            came += 1
            if came == 1:
                road.network.silence()
            await take(message)
            committed.set()

        async def twice() -> int:
            return came

        monkeypatch.setattr(desk.taker, "take", watched)
        await desk.put(a_request(mailout, "silent"))
        await committed.wait()
        await eventually(road.troubles, until=bool)
        road.network.speak()
        await eventually(twice, until=lambda times: times == 2)
        await eventually(desk.count, until=lambda count: not count)
        assert (await desk.store.show_mailout(mailout))["status"] == "sending"
        assert await desk.requests() == 2, "that of the road itself, and this one"
        assert await desk.dead_letters() == []


def test_a_frame_holds_the_longest_headers_that_are_copied_and_ours() -> None:
    headers: Any = {"x": "y" * adapter.HEADERS_CHARS}

    class Message:
        def __init__(self, headers: Any) -> None:
            self.headers = headers

    assert adapter._own_headers(Message(headers)) == {}  # type: ignore[arg-type]
    kept = {"x": "y" * 60_000}
    assert adapter._own_headers(Message(kept)) == kept  # type: ignore[arg-type]
    assert adapter._own_headers(Message(None)) == {}  # type: ignore[arg-type]
