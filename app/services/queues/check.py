"""A part of `amazonsender doctor`: would messages be taken out of the queues, and would one that
can't be taken be kept? A finding each, with its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from pydantic import SecretStr

from app.domain.networks import LOCAL_HOSTS
from app.domain.queues.sqs import (
    dead_letter_arn,
    lets_write,
    queue_name,
    queue_of,
    receives,
)
from app.domain.reports.findings import Finding
from app.domain.reports.words import plural
from app.errors import Unavailable
from app.ports import Broker, BrokerQueue, QueueFacts
from app.services.checks.asking import ask
from app.settings import Settings

DAY = 86_400
LONGEST_DAYS = 14
"""For which SQS keeps a message, at most."""
FEWEST_RECEIVES = 5
AWS_KEY = "alias/aws/sqs"
"""The key that AWS manages: no service of AWS may write with it."""


async def check_rabbitmq(broker: Broker, url: SecretStr) -> list[Finding]:
    """url: RABBITMQ_URL. Makes nothing: the service does, when it starts."""
    findings = list(_check_address(url))
    try:
        queue, dead = await broker.look()
    except Unavailable as exc:
        return [*findings, Finding("fail", exc.detail)]  # it names its remedy
    return [*findings, *_check_broker_queue(queue), *_check_dead_letters(dead)]


def _check_address(url: SecretStr) -> Iterator[Finding]:
    parts = urlsplit(url.get_secret_value())
    if parts.scheme == "amqp" and parts.hostname not in LOCAL_HOSTS:
        yield Finding(
            "warn",
            "RABBITMQ_URL is not encrypted: who is on the way reads its password, and may send.",
            "write amqps://, unless the way is a private network of yours.",
        )


def _check_broker_queue(queue: BrokerQueue) -> Iterator[Finding]:
    if queue.waiting is None:
        yield Finding(
            "ok", f"RabbitMQ answers. The queue {queue.name} is made when the service starts."
        )
    elif queue.is_stream:
        yield Finding(
            "fail",
            f"RabbitMQ's queue {queue.name} is a stream, out of which nothing can be taken.",
            "delete it, and the service makes a quorum queue; or name another in RABBITMQ_QUEUE.",
        )
    elif queue.differs:
        yield Finding(
            "warn",
            f"RabbitMQ's queue {queue.name} works, but was not made as it should be: "
            f"{queue.differs}",
            "move its messages elsewhere and delete it; the service makes it anew, as a quorum "
            "queue with dead letters.",
        )
    elif not queue.is_known:
        yield Finding(
            "warn",
            f"Whether RabbitMQ's queue {queue.name} is a quorum queue with dead letters can't be "
            "asked.",
            "see docs/queues.md for how it should be made.",
        )
    else:
        yield Finding("ok", f"RabbitMQ's queue {queue.name} is there and as it should be.")


def _check_dead_letters(queue: BrokerQueue) -> Iterator[Finding]:
    if queue.waiting:
        yield Finding(
            "warn",
            f"RabbitMQ's queue {queue.name} holds {plural(queue.waiting, 'message')} that could "
            "not be taken.",
            "see the header x-amazonsender-reason of each; one without it was buried by RabbitMQ, "
            "since it could not be read or whoever took it died (docs/queues.md).",
        )


async def check_request_queue(facts: QueueFacts, url: str) -> list[Finding]:
    """SQS_QUEUE_URL."""
    attributes, findings = await _ask_queue(facts, url, "SQS_QUEUE_URL")
    if attributes is None:
        return findings
    findings += await _check_sqs_dead_letters(facts, url, attributes)
    return findings or [Finding("ok", f"SQS's queue {queue_name(url)} is there.")]


async def check_events_queue(facts: QueueFacts, url: str, settings: Settings) -> list[Finding]:
    """One of SES_EVENTS_QUEUE_URL."""
    attributes, findings = await _ask_queue(facts, url, "SES_EVENTS_QUEUE_URL")
    if attributes is None:
        return findings
    findings += _check_writers(url, attributes, settings)
    findings += _check_key(url, attributes)
    findings += _check_days(url, attributes)
    findings += await _check_sqs_dead_letters(facts, url, attributes)
    return findings or [
        Finding("ok", f"SQS's queue {queue_name(url)} is there, and the topic may write into it.")
    ]


async def _ask_queue(
    facts: QueueFacts, url: str, variable: str
) -> tuple[Mapping[str, str] | None, list[Finding]]:
    name = queue_name(url)
    try:
        attributes = await ask(facts.attributes, url)
        denied = await ask(facts.denied, url) if attributes is not None else []
    except Unavailable as exc:
        return None, [Finding("fail", exc.detail)]  # it names its remedy
    if attributes is None:
        return None, [
            Finding("fail", f"There is no queue {name} in SQS.", f"make it, or correct {variable}.")
        ]
    return attributes, [
        Finding(
            "fail",
            f"The AWS credentials may not use the queue {name}: {', '.join(denied)}.",
            "give the IAM user the permissions of docs/queues.md.",
        )
        for _ in denied[:1]
    ]


async def _check_sqs_dead_letters(
    facts: QueueFacts, url: str, attributes: Mapping[str, str]
) -> list[Finding]:
    name, arn = queue_name(url), dead_letter_arn(attributes)
    if arn is None:
        return [
            Finding(
                "warn",
                f"SQS's queue {name} has no dead-letter queue: what can't be taken comes again "
                "every few hours until it expires.",
                "make one and name it in the queue's redrive policy.",
            )
        ]
    found = []
    most = receives(attributes)
    if most is not None and most < FEWEST_RECEIVES:
        found.append(
            Finding(
                "warn",
                f"SQS moves a message of {name} to the dead letters after {plural(most, 'try')}: "
                "a few restarts of the service are enough for that.",
                "set maxReceiveCount of the redrive policy to 10.",
            )
        )
    try:
        dead = await ask(facts.dead_letters, url, arn)
    except Unavailable as exc:
        return [*found, Finding("warn", exc.detail)]
    if dead is None:
        what = f"The dead-letter queue of {name} isn't there any more."
        return [*found, Finding("fail", what, "make it, or correct the redrive policy.")]
    if _retention(dead) < _retention(attributes):
        found.append(
            Finding(
                "warn",
                f"The dead-letter queue of {name} keeps messages for {plural(_days(dead), 'day')}, "
                "counted from when they came first: one that SQS moves there later is lost.",
                f"set its message retention period to {LONGEST_DAYS} days.",
            )
        )
    if waiting := int(dead.get("ApproximateNumberOfMessages", 0)):
        found.append(
            Finding(
                "warn",
                f"The dead-letter queue of {name} holds {plural(waiting, 'message')}.",
                "see the attribute amazonsender-reason of each; then start a redrive in the SQS "
                "console, or purge it.",
            )
        )
    return found


def _check_writers(
    url: str, attributes: Mapping[str, str], settings: Settings
) -> Iterator[Finding]:
    """Of the topics that are to write into this one."""
    name, urls = queue_name(url), settings.ses_events_queue_url or (url,)
    topics = [each for each in settings.sns_allowed_topic_arns if queue_of(each, urls) == url]
    if not topics:
        yield Finding(
            "warn",
            f"No topic of SNS_ALLOWED_TOPIC_ARNS is in the region of SQS's queue {name}: what it "
            "holds is refused, unless a topic of another region writes into it.",
            "add the ARN of the region's topic, or take the queue out of SES_EVENTS_QUEUE_URL.",
        )
    for topic in topics:
        writes = lets_write(attributes.get("Policy"), topic)
        if writes == "no":
            yield Finding(
                "fail",
                f"The policy of SQS's queue {name} does not let {topic} write into it: no event "
                "arrives.",
                "allow sqs:SendMessage to sns.amazonaws.com with aws:SourceArn of the topic "
                "(docs/queues.md has the policy).",
            )
        elif writes == "anybody":
            yield Finding(
                "warn",
                f"The policy of SQS's queue {name} lets others than {topic} write into it. What "
                "they write is refused, but has to be looked at.",
                "add the condition aws:SourceArn with the topic.",
            )


def _check_key(url: str, attributes: Mapping[str, str]) -> Iterator[Finding]:
    name = queue_name(url)
    if attributes.get("KmsMasterKeyId") == AWS_KEY:
        yield Finding(
            "fail",
            f"SQS's queue {name} is encrypted with the key {AWS_KEY}, with which SNS can't write.",
            "use SSE-SQS, or a key of your own that sns.amazonaws.com may use.",
        )


def _check_days(url: str, attributes: Mapping[str, str]) -> Iterator[Finding]:
    if (days := _days(attributes)) < LONGEST_DAYS:
        yield Finding(
            "warn",
            f"SQS's queue {queue_name(url)} keeps events for {plural(days, 'day')}: while the "
            "service is down for longer, they are lost.",
            f"set its message retention period to {LONGEST_DAYS} days.",
        )


def _retention(attributes: Mapping[str, str]) -> int:
    """In seconds."""
    return int(attributes.get("MessageRetentionPeriod", LONGEST_DAYS * DAY))


def _days(attributes: Mapping[str, str]) -> int:
    return _retention(attributes) // DAY
