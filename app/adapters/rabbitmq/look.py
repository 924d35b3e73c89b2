"""What the broker says of the queue, and whether it is as it should be. Asked by the checks."""

from __future__ import annotations

import asyncio
from typing import Any

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed
from aiormq.exceptions import ChannelAccessRefused
from pydantic import SecretStr

from app.adapters.rabbitmq.queue import (
    ANSWER_SECONDS,
    DEAD_LETTERS_ARGUMENTS,
    FAILURES,
    arguments_of,
    connect,
    dead_letters_of,
)
from app.adapters.rabbitmq.words import broker_trouble
from app.domain.untrusted import page_words
from app.ports import BrokerQueue


class RabbitBroker:
    """ports.Broker."""

    def __init__(self, url: SecretStr, queue: str) -> None:
        self._url, self._queue = url, queue

    async def look(self) -> list[BrokerQueue]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                connection = await connect(self._url)
                async with connection:
                    return [
                        await _look(connection, self._queue, arguments_of(self._queue)),
                        await _look(
                            connection, dead_letters_of(self._queue), DEAD_LETTERS_ARGUMENTS
                        ),
                    ]
        except FAILURES as exc:
            raise broker_trouble(exc, self._queue) from exc


async def _look(
    connection: AbstractConnection, name: str, arguments: dict[str, Any]
) -> BrokerQueue:
    """To declare a queue that is there changes nothing, and is refused where it differs."""
    channel = await connection.channel()
    try:
        found = await channel.declare_queue(name, passive=True)
    except ChannelNotFoundEntity:
        return BrokerQueue(name, waiting=None)
    waiting = found.declaration_result.message_count or 0
    try:
        await channel.declare_queue(name, durable=True, arguments=arguments)
    except ChannelPreconditionFailed as exc:
        words = page_words(" ".join(str(part) for part in exc.args))
        return BrokerQueue(
            name, waiting, differs=words, is_stream=await _is_stream(connection, name)
        )
    except ChannelAccessRefused:
        return BrokerQueue(name, waiting, differs=None, is_known=False)
    return BrokerQueue(name, waiting)


async def _is_stream(connection: AbstractConnection, name: str) -> bool:
    """As _look: to declare it as one changes nothing where it is one, and is refused else."""
    channel = await connection.channel()
    try:
        await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "stream"})
    except ChannelPreconditionFailed:
        return False
    return True
