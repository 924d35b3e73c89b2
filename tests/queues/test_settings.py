"""Settings of queues: what can't be one is refused with the remedy, and no password is shown."""

from __future__ import annotations

import pytest

from app.environment.secrets import texts_to_hide
from app.errors import ConfigurationError
from tests.support.service import settings_for

DSN = "postgresql://nobody@127.0.0.1/none"
QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/requests"


@pytest.mark.parametrize(
    "url",
    [
        "amqp://guest:guest@localhost/",
        "amqps://user:p%40ss%2Fword@rabbit.example.com:5671/newsletter?heartbeat=30",
    ],
)
def test_rabbitmqs_address(url: str) -> None:
    found = settings_for(DSN, None, RABBITMQ_URL=f" {url} ")
    assert found.rabbitmq_url is not None
    assert found.rabbitmq_url.get_secret_value() == url
    assert found.rabbitmq_queue == "amazonsender"
    assert found.uses_queues


@pytest.mark.parametrize(
    "url",
    [
        "http://user:s3cret-word@localhost/",
        "amqp://",
        "amqp://user:s3cret/word@localhost/",
        "amqp://user:s3cret-word@localhost:port/",
        "amqp://user:s3cret#word@localhost/",
        "amqp://user:s3cret word@localhost/",
        "s3cret-word",
    ],
)
def test_what_is_no_address_of_rabbitmq_is_refused_unseen(url: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"RABBITMQ_URL: must be an address like amqps://"
    ) as caught:
        settings_for(DSN, None, RABBITMQ_URL=url)
    assert "s3cret" not in str(caught.value)


def test_its_password_is_never_logged_however_it_is_spelt() -> None:
    found = settings_for(DSN, None, RABBITMQ_URL="amqp://user:p%40ss%2Fword@rabbit.example.com/")
    assert {"p%40ss%2Fword", "p@ss/word"} <= texts_to_hide(found)
    assert "word" not in repr(found.rabbitmq_url)


@pytest.mark.parametrize("setting", ["SQS_QUEUE_URL", "SES_EVENTS_QUEUE_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "requests",
        "arn:aws:sqs:eu-west-1:123456789012:requests",
        "https://sqs.eu-west-1.amazonaws.com/requests",
        f"{QUEUE}?x=1",
    ],
)
def test_what_is_no_queues_url_is_refused(setting: str, url: str) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        settings_for(DSN, None, **{setting: url})


EVENTS = "https://sqs.us-east-1.amazonaws.com/123456789012/events"


def test_each_region_may_have_its_queue_of_events() -> None:
    found = settings_for(DSN, None, SES_EVENTS_QUEUE_URL=f" {EVENTS}/, {QUEUE},")
    assert found.ses_events_queue_url == (EVENTS, QUEUE)


@pytest.mark.parametrize(
    ("urls", "says"),
    [
        (f"{EVENTS},{EVENTS}", "names a queue twice"),
        (f"{EVENTS},requests", "must be a queue's URL"),
        (f"{EVENTS}.fifo", "is a FIFO queue"),
    ],
)
def test_what_are_no_queues_of_events_is_refused(urls: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=f"SES_EVENTS_QUEUE_URL.*{says}"):
        settings_for(DSN, None, SES_EVENTS_QUEUE_URL=urls)


def test_requests_and_events_dont_share_a_queue() -> None:
    with pytest.raises(ConfigurationError, match="must differ"):
        settings_for(DSN, None, SQS_QUEUE_URL=QUEUE, SES_EVENTS_QUEUE_URL=f"{EVENTS},{QUEUE}")


def test_without_a_setting_there_is_no_queue() -> None:
    assert not settings_for(DSN, None).uses_queues
