"""What the doctor says of queues."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from app.adapters.aws.sqs.facts import SqsFacts
from app.adapters.rabbitmq.look import RabbitBroker
from app.adapters.rabbitmq.queue import dead_letters_of
from app.domain.queues.sqs import lets_write, queue_arn, queue_of, queue_region
from app.domain.reports.findings import Finding
from app.outside import OUTSIDE
from app.ports import BrokerQueue, Subscription
from app.services.checks.amazon.events import _check_subscriptions
from app.services.checks.doctor import check_queues_part
from app.services.queues.check import check_events_queue, check_rabbitmq, check_request_queue
from app.settings import Settings
from tests.queues.desk import RabbitDesk
from tests.support.service import TOPIC, settings_for
from tests.support.sqs import ACCOUNT, REGION, SqsServer
from tests.support.sqs import dead_letters_of as sqs_dead_letters_of

RABBIT = pytest.mark.xdist_group("rabbitmq")
SQS = pytest.mark.xdist_group("sqs")


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


@RABBIT
async def test_rabbitmq_is_looked_at_without_a_change(desk: RabbitDesk) -> None:
    url = desk.settings.rabbitmq_url
    assert url is not None
    broker = RabbitBroker(url, desk.name)
    [before] = await check_rabbitmq(broker, url)
    assert "is made when the service starts" in before.what
    assert await desk.count_or_none() is None

    await desk.made()
    [well] = await check_rabbitmq(broker, url)
    assert well.sentences.endswith("is there and as it should be.")

    await desk.put(b"no JSON")
    await desk.drain()
    well, dead = await check_rabbitmq(broker, url)
    assert (well.level, dead.level) == ("ok", "warn")
    assert "holds 1 message that could not be taken" in dead.what
    assert await desk.count(dead_letters_of(desk.name)) == 1

    await desk.channel.queue_delete(desk.name)
    await desk.channel.declare_queue(desk.name, durable=True)
    odd = (await check_rabbitmq(broker, url))[0]
    assert odd.level == "warn"
    assert "inequivalent arg" in odd.what, "in the broker's own words"


@RABBIT
async def test_a_broker_that_is_away_is_named_without_its_password(desk: RabbitDesk) -> None:
    url = desk.settings.rabbitmq_url
    assert url is not None
    [away] = await check_rabbitmq(RabbitBroker(type(url)(desk.rabbit.url(port=9)), desk.name), url)
    assert away.level == "fail"
    assert "Check RABBITMQ_URL" in away.what
    assert "p4ss" not in away.what
    await desk.made()


@pytest.fixture
def settings(sqs_server: SqsServer) -> Settings:
    return settings_for(
        "postgresql://nobody@127.0.0.1/x", None, AWS_ENDPOINT_URL_SQS=sqs_server.url
    )


def policy(principal: Any = None, **condition: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": principal or {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
    }
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


@pytest.mark.short
@SQS
async def test_a_queue_of_requests_needs_its_dead_letters(
    settings: Settings, sqs_server: SqsServer
) -> None:
    facts = SqsFacts(settings)
    well = sqs_server.queue()
    assert levels(await check_request_queue(facts, well)) == ["ok"]

    sqs_server.client.send_message(QueueUrl=sqs_dead_letters_of(well), MessageBody="x")
    [dead] = await check_request_queue(facts, well)
    assert "holds 1 message" in dead.what

    sqs_server.client.delete_queue(QueueUrl=sqs_dead_letters_of(well))
    [gone] = await check_request_queue(facts, well)
    assert (gone.level, "isn't there any more" in gone.what) == ("fail", True)

    [bare] = await check_request_queue(facts, sqs_server.queue(dead_letters=False))
    assert "has no dead-letter queue" in bare.what

    [none] = await check_request_queue(facts, f"{well}-none")
    assert (none.level, none.remedy) == ("fail", "make it, or correct SQS_QUEUE_URL.")


@SQS
async def test_a_queue_of_events_has_to_take_what_the_topic_writes(
    settings: Settings, sqs_server: SqsServer
) -> None:
    facts = SqsFacts(settings)
    days = {"MessageRetentionPeriod": str(14 * 86_400)}
    allowed = policy(ArnEquals={"aws:SourceArn": TOPIC})
    well = sqs_server.queue({"Policy": allowed} | days)
    assert levels(await check_events_queue(facts, well, settings)) == ["ok"]

    [short] = await check_events_queue(facts, sqs_server.queue({"Policy": allowed}), settings)
    assert "keeps events for 4 days" in short.what

    [closed] = await check_events_queue(facts, sqs_server.queue(days), settings)
    assert (closed.level, "does not let" in closed.what) == ("fail", True)

    key = {"KmsMasterKeyId": "alias/aws/sqs"}
    encrypted = sqs_server.queue({"Policy": allowed} | days | key)
    [locked] = await check_events_queue(facts, encrypted, settings)
    assert (locked.level, "SNS can't write" in locked.what) == ("fail", True)


OTHER = "arn:aws:sns:us-east-1:123456789012:other"


@pytest.mark.parametrize(
    ("text", "writes"),
    [
        (None, "no"),
        ("not JSON", "no"),
        (policy(), "anybody"),
        (policy("*"), "anybody"),
        (policy(ArnEquals={"aws:SourceArn": TOPIC}), "yes"),
        (policy("*", ArnLike={"aws:SourceArn": [OTHER, TOPIC]}), "yes"),
        (policy({"AWS": "*"}, StringLike={"AWS:SourceArn": "arn:aws:sns:*:123456789012:*"}), "yes"),
        (policy(StringEquals={"aws:SourceAccount": ACCOUNT}), "yes"),
        (policy(ArnEquals={"aws:SourceArn": OTHER}), "no"),
        (policy({"AWS": "arn:aws:iam::123456789012:root"}), "no"),
        (policy().replace("Allow", "Deny"), "no"),
        (policy().replace("SendMessage", "ReceiveMessage"), "no"),
    ],
)
def test_who_may_write_by_a_policy(text: str | None, writes: str) -> None:
    assert lets_write(text, TOPIC) == writes


@SQS
async def test_dead_letters_that_would_be_lost_are_named(
    settings: Settings, sqs_server: SqsServer
) -> None:
    """SQS counts a message's days from when it came first, wherever it moves it."""
    queue = sqs_server.queue({"MessageRetentionPeriod": str(14 * 86_400)})
    assert levels(await check_request_queue(SqsFacts(settings), queue)) == ["ok"]
    sqs_server.client.set_queue_attributes(
        QueueUrl=sqs_dead_letters_of(queue), Attributes={"MessageRetentionPeriod": str(4 * 86_400)}
    )
    [early] = await check_request_queue(SqsFacts(settings), queue)
    assert "keeps messages for 4 days" in early.what


