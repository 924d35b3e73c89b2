"""A subscription is confirmed by SNS's API, never by fetching an address of the message."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.stub import Stubber
from moto import mock_aws

from app.adapters.aws.sns import ConfirmationRefused, SnsConfirmer, SubscriptionNotConfirmed
from app.domain.ses.sns_message import ForbiddenSource, MalformedSnsMessage, SnsMessage
from tests.support.sns import CERTIFICATE_URL, TIMESTAMP, TOPIC_ARN

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

SUBSCRIPTION_ARN = f"{TOPIC_ARN}:c2a9d3e4-8f17-4b60-b5d1-0e6a7c8f9d22"


def confirmation(token: str | None = "2336", topic_arn: str = TOPIC_ARN) -> SnsMessage:
    return SnsMessage(
        type="SubscriptionConfirmation",
        message_id="5f1c-1",
        topic_arn=topic_arn,
        message="You have chosen to subscribe …",
        subject=None,
        timestamp=TIMESTAMP,
        token=token,
        subscribe_url="http://169.254.169.254/",
        signature="c2ln",
        signature_version="1",
        signing_cert_url=CERTIFICATE_URL,
    )


def make_client(region: str) -> SNSClient:
    return boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=region
    ).client("sns")


@pytest.fixture(scope="module")
def client() -> SNSClient:
    return make_client("eu-central-1")


@pytest.fixture
def sns(client: SNSClient) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber


async def test_topic_and_token_are_given_to_sns(client: SNSClient, sns: Stubber) -> None:
    """And later nobody can end the subscription without credentials."""
    sns.add_response(
        "confirm_subscription",
        {"SubscriptionArn": SUBSCRIPTION_ARN},
        {"TopicArn": TOPIC_ARN, "Token": "2336", "AuthenticateOnUnsubscribe": "true"},
    )
    assert await SnsConfirmer(lambda _: client).confirm(confirmation()) == SUBSCRIPTION_ARN
    sns.assert_no_pending_responses()


async def test_a_subscription_may_be_confirmed_twice() -> None:
    with mock_aws():
        aws = make_client("eu-central-1")
        topic_arn = aws.create_topic(Name="ses-events")["TopicArn"]
        confirmer = SnsConfirmer(lambda _: aws)
        message = confirmation(topic_arn=topic_arn)
        first, second = [await confirmer.confirm(message) for _ in range(2)]
        assert first == second
        assert first.startswith(topic_arn)


@pytest.mark.parametrize("code", ["InvalidParameter", "NotFound"])
async def test_a_token_that_sns_refuses(client: SNSClient, sns: Stubber, code: str) -> None:
    sns.add_client_error("confirm_subscription", code, "Invalid token", 400)
    with pytest.raises(ConfirmationRefused, match="two days") as caught:
        await SnsConfirmer(lambda _: client).confirm(confirmation())
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("AuthorizationError", "Allow sns:ConfirmSubscription"),
        ("AccessDenied", "Allow sns:ConfirmSubscription"),
        ("InternalError", "Request the confirmation again"),
        ("Throttled", "Request the confirmation again"),
    ],
)
async def test_sns_may_be_asked_again(
    client: SNSClient, sns: Stubber, code: str, remedy: str
) -> None:
    sns.add_client_error("confirm_subscription", code, "no", 403)
    with pytest.raises(SubscriptionNotConfirmed, match=remedy) as caught:
        await SnsConfirmer(lambda _: client).confirm(confirmation())
    assert caught.value.status == 503


@pytest.mark.parametrize(
    "error", [NoCredentialsError(), EndpointConnectionError(endpoint_url="https://sns")]
)
async def test_sns_out_of_reach(error: Exception) -> None:
    class Unreachable:
        def confirm_subscription(self, **_: Any) -> Any:
            raise error

    factory: Any = lambda _: Unreachable()  # noqa: E731
    with pytest.raises(SubscriptionNotConfirmed, match=type(error).__name__):
        await SnsConfirmer(factory).confirm(confirmation())


async def test_without_a_token_or_a_topic_nobody_is_asked() -> None:
    confirmer = SnsConfirmer(lambda _: pytest.fail("no client is needed"))
    with pytest.raises(MalformedSnsMessage):
        await confirmer.confirm(confirmation(token=None))
    with pytest.raises(ForbiddenSource):
        await confirmer.confirm(confirmation(topic_arn="theirs"))


async def test_one_client_per_region_is_built_however_many_ask() -> None:
    """And calls run in threads: the event loop goes on meanwhile."""
    built: list[str] = []
    asked = threading.Barrier(4, timeout=10)

    class Client:
        def confirm_subscription(self, **_: Any) -> dict[str, str]:
            asked.wait()
            return {"SubscriptionArn": SUBSCRIPTION_ARN}

    def factory(region: str) -> Any:
        built.append(region)
        return Client()

    confirmer = SnsConfirmer(factory)
    american = confirmation(topic_arn="arn:aws:sns:us-east-1:111122223333:ses")
    messages = [confirmation(), confirmation(), american, american]
    await asyncio.gather(*(confirmer.confirm(message) for message in messages))
    assert sorted(built) == ["eu-central-1", "us-east-1"]
