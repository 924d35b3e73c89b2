"""A queue of RabbitMQ, by aio-pika.

A connection that is made anew each time, and not the library's robust one, which may come back
without a consumer and doesn't notice (aio-pika's issues 231 and 632). Besides, the broker is asked
whether it still counts a consumer whenever nothing came for a while.

Sources: RabbitMQ's documentation, "Quorum Queues", "Dead Letter Exchanges", "Consumer
Acknowledgements and Publisher Confirms", "Detecting Dead TCP Connections with Heartbeats".
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import (
    AMQPException,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
)
from pydantic import SecretStr

from app.adapters.rabbitmq.words import broker_trouble
from app.errors import QueueAway
from app.ports import Burial, Waiting

log = structlog.get_logger(__name__)

LOOK_SECONDS = 20.0
"""After so long without a message the broker is asked whether it still has a consumer of ours."""
ANSWER_SECONDS = 15.0
"""The longest that an answer of the broker is waited for."""
HEARTBEAT_SECONDS = 20
HOLD_SECONDS = 600.0
"""A message in hand; after 30 minutes the broker would end the channel (consumer_timeout)."""
CRASHES = 20
"""So often a message is handed out whose taker always dies; then the broker buries it."""
REASON_CHARS = 1_000
HEADERS_CHARS = 65_536
"""A frame, into which all headers have to fit, has 128 KB."""
_NOT_COPIED = frozenset({"CC", "BCC", "x-delivery-count", "x-acquired-count"})

FAILURES = (AMQPException, OSError, TimeoutError, asyncio.InvalidStateError, RuntimeError)
"""What the library raises: also where it was closed meanwhile."""


def dead_letters_of(name: str) -> str:
    return f"{name}.dead"


def arguments_of(name: str) -> dict[str, Any]:
    """What the queue is made with: kept by a majority of the brokers, and a message that is handed
    out too often, or expires, moves to the dead letters without being lost on the way."""
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": CRASHES,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": dead_letters_of(name),
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


DEAD_LETTERS_ARGUMENTS: dict[str, Any] = {"x-queue-type": "quorum"}


@dataclass
class _Link:
    """One connection with its consumer. publisher: a channel of its own, whose messages the broker
    confirms. careful: it gets one message at a time. handed, settled: messages handed out, and of
    these those that came to their end."""

    connection: AbstractConnection
    channel: AbstractChannel
    publisher: AbstractChannel
    queue: AbstractQueue
    careful: bool
    handed: int = 0
    settled: int = 0
    arrived: asyncio.Queue[AbstractIncomingMessage] = field(default_factory=asyncio.Queue)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    why: str = "the connection ended"

    def end(self, why: BaseException | str | None = None) -> None:
        if why and not self.ended.is_set():
            self.why = str(why)
        self.ended.set()


@dataclass(frozen=True)
class _Handle:
    link: _Link
    message: AbstractIncomingMessage


class RabbitQueue:
    """ports.MessageQueue. at_once: messages in hand, at most."""

    def __init__(
        self,
        url: SecretStr,
        queue: str,
        *,
        name: str = "rabbitmq",
        at_once: int,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self.name = name
        self.hold_seconds = HOLD_SECONDS
        self._url, self._queue = url, queue
        self._at_once, self._look_seconds = at_once, look_seconds
        self._link: _Link | None = None
        self._careful = False

    async def take(self, most: int) -> list[Waiting]:
        link = await self._linked()
        first = await self._next(link)
        if first is None:
            await self._watch(link)
            return []
        taken = [first]
        while len(taken) < most and not link.arrived.empty():
            taken.append(link.arrived.get_nowait())
        link.handed += len(taken)
        return [
            Waiting(message.body, message.message_id, message.timestamp, _Handle(link, message))
            for message in taken
        ]

    async def done(self, messages: Sequence[Waiting]) -> None:
        for message in messages:
            await self._ack(message.handle)

    async def keep(self, messages: Sequence[Waiting], seconds: float) -> None:
        """They stay for as long as the connection does. Raises QueueAway when it has ended: the
        broker hands them out again, so they aren't ours any more."""
        for message in messages:
            if message.handle.link.ended.is_set():
                raise QueueAway(f"RabbitMQ is away: {message.handle.link.why}")

    async def give_back(self, messages: Sequence[Waiting], seconds: float = 0.0) -> None:
        """As copies at the end: so they don't come at once again, and the broker doesn't count it
        as one of the crashes after which it buries a message."""
        for message in messages:
            handle = message.handle
            await self._publish(handle.link, self._queue, handle.message, {})
            await self._ack(handle)

    async def bury(self, message: Waiting, burial: Burial) -> bool:
        handle = message.handle
        reasons = {
            "x-amazonsender-code": burial.code,
            "x-amazonsender-reason": burial.reason[:REASON_CHARS],
            "x-amazonsender-queue": self._queue,
        }
        await self._publish(handle.link, dead_letters_of(self._queue), handle.message, reasons)
        await self._ack(handle)
        return True

    async def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await _end(link)

    async def _linked(self) -> _Link:
        """A message at which a connection ends, since it can't be read, ends each that gets it,
        until the broker has counted enough and buries it. Those that were in hand beside it are
        counted, too: so after such an end messages come one by one, until that goes well again.
        """
        if self._link is not None and self._link.ended.is_set():
            link, self._link = self._link, None
            self._careful = link.settled < self._at_once
            await _end(link)
            raise QueueAway(f"RabbitMQ is away: {link.why}")
        if self._link is not None and self._is_over_it(self._link):
            link, self._link = self._link, None
            self._careful = False
            await _end(link)
        if self._link is None:
            self._link = await self._connect()
        return self._link

    def _is_over_it(self, link: _Link) -> bool:
        at_rest = link.arrived.empty() and link.handed == link.settled
        return link.careful and at_rest and link.settled >= self._at_once

    async def _connect(self) -> _Link:
        connection: AbstractConnection | None = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                connection = await connect(self._url)
                await declare(connection, self._queue)
                link = await self._consume(connection)
        except FAILURES as exc:
            if connection is not None:
                await _close(connection)
            raise broker_trouble(exc, self._queue) from exc
        log.info("queue_connected", queue=self.name)
        return link

    async def _consume(self, connection: AbstractConnection) -> _Link:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=1 if self._careful else self._at_once)
        publisher = await connection.channel(publisher_confirms=True, on_return_raises=True)
        queue = await channel.get_queue(self._queue, ensure=True)
        link = _Link(connection, channel, publisher, queue, self._careful)
        connection.close_callbacks.add(lambda _, exc=None: link.end(exc))
        channel.close_callbacks.add(lambda _, exc=None: link.end(exc))
        await queue.consume(link.arrived.put)
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(  # the queue was deleted, or has moved
            lambda _: link.end("the broker ended the consumer: is the queue still there?")
        )
        return link

    async def _next(self, link: _Link) -> AbstractIncomingMessage | None:
        """None when nothing came for a while. Raises QueueAway."""
        arrived = asyncio.ensure_future(link.arrived.get())
        ended = asyncio.ensure_future(link.ended.wait())
        try:
            await asyncio.wait(
                {arrived, ended},
                timeout=self._look_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            arrived.cancel()
            ended.cancel()
        if link.ended.is_set():
            await self._linked()  # raises
        return arrived.result() if arrived.done() and not arrived.cancelled() else None

    async def _watch(self, link: _Link) -> None:
        """Raises QueueAway where the broker has no consumer for us, whatever the library thinks."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                asked = await link.publisher.declare_queue(self._queue, passive=True)
        except FAILURES as exc:
            link.end(exc)
            raise broker_trouble(exc, self._queue) from exc
        if not asked.declaration_result.consumer_count:
            link.end("the broker knows of no consumer; a queue that is a stream can't be used")
            await self._linked()

    async def _publish(
        self, link: _Link, queue: str, message: AbstractIncomingMessage, more: dict[str, Any]
    ) -> None:
        """A copy; returns when the broker has it safe."""
        copy = aio_pika.Message(
            message.body,
            headers={**_own_headers(message), **more},
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            message_id=message.message_id,
            correlation_id=message.correlation_id,
            timestamp=message.timestamp,
            type=message.type,
            app_id=message.app_id,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        await self._try(link, link.publisher.default_exchange.publish(copy, queue, mandatory=True))

    async def _ack(self, handle: _Handle) -> None:
        await self._try(handle.link, handle.message.ack())
        handle.link.settled += 1

    async def _try(self, link: _Link, work: Any) -> None:
        if link.ended.is_set():
            work.close()
            raise QueueAway(f"RabbitMQ is away: {link.why}")
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await work
        except FAILURES as exc:
            link.end(exc)  # a channel may have ended with it: all is made anew
            raise broker_trouble(exc, self._queue) from exc
        except Exception as exc:  # else the message would stay in hand, and take its place for ever
            link.end(exc)
            raise


async def connect(url: SecretStr) -> AbstractConnection:
    """Raises FAILURES."""
    address = aio_pika.connection.make_url(url.get_secret_value())
    if "heartbeat" not in address.query:
        address = address.update_query(heartbeat=str(HEARTBEAT_SECONDS))
    connection = aio_pika.Connection(address, client_properties={"connection_name": "amazonsender"})
    try:
        await connection.connect(timeout=ANSWER_SECONDS)
    except BaseException:
        await _close(connection)  # else it does so when it is collected, whatever runs then
        raise
    return connection


async def declare(connection: AbstractConnection, name: str) -> None:
    """Make both queues, where they aren't there. One that was made in another way is used as it is;
    the doctor says what it lacks. Raises FAILURES."""
    for queue, arguments in (
        (dead_letters_of(name), DEAD_LETTERS_ARGUMENTS),
        (name, arguments_of(name)),
    ):
        channel = await connection.channel()
        try:
            await channel.declare_queue(queue, passive=True)
        except ChannelNotFoundEntity:
            channel = await connection.channel()
            with suppress(ChannelPreconditionFailed):  # another process was first, in another way
                await channel.declare_queue(queue, durable=True, arguments=arguments)
                log.info("queue_made", queue=queue)
        await channel.close()


def _own_headers(message: AbstractIncomingMessage) -> dict[str, Any]:
    """Those of who wrote it, unless they are so long that ours would not fit into a frame beside
    them. Not the broker's own, which count tries: these begin anew with a copy. Nor those by which
    it would put the copy into other queues as well, this one perhaps (RabbitMQ's documentation,
    "Sender-selected Distribution")."""
    headers = message.headers or {}
    if len(repr(headers)) > HEADERS_CHARS:
        return {}
    return {name: _writable(value) for name, value in headers.items() if name not in _NOT_COPIED}


def _writable(value: Any) -> Any:
    """The library reads a text that is no UTF-8 as bytes, which it doesn't write."""
    if isinstance(value, bytes):
        return bytearray(value)
    if isinstance(value, list):
        return [_writable(each) for each in value]
    if isinstance(value, dict):
        return {name: _writable(each) for name, each in value.items()}
    return value


async def _end(link: _Link) -> None:
    link.end()
    await _close(link.connection)


async def _close(connection: AbstractConnection) -> None:
    with suppress(*FAILURES):
        async with asyncio.timeout(2.0):
            await connection.close()
