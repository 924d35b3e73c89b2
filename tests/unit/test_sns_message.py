"""The envelope of SNS: read strictly, signed text unambiguous, certificates only from SNS."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.ses.sns_message import (
    BadSignature,
    ForbiddenSource,
    MalformedSnsMessage,
    RawDelivery,
    SnsMessage,
    check_certificate_url,
    parse_sns_message,
    string_to_sign,
    topic_region,
)
from tests.support.sns import CERTIFICATE_URL, TIMESTAMP, TOPIC_ARN, body_of, headers_of

NOTIFICATION: dict[str, Any] = {
    "Type": "Notification",
    "MessageId": "5f1c-2",
    "TopicArn": TOPIC_ARN,
    "Subject": "Grüße",
    "Message": '{"eventType":"Send"}\n',
    "Timestamp": TIMESTAMP,
    "SignatureVersion": "1",
    "Signature": "c2lnbmF0dXJl",
    "SigningCertURL": CERTIFICATE_URL,
    "UnsubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe",
    "MessageAttributes": {"a": {"Type": "String", "Value": "b"}},
}
CONFIRMATION: dict[str, Any] = {
    "Type": "SubscriptionConfirmation",
    "MessageId": "5f1c-1",
    "Token": "2336",
    "TopicArn": TOPIC_ARN,
    "Message": "You have chosen to subscribe …",
    "SubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription",
    "Timestamp": TIMESTAMP,
    "SignatureVersion": "2",
    "Signature": "c2lnbmF0dXJl",
    "SigningCertURL": CERTIFICATE_URL,
}


def parse(envelope: dict[str, Any]) -> SnsMessage:
    return parse_sns_message(body_of(envelope), headers_of(envelope))


def test_a_notification_is_read_as_sns_wrote_it() -> None:
    message = parse(NOTIFICATION)
    assert message == SnsMessage(
        type="Notification",
        message_id="5f1c-2",
        topic_arn=TOPIC_ARN,
        message='{"eventType":"Send"}\n',
        subject="Grüße",
        timestamp=TIMESTAMP,
        token=None,
        subscribe_url=None,
        signature="c2lnbmF0dXJl",
        signature_version="1",
        signing_cert_url=CERTIFICATE_URL,
    )
    assert message.published_at == datetime(2026, 1, 31, 9, 0, 1, 500_000, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_both_confirmations_carry_a_token(kind: str) -> None:
    message = parse({**CONFIRMATION, "Type": kind})
    assert (message.type, message.token) == (kind, "2336")


def test_the_body_may_come_without_the_headers_of_sns() -> None:
    assert parse_sns_message(body_of(NOTIFICATION), {}).message_id == "5f1c-2"


def test_raw_delivery_is_refused_with_a_remedy() -> None:
    headers = {"x-amz-sns-rawdelivery": "true", "x-amz-sns-message-type": "Notification"}
    with pytest.raises(RawDelivery, match="RawMessageDelivery = false"):
        parse_sns_message(b'{"eventType":"Send"}', headers)


def test_the_header_must_name_the_type_of_the_body() -> None:
    headers = headers_of(CONFIRMATION)
    with pytest.raises(MalformedSnsMessage, match="x-amz-sns-message-type"):
        parse_sns_message(body_of(NOTIFICATION), headers)


@pytest.mark.parametrize("kind", ["notification", "NOTIFICATION", "Notification ", "Other"])
def test_a_type_that_sns_does_not_write_is_refused(kind: str) -> None:
    with pytest.raises(MalformedSnsMessage, match="Type"):
        parse({**NOTIFICATION, "Type": kind})


REQUIRED = [
    (NOTIFICATION, n)
    for n in NOTIFICATION
    if n not in ("Subject", "UnsubscribeURL", "MessageAttributes")
]
REQUIRED += [(CONFIRMATION, name) for name in CONFIRMATION]


@pytest.mark.parametrize(("envelope", "name"), REQUIRED)
@pytest.mark.parametrize("value", ["absent", None, "", 7, ["Notification"], {"a": 1}, True])
def test_a_missing_or_wrongly_typed_field_is_refused(
    envelope: dict[str, Any], name: str, value: Any
) -> None:
    changed = {**envelope, name: value}
    if value == "absent":
        del changed[name]
    with pytest.raises(MalformedSnsMessage, match=name):
        parse_sns_message(body_of(changed), {})


def test_a_null_subject_counts_as_absent() -> None:
    null = parse({**NOTIFICATION, "Subject": None})
    assert null.subject is None
    assert b"Subject" not in string_to_sign(null)
    with pytest.raises(MalformedSnsMessage, match="Subject"):
        parse({**NOTIFICATION, "Subject": 5})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"Notification"',
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b'{"Type": NaN}',
        b'{"Type": 1' + b"0" * 10_000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"Type":"Notification","Type":"Notification"}',
        body_of(NOTIFICATION)[:-1] + b', "TopicArn": "arn:aws:sns:eu-central-1:666:theirs"}',
        body_of(NOTIFICATION)[:-1] + b', "MessageAttributes": {"a": 1, "a": 2}}',
        body_of(NOTIFICATION).replace(b'"5f1c-2"', b'"\\ud800"'),
    ],
)
def test_a_body_that_sns_does_not_write_is_refused(body: bytes) -> None:
    """Doubled keys among it: two readers could take different ones."""
    with pytest.raises(MalformedSnsMessage):
        parse_sns_message(body, {})


@given(
    st.binary()
    | st.fixed_dictionaries(
        {
            name: st.sampled_from([None, 1, [], {}, "", "x", "\ud800", value])
            for name, value in NOTIFICATION.items()
        }
    ).map(body_of)
)
def test_any_body_is_a_message_or_refused(body: bytes) -> None:
    with contextlib.suppress(MalformedSnsMessage, BadSignature):
        string_to_sign(parse_sns_message(body, {}))


def test_the_signed_text_of_a_notification() -> None:
    assert string_to_sign(parse(NOTIFICATION)).decode() == (
        'Message\n{"eventType":"Send"}\n\nMessageId\n5f1c-2\nSubject\nGrüße\n'
        f"Timestamp\n{TIMESTAMP}\nTopicArn\n{TOPIC_ARN}\nType\nNotification\n"
    )


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_the_signed_text_of_a_confirmation(kind: str) -> None:
    assert string_to_sign(parse({**CONFIRMATION, "Type": kind})).decode() == (
        "Message\nYou have chosen to subscribe …\nMessageId\n5f1c-1\n"
        "SubscribeURL\nhttps://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription\n"
        f"Timestamp\n{TIMESTAMP}\nToken\n2336\nTopicArn\n{TOPIC_ARN}\nType\n{kind}\n"
    )


def test_a_subject_can_not_be_smuggled_into_another_field() -> None:
    """Both would be signed by the very same bytes; only the honest one passes."""
    honest = parse(NOTIFICATION)
    forged = replace(honest, message_id=f"{honest.message_id}\nSubject\nGrüße", subject=None)
    string_to_sign(honest)
    with pytest.raises(BadSignature, match="MessageId"):
        string_to_sign(forged)


parts = st.sampled_from(
    ["\n", "Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type", "x"]
)
tricky = st.lists(parts, max_size=8).map("".join)
messages = st.builds(
    SnsMessage,
    type=st.just("Notification"),
    message_id=tricky,
    topic_arn=tricky,
    message=tricky,
    subject=st.none() | tricky,
    timestamp=tricky,
    token=st.none(),
    subscribe_url=st.none(),
    signature=st.just(""),
    signature_version=st.just("1"),
    signing_cert_url=st.just(""),
)


@given(messages, messages)
def test_two_different_messages_never_share_a_signed_text(
    one: SnsMessage, other: SnsMessage
) -> None:
    try:
        same = string_to_sign(one) == string_to_sign(other)
    except BadSignature:
        return
    assert same == (one == other)


@pytest.mark.parametrize(
    "timestamp", ["yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00"]
)
def test_a_timestamp_is_a_time(timestamp: str) -> None:
    with pytest.raises(MalformedSnsMessage, match="Timestamp"):
        _ = replace(parse(NOTIFICATION), timestamp=timestamp).published_at


# --- certificates: RELIABILITY rows 1 to 5 -------------------------------------------------

PEM = "SimpleNotificationService-0abc.pem"
SANDBOX = "http://127.0.0.1:4566"


@pytest.mark.parametrize(
    ("url", "topic_arn"),
    [
        (CERTIFICATE_URL, TOPIC_ARN),
        (
            f"https://sns.us-gov-west-1.amazonaws.com/{PEM}",
            "arn:aws-us-gov:sns:us-gov-west-1:111122223333:t",
        ),
        (
            f"https://sns.cn-north-1.amazonaws.com.cn/{PEM}",
            "arn:aws-cn:sns:cn-north-1:111122223333:t",
        ),
    ],
)
@pytest.mark.parametrize("sandbox", [None, SANDBOX])
def test_certificates_of_the_topics_region_are_allowed(
    url: str, topic_arn: str, sandbox: str | None
) -> None:
    check_certificate_url(url, topic_arn, sandbox)


HOST = "sns.eu-central-1.amazonaws.com"


@pytest.mark.parametrize("sandbox", [None, SANDBOX])
@pytest.mark.parametrize(
    "url",
    [
        # 1: anybody's bucket
        "https://evil.s3.amazonaws.com/SimpleNotificationService-1.pem",
        # 2: a bucket that passes Amazon's own pattern
        "https://sns.s3-ap-southeast-2.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.s3-eu-central-1.amazonaws.com/SimpleNotificationService-1.pem",
        # 3: what only begins or ends like it
        f"https://{HOST}.evil.test/{PEM}",
        f"https://{HOST}@evil.test/{PEM}",
        f"https://user:pw@{HOST}/{PEM}",
        f"https://{HOST}/{PEM}#.pem",
        f"https://{HOST}/{PEM}?x=.pem",
        f"https://{HOST}/{PEM}\n",
        f"\nhttps://{HOST}/{PEM}",
        f" https://{HOST}/{PEM}",
        f"https://evil.test/https://{HOST}/{PEM}",
        # 4: other schemes, ports, hosts
        f"http://{HOST}/{PEM}",
        "file:///etc/ssl/SimpleNotificationService-1.pem",
        f"https://{HOST}:8443/{PEM}",
        f"https://{HOST}:443/{PEM}",
        f"//169.254.169.254/{PEM}",
        f"https://169.254.169.254/{PEM}",
        f"https://SNS.eu-central-1.amazonaws.com/{PEM}",
        f"HTTPS://{HOST}/{PEM}",
        f"https://sns.eu-central-1.amazonaws.com./{PEM}",
        f"https://ѕns.eu-central-1.amazonaws.com/{PEM}",
        f"https://xn--ns-q3a.eu-central-1.amazonaws.com/{PEM}",
        f"https://sns.eu-central-1.amazonaws.com.cn/{PEM}",
        f"https://snsXeu-central-1.amazonaws.com/{PEM}",
        # of another region than the topic's
        f"https://sns.us-east-1.amazonaws.com/{PEM}",
        # 5: other paths on the right host
        f"https://{HOST}/x/../{PEM}",
        f"https://{HOST}/x/{PEM}",
        f"https://{HOST}//{PEM}",
        f"https://{HOST}/?Action=GetTopicAttributes&x=.pem",
        f"https://{HOST}/%53impleNotificationService-1.pem",
        f"https://{HOST}/SimpleNotificationService-.pem",
        f"https://{HOST}/SimpleNotificationService-1Xpem",
        f"https://{HOST}/SimpleNotificationService-١.pem",
        f"https://{HOST}\\@evil.test/{PEM}",
        f"https://{HOST}",
        "",
        # near the sandbox's address
        f"https://127.0.0.1:4566/{PEM}",
        f"http://127.0.0.1:45660/{PEM}",
        f"http://127.0.0.1/{PEM}",
        f"http://127.0.0.1:4566@evil.test/{PEM}",
        f"http://127.0.0.1:4566.evil.test/{PEM}",
        f"http://127.0.0.1:4566/../{PEM}",
        f"http://127.0.0.1:4566/{PEM}?x=.pem",
        f"http://127.0.0.1:4566/{PEM}#.pem",
        f"http://127.0.0.1:4566/{PEM}\n",
        "http://127.0.0.1:4566/?Action=x.pem",
    ],
)
def test_certificates_from_anywhere_else_are_forbidden(url: str, sandbox: str | None) -> None:
    with pytest.raises(ForbiddenSource):
        check_certificate_url(url, TOPIC_ARN, sandbox)


@pytest.mark.parametrize("endpoint", [SANDBOX, f"{SANDBOX}/"])
@pytest.mark.parametrize("path", [f"/{PEM}", "/sns/certificate-1.pem"])
def test_a_sandbox_may_name_certificates_of_its_own(endpoint: str, path: str) -> None:
    check_certificate_url(f"{SANDBOX}{path}", TOPIC_ARN, endpoint)
    with pytest.raises(ForbiddenSource):
        check_certificate_url(f"{SANDBOX}{path}", TOPIC_ARN, None)


def test_the_region_of_a_topic() -> None:
    assert topic_region(TOPIC_ARN) == "eu-central-1"
    assert topic_region("arn:aws:sns:us-east-1:000000000000:ses.fifo") == "us-east-1"


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "ses-events",
        "arn:aws:sqs:eu-central-1:111122223333:q",
        "arn:aws:sns:s3-us-west-2.x:111122223333:t",
        "arn:aws:sns:eu-central-1:111122223333:t\n",
        "arn:aws:sns:eu-central-1:111122223333:t:sub",
        "arn:aws-evil:sns:eu-central-1:111122223333:t",
        "arn:aws:sns:evil.test/eu-central-1:111122223333:t",
    ],
)
def test_what_is_no_topic_has_no_region(arn: str) -> None:
    with pytest.raises(ForbiddenSource):
        topic_region(arn)


def test_refusals_have_the_status_of_the_contract() -> None:
    assert (MalformedSnsMessage.status, RawDelivery.status) == (400, 400)
    assert (ForbiddenSource.status, BadSignature.status) == (403, 403)
