"""The settings of queues: a part of the program's (app/settings.py)."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode

from app.domain.given.urls import amqp_url, queue_url


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class QueueSettings(BaseSettings):
    aws_endpoint_url_sqs: str | None = None
    ses_events_queue_url: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """One for each region of SES, or one for all."""

    rabbitmq_url: SecretStr | None = None
    rabbitmq_queue: str = Field("amazonsender", pattern=r"^[A-Za-z0-9._:-]{1,200}$")
    sqs_queue_url: str | None = None

    @field_validator("sqs_queue_url")
    @classmethod
    def _queue_url(cls, value: str | None) -> str | None:
        return None if value is None else queue_url(value)

    @field_validator("ses_events_queue_url")
    @classmethod
    def _queue_urls(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        urls = tuple(map(queue_url, values))
        if len(set(urls)) != len(urls):
            raise ValueError("names a queue twice")
        if any(url.endswith(".fifo") for url in urls):
            raise ValueError(
                "is a FIFO queue, into which the topics of SES can't write: make a standard one"
            )
        return urls

    @field_validator("rabbitmq_url", mode="before")
    @classmethod
    def _amqp_url(cls, value: object) -> object:
        return amqp_url(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _queues_differ(self) -> QueueSettings:
        if self.sqs_queue_url in self.ses_events_queue_url:
            raise ValueError(
                "SQS_QUEUE_URL and SES_EVENTS_QUEUE_URL must differ: one holds requests to send, "
                "the other what SES tells"
            )
        return self

    @property
    def uses_queues(self) -> bool:
        """Whether anything is taken out of a queue."""
        return bool(self.rabbitmq_url or self.sqs_queue_url or self.ses_events_queue_url)
