"""What RabbitMQ's refusals mean, in words for the owner of the queue."""

from __future__ import annotations

from aio_pika.exceptions import (
    AuthenticationError,
    ChannelNotFoundEntity,
    DeliveryError,
    ProbableAuthenticationError,
)
from aiormq.exceptions import ChannelAccessRefused

from app.domain.untrusted import page_words
from app.errors import QueueAway


def broker_trouble(exc: BaseException, queue: str) -> QueueAway:
    """Never with the address, which holds a password."""
    words = page_words(" ".join(str(part) for part in exc.args)) or type(exc).__name__
    if isinstance(exc, AuthenticationError | ProbableAuthenticationError):
        return QueueAway(
            "RabbitMQ refuses the user or password of RABBITMQ_URL, or its virtual host (the "
            "path): correct them.",
            queue_code="denied",
        )
    if isinstance(exc, ChannelAccessRefused):
        return QueueAway(
            f"RabbitMQ refuses the queue {queue}: give the user of RABBITMQ_URL the permissions "
            f"configure, write and read for {queue}, {queue}.dead and amq.default ({words}).",
            queue_code="denied",
        )
    if isinstance(exc, ChannelNotFoundEntity):
        return QueueAway(
            f"There is no queue {queue} in RabbitMQ: make it, or correct RABBITMQ_QUEUE ({words}).",
            queue_code="missing",
        )
    if isinstance(exc, DeliveryError):
        return QueueAway(f"RabbitMQ did not take a message for {queue}.dead: is it there, or full?")
    if isinstance(exc, TimeoutError):
        return QueueAway("RabbitMQ does not answer: check RABBITMQ_URL, and that it runs.")
    return QueueAway(f"RabbitMQ can't be reached: {words}. Check RABBITMQ_URL, and that it runs.")
