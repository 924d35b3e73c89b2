"""Signed SNS messages: the handshake, each fate's events, retries, holding back."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from botocore.exceptions import ClientError

from app.sandbox.server import SandboxServer
from app.sandbox.ses.simulator import Fate, fate_of
from tests.sandbox.support import (
    Received,
    Receiver,
    bulk,
    entry,
    ses_client,
    single,
    sns_client,
    template,
    verify,
)

Start = Callable[..., SandboxServer]


def kinds(posts: list[Received]) -> list[str]:
    return [post.kind for post in posts]


# The handshake


def test_the_confirmation_is_signed_and_repeated_until_it_is_answered(
    start: Start, receiver: Receiver
) -> None:
    """Events wait meanwhile, and none is lost."""
    server = start(event_endpoint=receiver.url, event_connections=1)
    ses_client(server.url).send_email(**single())
    first, second, *_ = receiver.wait_for(lambda received: len(received) >= 2)
    for post in (first, second):
        assert post.body["Type"] == "SubscriptionConfirmation"
        assert post.headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
        assert "x-amz-sns-subscription-arn" not in post.headers
        verify(post.body)
    receiver.confirm(server.url)
    assert kinds(receiver.events(2)) == ["Send", "Delivery"]
    assert server.stats()["subscriptions_confirmed"] == 1


def test_the_subscribe_url_confirms_too(start: Start, receiver: Receiver) -> None:
    server = start(event_endpoint=receiver.url)
    url = receiver.wait_for(bool)[0].body["SubscribeURL"]
    assert parse_qs(urlsplit(url).query)["Action"] == ["ConfirmSubscription"]
    assert "SubscriptionArn" in httpx.get(url, trust_env=False).text
    assert server.stats()["subscriptions_confirmed"] == 1


def test_a_wrong_token_confirms_nothing(start: Start, receiver: Receiver) -> None:
    server = start(event_endpoint=receiver.url)
    sns = sns_client(server.url)
    with pytest.raises(ClientError, match="Token"):
        sns.confirm_subscription(TopicArn=server.config.topic_arn, Token="wrong")
    with pytest.raises(ClientError, match="Topic does not exist"):
        sns.confirm_subscription(TopicArn="arn:aws:sns:us-east-1:1:other", Token="wrong")
    assert server.stats()["subscriptions_confirmed"] == 0


def test_the_validation_text_comes_first(with_events: Start, receiver: Receiver) -> None:
    """SES publishes a plain text when a destination is attached."""
    with_events()
    post = receiver.wait_for(lambda received: len(received) >= 2)[-1]
    assert post.body["Message"].startswith("Successfully validated SNS topic")
    verify(post.body)


def test_a_second_endpoint_subscribes_by_api(start: Start, receiver: Receiver) -> None:
    server = start()
    sns, topic = sns_client(server.url), server.config.topic_arn
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=receiver.url)
    (listed,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (listed["SubscriptionArn"], listed["Endpoint"]) == ("PendingConfirmation", receiver.url)
    receiver.confirm(server.url)
    (listed,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    arn = listed["SubscriptionArn"]
    attributes = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert attributes["PendingConfirmation"] == "false"
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsConfirmed"] == "1"
    sns.unsubscribe(SubscriptionArn=arn)
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []


# Messages


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_notification_is_signed_and_addressed_as_sns_does(
    with_events: Start, receiver: Receiver, version: str
) -> None:
    server = with_events(signature_version=version)
    ses_client(server.url).send_email(**single())
    post = receiver.events(1)[0]
    assert post.body["SignatureVersion"] == version
    verify(post.body)
    path = urlsplit(post.body["SigningCertURL"]).path
    assert path.startswith("/SimpleNotificationService-")
    assert path.endswith(".pem")
    assert post.headers["content-type"] == "text/plain; charset=UTF-8"
    assert post.headers["user-agent"] == "Amazon Simple Notification Service Agent"
    assert post.headers["x-amz-sns-message-type"] == "Notification"
    assert post.headers["x-amz-sns-message-id"] == post.body["MessageId"]
    assert post.headers["x-amz-sns-topic-arn"] == post.body["TopicArn"]
    assert post.headers["x-amz-sns-subscription-arn"].startswith(post.body["TopicArn"])


def test_an_event_tells_which_mail_it_is_about(with_events: Start, receiver: Receiver) -> None:
    server = with_events(event_connections=1)
    mail = entry("a@example.com", name="Jörg")
    mail["ReplacementHeaders"] = [{"Name": "List-Id", "Value": "<x>"}]
    answer = ses_client(server.url).send_bulk_email(**bulk(mail, ConfigurationSetName="sandbox"))
    sent, delivered = receiver.events(2)
    about = sent.event["mail"]
    assert about["messageId"] == answer["BulkEmailEntryResults"][0]["MessageId"]
    assert about["destination"] == ["a@example.com"]
    assert about["source"] == "News <news@example.com>"
    assert about["tags"]["mailout_id"] == ["m1"]
    assert about["tags"]["ses:configuration-set"] == ["sandbox"]
    assert about["commonHeaders"]["subject"] == "Hi Jörg"
    assert {"name": "List-Id", "value": "<x>"} in about["headers"]
    assert sent.event["send"] == {}
    assert delivered.event["delivery"]["recipients"] == ["a@example.com"]


FATES = {
    "success@simulator.amazonses.com": ["Send", "Delivery"],
    "bounce+label@simulator.amazonses.com": ["Send", "Bounce"],
    "complaint@simulator.amazonses.com": ["Send", "Delivery", "Complaint"],
    "suppressionlist@simulator.amazonses.com": ["Send", "Bounce"],
    "ooto@simulator.amazonses.com": ["Send", "Delivery", "Bounce"],
    "anybody@example.com": ["Send", "Delivery"],
}


def test_each_simulator_address_has_its_events(with_events: Start, receiver: Receiver) -> None:
    server = with_events(event_connections=1)  # so that they come in their order
    for address, expected in FATES.items():
        receiver.received.clear()
        ses_client(server.url).send_email(**single(address))
        posts = receiver.events(len(expected))
        assert kinds(posts) == expected
        bounce = posts[-1].event.get("bounce", {})
        described = (bounce.get("bounceType"), bounce.get("bounceSubType"))
        local = address.partition("@")[0].partition("+")[0]
        assert described == {
            "bounce": ("Permanent", "General"),
            "suppressionlist": ("Permanent", "OnAccountSuppressionList"),
            "ooto": ("Transient", "General"),
        }.get(local, (None, None))
        if bounce:
            assert bounce["bouncedRecipients"][0]["emailAddress"] == address


def test_who_bounced_is_suppressed_next_time(with_events: Start, receiver: Receiver) -> None:
    server = with_events(bounce_share=1.0)
    ses = ses_client(server.url)
    for _ in range(2):
        ses.send_email(**single("a@example.com"))
    bounces = [p.event["bounce"] for p in receiver.events(4) if p.kind == "Bounce"]
    subtypes = sorted(bounce["bounceSubType"] for bounce in bounces)
    assert subtypes == ["General", "OnAccountSuppressionList"]


def test_shares_are_of_addresses_and_repeat() -> None:
    addresses = [f"r{n}@example.com" for n in range(4000)]
    runs = [
        [fate_of(a, suppressed=None, bounce_share=0.1, complaint_share=0.05) for a in addresses]
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert 300 < runs[0].count(Fate.BOUNCED) < 500
    assert 130 < runs[0].count(Fate.COMPLAINED) < 270


def test_a_missing_value_is_reported_and_nothing_is_delivered(
    with_events: Start, receiver: Receiver
) -> None:
    server = with_events()
    ses = ses_client(server.url)
    request = bulk("a@example.com", DefaultContent=template(Html="{{absent}}"))
    ses.send_bulk_email(**request)
    (post,) = receiver.events(1)
    assert post.event["eventType"] == "Rendering Failure"
    message = "Attribute 'absent' is not present in the rendering data."
    assert post.event["failure"]["errorMessage"] == message
    assert post.event["mail"]["tags"]["mailout_id"] == ["m1"]


def test_a_virus_is_rejected(with_events: Start, receiver: Receiver) -> None:
    server = with_events()
    virus = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
    request = single()
    request["Content"]["Simple"]["Attachments"] = [{"RawContent": virus, "FileName": "x.com"}]
    ses_client(server.url).send_email(**request)
    assert receiver.events(1)[0].event["reject"] == {"reason": "Bad content"}


def test_the_older_format_has_no_tags(with_events: Start, receiver: Receiver) -> None:
    server = with_events(event_format="feedback")
    ses_client(server.url).send_email(**single("bounce@simulator.amazonses.com"))
    (post,) = receiver.events(1)  # no Send in this format
    assert post.event["notificationType"] == "Bounce"
    assert "tags" not in post.event["mail"]


# Delivery of the messages


def test_a_failing_endpoint_is_tried_again_with_the_same_message(
    with_events: Start, receiver: Receiver
) -> None:
    server = with_events(event_retry_delay=(0.01, 0.02))
    answers = iter([503, 500])
    receiver.answer = lambda post: next(answers, 200) if post.kind == "Send" else 200
    ses_client(server.url).send_email(**single())
    posts = receiver.wait_for(lambda received: [r.kind for r in received].count("Send") == 3)
    sends = [post.body for post in posts if post.kind == "Send"]
    assert sends[0] == sends[1] == sends[2]
    assert server.stats()["events"]["retried"] == 2


def test_an_event_refused_with_4xx_is_dropped(with_events: Start, receiver: Receiver) -> None:
    server = with_events(event_retry_delay=(0.01, 0.02), event_connections=1)
    receiver.answer = lambda post: 403 if post.kind == "Send" else 200
    ses_client(server.url).send_email(**single())
    assert kinds(receiver.events(2)) == ["Send", "Delivery"]
    assert server.stats()["events"]["refused"] == 1


def test_events_held_back_come_on_release_doubled_and_reordered(
    with_events: Start, receiver: Receiver
) -> None:
    server = with_events(event_connections=1)
    receiver.wait_for(lambda received: len(received) == 2)  # the validation text is through
    server.control.post("/sandbox/events/hold")
    ses_client(server.url).send_bulk_email(**bulk(*(f"r{n}@example.com" for n in range(10))))
    while server.stats()["events"]["waiting"] < 20:
        pass
    assert not any(post.kind for post in receiver.received)
    options = {"shuffle": True, "duplicate": 1.0, "seed": 7}
    answer = server.control.post("/sandbox/events/release", json=options)
    assert answer.json() == {"released": 40}
    posts = receiver.events(40)
    ids = [post.body["MessageId"] for post in posts]
    assert len(set(ids)) == 20
    assert kinds(posts) != sorted(kinds(posts), reverse=True)


@pytest.mark.short
def test_the_sandbox_answers_while_it_releases(with_events: Start, receiver: Receiver) -> None:
    """Thousands of signatures take seconds."""
    server = with_events()
    receiver.wait_for(lambda received: len(received) == 2)  # the validation text is through
    server.control.post("/sandbox/events/hold")
    client = ses_client(server.url)
    for _ in range(20):
        client.send_bulk_email(**bulk(*(f"r{n}@example.com" for n in range(50))))
    while server.stats()["events"]["waiting"] < 2000:
        pass

    def release() -> Any:
        with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
            return client.post("/sandbox/events/release", json={}).json()

    looks = 0
    with ThreadPoolExecutor(1) as pool:
        releasing = pool.submit(release)
        while not releasing.done():
            server.stats()
            looks += not releasing.done()
    assert releasing.result() == {"released": 2000}
    assert looks > 3  # one may be answered before it begins, and one as it ends


def test_events_can_be_lost_or_doubled_on_the_way(with_events: Start, receiver: Receiver) -> None:
    server = with_events()
    server.faults(event_duplicate=1)
    ses_client(server.url).send_email(**single())
    assert sorted(kinds(receiver.events(4))) == ["Delivery", "Delivery", "Send", "Send"]
    server.faults(event_drop=1)
    ses_client(server.url).send_email(**single())
    assert server.stats()["events"]["dropped"] == 2


def test_rejects_and_delays_on_command(with_events: Start, receiver: Receiver) -> None:
    server = with_events(event_connections=1)
    server.faults(next=[{"delivery_delay": 1}, {"reject": 1}])
    ses = ses_client(server.url)
    ses.send_email(**single())
    assert kinds(receiver.events(3)) == ["Send", "DeliveryDelay", "Delivery"]
    ses.send_email(**single())
    assert kinds(receiver.events(4))[3] == "Reject"


def test_opens_and_clicks_on_command(with_events: Start, receiver: Receiver) -> None:
    server = with_events()
    mail_id = ses_client(server.url).send_email(**single())["MessageId"]
    receiver.events(2)
    server.control.post(f"/sandbox/mails/{mail_id}/open").raise_for_status()
    link = "https://example.com/page"
    server.control.post(f"/sandbox/mails/{mail_id}/click", json={"link": link}).raise_for_status()
    later = {post.kind: post.event for post in receiver.events(4)[2:]}
    assert later["Open"]["open"]["userAgent"]
    assert later["Click"]["click"]["link"] == link
    shown = server.mail(mail_id)["events"]
    assert {event["kind"] for event in shown} == {"Send", "Delivery", "Open", "Click"}
    assert json.dumps(shown)
