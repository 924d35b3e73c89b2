"""Whose topic is believed, and which addresses of a message are asked."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest

from tests.security.fortress import SECRET
from tests.security.sns.amazon import STRANGER, Amazon, Sns, ago
from tests.support.service import TOPIC
from tests.support.sns import body_of, headers_of

FOREIGN = TOPIC.replace("123456789012", "666666666666")


async def test_07_genuine_messages_of_a_topic_of_somebody_else(sns: Sns) -> None:
    """Anybody may have a topic, and subscribe our address to it."""
    topics = [
        FOREIGN,
        f"{TOPIC}2",
        TOPIC[:-1],
        f"{TOPIC} ",
        f" {TOPIC}",
        f"{TOPIC}\n",
        f"{TOPIC}:x",
        f"{TOPIC}.fifo",
        TOPIC.upper(),
        TOPIC.replace("us-east-1", "eu-west-1"),
        TOPIC.replace("arn:aws:", "arn:aws-cn:"),
        f"{TOPIC},{FOREIGN}",
        "*",
        "arn:aws:sns:*",
    ]
    async with sns.fortress.untouched():
        for topic in topics:
            for envelope in (
                sns.notification({"eventType": "Send", "mail": {"a": 1}}, TopicArn=topic),
                sns.confirmation(TopicArn=topic),
                sns.confirmation(TopicArn=topic, kind="UnsubscribeConfirmation"),
            ):
                assert (await sns.post(envelope)).status_code == 403, topic
                assert (await sns.post(envelope, {})).status_code == 403, topic


async def test_07_the_topic_of_the_header_and_of_the_body_are_both_ours(sns: Sns) -> None:
    foreign = sns.notification(TopicArn=FOREIGN)
    ours = sns.notification()
    async with sns.fortress.untouched():
        for envelope, header in ((foreign, TOPIC), (ours, FOREIGN)):
            headers = headers_of(envelope) | {"x-amz-sns-topic-arn": header}
            answer = await sns.post(body_of(envelope), headers)
            assert answer.status_code == 403


async def test_07_nobody_learns_whether_a_topic_was_guessed(sns: Sns) -> None:
    """A wrong signature of ours and a foreign topic get the very same answer."""
    told: set[tuple[int, bytes, Any]] = set()
    right, wrong = sns.notification(), sns.notification(TopicArn=FOREIGN)
    envelopes: list[Mapping[str, Any]] = [
        {**right, "Message": "changed"},
        {**right, "Signature": "AAAA"},
        {**right, "Signature": "no base64!"},
        {**right, "SignatureVersion": "3"},
        {**right, "SigningCertURL": "https://evil.test/x.pem"},
        sns.notification(by=STRANGER),
        wrong,
        {**wrong, "Message": "changed"},
        {**wrong, "Signature": "AAAA"},
        {**wrong, "SignatureVersion": "3"},
        sns.notification(by=STRANGER, TopicArn=FOREIGN),
    ]
    async with sns.fortress.untouched():
        either: list[dict[str, str] | None] = [None, {}]
        for envelope, headers in product(envelopes, either):
            answer = await sns.post(envelope, headers)
            kept = {name: v for name, v in answer.headers.items() if name != "date"}
            told.add((answer.status_code, answer.content, tuple(sorted(kept.items()))))
    assert [status for status, *_ in told] == [403], told


HOSTILE = (
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://127.0.0.1:9/",
    "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
)


@pytest.mark.few_variants(2)
@pytest.mark.parametrize("url", HOSTILE)
async def test_08_a_subscription_is_confirmed_by_the_api_alone(
    sns: Sns, amazon: Amazon, url: str
) -> None:
    """Whatever SubscribeURL says: topic and token go to SNS, and nothing to that address."""
    before, asked, rows = len(amazon.confirmations), list(amazon.asked), await sns.fortress.rows()
    answer = await sns.post(sns.confirmation(SubscribeURL=url, Token="2336412f"))
    assert answer.json() == {"confirmed": True}
    [said] = amazon.confirmations[before:]
    assert b"Action=ConfirmSubscription" in said
    assert b"Token=2336412f" in said
    assert amazon.asked == asked
    assert await sns.fortress.rows() == rows


async def test_08_a_forged_confirmation_asks_nobody(sns: Sns) -> None:
    genuine = sns.confirmation()
    await sns.refused({**genuine, "SubscribeURL": HOSTILE[0]})
    await sns.refused({**genuine, "Token": "of somebody else"})
    await sns.refused(sns.confirmation(by=STRANGER, SubscribeURL=HOSTILE[0]))
    await sns.refused(sns.confirmation(TopicArn=FOREIGN))
    await sns.refused(sns.confirmation(Timestamp=ago(days=40)))


@pytest.mark.few_variants(2)
@pytest.mark.parametrize("url", HOSTILE)
async def test_09_to_unsubscribe_nothing_is_fetched(sns: Sns, url: str) -> None:
    """UnsubscribeURL isn't signed; and who ends a subscription needs no answer."""
    notice = "Successfully validated SNS topic for Amazon SES event publishing."
    async with sns.fortress.untouched():
        for envelope in (
            sns.confirmation(kind="UnsubscribeConfirmation", SubscribeURL=url),
            {**sns.notification(notice), "UnsubscribeURL": url},
            {**sns.notification(notice), "SubscribeURL": url, "Token": "t"},
        ):
            answer = await sns.post(envelope)
            assert answer.json() == {"recorded": False}


async def test_07_a_secret_opens_no_topic(sns: Sns) -> None:
    """This road has no credential but the signature."""
    foreign = sns.notification(TopicArn=FOREIGN)
    async with sns.fortress.untouched():
        headers = headers_of(foreign) | {"authorization": f"Bearer {SECRET}"}
        assert (await sns.post(foreign, headers)).status_code == 403