class Facts:
    """Of queues that are well, with a policy for each."""

    def __init__(self, policies: dict[str, str]) -> None:
        self._policies = policies

    def attributes(self, url: str) -> dict[str, str]:
        target = f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead"
        redrive = json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": 10})
        return {"Policy": self._policies[url], "RedrivePolicy": redrive}

    def dead_letters(self, url: str, arn: str) -> dict[str, str]:
        return {}

    def denied(self, url: str) -> list[str]:
        return []


async def test_each_regions_queue_has_to_take_what_its_own_topic_writes() -> None:
    """A third queue in a region without a topic only costs."""
    regions = ("eu-west-1", "us-east-1", "ap-south-1")
    urls = [f"https://sqs.{region}.amazonaws.com/{ACCOUNT}/events" for region in regions]
    topics = [f"arn:aws:sns:{region}:{ACCOUNT}:ses" for region in regions[:2]]
    several = settings_for(
        "postgresql://nobody@127.0.0.1/none",
        None,
        SES_EVENTS_QUEUE_URL=",".join(urls),
        SNS_ALLOWED_TOPIC_ARNS=",".join(topics),
    )
    its_own = policy(ArnEquals={"aws:SourceArn": topics[0]})
    facts = Facts(dict.fromkeys(urls, its_own))
    found = [await check_events_queue(facts, url, several) for url in urls]
    assert [levels(each) for each in found] == [["ok"], ["fail"], ["warn"]]
    assert f"does not let {topics[1]} write" in found[1][0].what
    assert "No topic of SNS_ALLOWED_TOPIC_ARNS" in found[2][0].what


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("sqs.eu-west-1.amazonaws.com", "eu-west-1"),
        ("sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("sqs-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("sqs.eu-west-1.api.aws", "eu-west-1"),
        ("vpce-0a1b-2c3d.sqs.eu-west-1.vpce.amazonaws.com", "eu-west-1"),
        ("eu-west-1.queue.amazonaws.com", "eu-west-1"),
        ("queue.amazonaws.com", "us-east-1"),
        ("127.0.0.1", None),
        ("sqs.eu-west-1.amazonaws.com.example.com", None),
    ],
)
def test_a_queues_url_names_its_region(host: str, region: str | None) -> None:
    assert queue_region(f"https://{host}/{ACCOUNT}/events") == region


