"""Several regions: each with an SES and a topic of its own, all in one account of who got mail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from app.sandbox.config import SandboxConfig
from app.sandbox.server import Remote, SandboxServer
from tests.sandbox.conftest import FAST
from tests.sandbox.support import Receiver, bulk, refused, ses_client, verify

HOME, AWAY = "us-east-1", "eu-west-1"


def client(remote: Remote, region: str, service: str = "sesv2") -> Any:
    session = boto3.Session(
        region_name=region, aws_access_key_id="test", aws_secret_access_key="secret"
    )
    config = Config(retries={"total_max_attempts": 1}, read_timeout=5)
    return session.client(service, endpoint_url=remote.url, config=config)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def server(receiver_of_both: Receiver) -> Iterator[SandboxServer]:
    config = SandboxConfig(
        **FAST,
        regions=(AWAY,),
        event_endpoint=receiver_of_both.url,
        sendgrid=True,
        credentials={"test": "secret"},
    )
    with SandboxServer(config) as running:
        yield running


@pytest.fixture(scope="module")
def receiver_of_both() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def home(server: SandboxServer) -> Any:
    server.reset()
    return client(server, HOME)


@pytest.fixture
def away(server: SandboxServer) -> Any:
    return client(server.regions[AWAY], AWAY)


def test_a_call_is_signed_for_its_region(server: SandboxServer, home: Any, away: Any) -> None:
    home.send_bulk_email(**bulk("a@example.com"))
    away.send_bulk_email(**bulk("b@example.com"))
    wrong = client(server.regions[AWAY], HOME)
    with refused("SignatureDoesNotMatch", 403, "scoped to a valid region, not 'us-east-1'"):
        wrong.send_bulk_email(**bulk("c@example.com"))
    topic = server.config.topic_arn.replace(HOME, AWAY)
    client(server, AWAY, "sns").get_topic_attributes(TopicArn=topic)
    with refused("SignatureDoesNotMatch", 403):
        client(server, HOME, "sns").get_topic_attributes(TopicArn=topic)
    assert [line["to"] for line in server.accepted()] == ["a@example.com", "b@example.com"]


def test_each_has_its_own_rate_quota_account_and_faults(
    server: SandboxServer, home: Any, away: Any
) -> None:
    there = server.regions[AWAY]
    there.account(max_send_rate=7.5, max_24h_send=1)
    assert away.get_account()["SendQuota"]["MaxSendRate"] == 7.5
    assert home.get_account()["SendQuota"]["MaxSendRate"] == 100_000
    away.send_bulk_email(**bulk("a@example.com"))
    with refused("LimitExceededException"):
        away.send_bulk_email(**bulk("b@example.com"))
    there.faults(account_suspended=True)
    with refused("AccountSuspendedException"):
        away.send_bulk_email(**bulk("c@example.com"))
    there.faults()
    there.account(max_24h_send=-1, verified=["other.example"])
    with refused("MessageRejected", match="in region EU-WEST-1: news@example.com"):
        away.send_bulk_email(**bulk("c@example.com"))
    with refused("NotFoundException", 404):
        away.get_email_identity(EmailIdentity="example.com")
    home.send_bulk_email(**bulk("b@example.com", "c@example.com"))
    assert (server.stats()["accepted"], there.stats()["accepted"]) == (2, 1)
    assert [mail["to"] for mail in there.mails()] == [["a@example.com"]]


def test_whoever_is_accepted_anywhere_is_counted_once_and_for_all(
    server: SandboxServer, home: Any, away: Any
) -> None:
    """Over regions and providers, in the order of their acceptance."""
    home.send_bulk_email(**bulk("a@example.com", "b@example.com"))
    away.send_bulk_email(**bulk("A@example.com"))
    letter = {
        "personalizations": [
            {"to": [{"email": "b@example.com"}], "custom_args": {"mailout_id": "m1"}}
        ],
        "from": {"email": "news@example.com"},
        "subject": "S",
        "content": [{"type": "text/plain", "value": "T"}],
    }
    bearer = {"Authorization": "Bearer SG.sandbox.sandbox"}
    httpx.post(
        f"{server.url}/v3/mail/send", json=letter, headers=bearer, trust_env=False
    ).raise_for_status()
    assert [(line["route"], line["to"]) for line in server.accepted()] == [
        (HOME, "a@example.com"),
        (HOME, "b@example.com"),
        (AWAY, "A@example.com"),
        ("sendgrid", "b@example.com"),
    ]
    for remote in (server, server.regions[AWAY]):
        stats = remote.stats()
        assert stats["duplicates"] == 2
        assert stats["duplicate_examples"][1] == {"mailout_id": "m1", "to": "b@example.com"}
    server.regions[AWAY].reset()
    assert (server.accepted(), server.stats()["duplicates"]) == ([], 0)
    assert server.stats()["accepted"] == 0


def test_each_posts_to_its_own_topic_signed_by_one_sns(
    server: SandboxServer, receiver_of_both: Receiver, home: Any, away: Any
) -> None:
    topics = {server.config.topic_arn.replace(HOME, region): region for region in (HOME, AWAY)}

    def asked() -> dict[str, dict[str, Any]]:
        bodies = [post.body for post in receiver_of_both.received]
        return {b["TopicArn"]: b for b in bodies if b["Type"] == "SubscriptionConfirmation"}

    receiver_of_both.wait_for(lambda _received: asked().keys() == topics.keys())
    for topic, region in topics.items():
        client(server, region, "sns").confirm_subscription(
            TopicArn=topic, Token=asked()[topic]["Token"]
        )
    home.send_bulk_email(**bulk("a@example.com"))
    away.send_bulk_email(**bulk("b@example.com"))

    def events() -> Counter[tuple[str, str]]:
        posts = [post for post in receiver_of_both.received if post.kind == "Delivery"]
        return Counter((p.body["TopicArn"], p.event["mail"]["destination"][0]) for p in posts)

    receiver_of_both.wait_for(lambda _received: len(events()) == 2)
    assert {(topics[topic], to) for topic, to in events()} == {
        (HOME, "a@example.com"),
        (AWAY, "b@example.com"),
    }
    for post in receiver_of_both.received:
        assert post.body["SigningCertURL"].startswith(server.url)
        verify(post.body)


def test_the_inbox_names_the_regions(server: SandboxServer, home: Any, away: Any) -> None:
    away.send_bulk_email(**bulk("b@example.com"))
    page = server.regions[AWAY].control.get("/").text
    assert "b@example.com" in page
    assert f'href="{server.url}/">{HOME}</a>' in page
    assert 'aria-current="page">eu-west-1</a>' in page
    assert "AWS_ENDPOINT_URL_SESV2_US_EAST_1" in server.control.get("/").text


@pytest.mark.short
def test_a_process_of_its_own_has_them_too() -> None:
    config = SandboxConfig(**FAST, regions=(AWAY, "us-west-2"))
    with SandboxServer(config, process=True) as server:
        for region, remote in server.regions.items():
            client(remote, region).send_bulk_email(**bulk(f"{region}@example.com"))
        ses_client(server.url).send_bulk_email(**bulk("home@example.com"))
        assert Counter(line["route"] for line in server.accepted()) == {
            HOME: 1, AWAY: 1, "us-west-2": 1
        }  # fmt: skip