def test_a_topic_writes_into_the_queue_of_its_region_or_the_first() -> None:
    urls = [f"https://sqs.{r}.amazonaws.com/{ACCOUNT}/e" for r in ("eu-west-1", "us-east-1")]
    assert queue_of(TOPIC, urls) == urls[1]
    assert queue_of(f"arn:aws:sns:ap-south-1:{ACCOUNT}:t", urls) == urls[0]


async def test_a_password_that_goes_unencrypted_is_named() -> None:
    class Well:
        async def look(self) -> list[BrokerQueue]:
            return [BrokerQueue("q", 0), BrokerQueue("q.dead", 0)]

    found = {
        url: levels(await check_rabbitmq(Well(), SecretStr(f"{url}/")))
        for url in (
            "amqp://u:p@rabbit.example.com",
            "amqps://u:p@rabbit.example.com",
            "amqp://u:p@localhost",
        )
    }
    assert list(found.values()) == [["warn", "ok"], ["ok"], ["ok"]]


def test_a_queue_is_known_to_sns_by_its_arn() -> None:
    url = f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/events"
    assert queue_arn(url, TOPIC, REGION) == f"arn:aws:sqs:eu-west-1:{ACCOUNT}:events"
    china = "arn:aws-cn:sns:cn-north-1:123456789012:t"
    at_home = f"http://127.0.0.1:5000/{ACCOUNT}/events"
    assert queue_arn(at_home, china, "cn-north-1") == f"arn:aws-cn:sqs:cn-north-1:{ACCOUNT}:events"


@RABBIT
async def test_the_doctor_looks_at_all_queues_that_are_set(
    desk: RabbitDesk, sqs_server: SqsServer
) -> None:
    await desk.made()
    all_set = settings_for(
        "postgresql://nobody@127.0.0.1/none",
        None,
        RABBITMQ_URL=desk.rabbit.url(),
        RABBITMQ_QUEUE=desk.name,
        SQS_QUEUE_URL=sqs_server.queue(),
        SES_EVENTS_QUEUE_URL=sqs_server.queue(),
        AWS_ENDPOINT_URL_SQS=sqs_server.url,
    )
    found = await check_queues_part(all_set, OUTSIDE)
    assert levels(found) == ["ok", "ok", "fail", "warn"]
    assert (
        await check_queues_part(settings_for("postgresql://nobody@127.0.0.1/none", None), OUTSIDE)
        == []
    )


class Told:
    """Topics that say who asked for what."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def subscriptions(self, topic_arn: str, endpoint: str) -> list[Subscription]:
        self.asked.append((topic_arn, endpoint))
        return [Subscription(endpoint, confirmed=True, raw=True)]


async def test_with_a_queue_its_subscription_is_looked_at_instead_of_the_web_address() -> None:
    topics = Told()
    queue = f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/events"
    with_queue = settings_for(
        "postgresql://nobody@127.0.0.1/none", None, SES_EVENTS_QUEUE_URL=queue
    )
    outside = replace(OUTSIDE, sns=lambda _: topics)
    [raw] = await _check_subscriptions(with_queue, [TOPIC], outside)
    assert topics.asked == [(TOPIC, f"arn:aws:sqs:us-east-1:{ACCOUNT}:events")]
    assert "sends raw messages" in raw.what
