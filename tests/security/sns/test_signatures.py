"""What a signature covers, and what is read of a message."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from app.domain.ses.sns_message import MAX_AGE
from tests.security.sns.amazon import PATH, SIGNER, Sns, ago, bounce, with_doubled
from tests.support.engagement import told
from tests.support.service import TOPIC
from tests.support.sns import body_of, headers_of


async def test_10_each_version_is_checked_with_its_own_hash(sns: Sns) -> None:
    for version in ("1", "2"):
        event = {"eventType": "Send", "mail": {"version": version}}
        answer = await sns.post(sns.notification(event, version=version))
        assert answer.json() == {"recorded": True}
    async with sns.fortress.untouched():
        for signed, claimed in (("1", "2"), ("2", "1"), ("1", "3"), ("2", "3"), ("1", "0")):
            genuine = sns.notification("x", version=signed)
            forged = {**genuine, "SignatureVersion": claimed}
            assert (await sns.post(forged)).status_code == 403
        genuine = sns.notification("x")
        for claimed in ("", " 1", "1 ", "01", "1.0", "１", "sha1", "none", "1\n"):
            forged = {**genuine, "SignatureVersion": claimed}
            assert (await sns.post(forged)).status_code in {400, 403}, claimed
        for value in (None, 1, 2, True, ["1"], {"1": "1"}):
            assert (await sns.post({**genuine, "SignatureVersion": value})).status_code == 400
        del genuine["SignatureVersion"]
        assert (await sns.post(genuine)).status_code == 400


async def test_11_one_changed_byte_is_a_forgery(sns: Sns) -> None:
    notification = sns.notification(json.dumps({"eventType": "Send"}), Subject="Amazon SES")
    confirmation = sns.confirmation()
    async with sns.fortress.untouched():
        for envelope in (notification, confirmation):
            for name in ("Message", "MessageId", "Subject", "Timestamp", "Token", "SubscribeURL"):
                value = envelope.get(name)
                if value is None:
                    continue
                middle = len(value) // 2
                for place in (0, middle, len(value) - 1):
                    changed = value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]
                    answer = await sns.post({**envelope, name: changed}, {})
                    assert answer.status_code == 403, (name, changed)
                for changed in (value + " ", " " + value, value[:-1], value + "é"):
                    answer = await sns.post({**envelope, name: changed}, {})
                    assert answer.status_code == 403, (name, changed)
            topic = envelope["TopicArn"]
            assert (await sns.post({**envelope, "TopicArn": topic + "x"}, {})).status_code == 403
            flipped = bytearray(base64.b64decode(envelope["Signature"]))
            flipped[7] ^= 1
            signature = base64.b64encode(flipped).decode()
            assert (await sns.post({**envelope, "Signature": signature}, {})).status_code == 403
        other = {**notification, "Type": "SubscriptionConfirmation"}
        assert (await sns.post(other, {})).status_code == 400, "it has no token"
        for kind in ("Notification", "UnsubscribeConfirmation"):
            assert (await sns.post({**confirmation, "Type": kind}, {})).status_code == 403


async def test_12_no_field_passes_for_another(sns: Sns) -> None:
    """The same signed bytes, cut at other places; and members that come twice."""
    honest = sns.notification("text", Subject="s")
    bare = sns.notification("text")
    smuggled = [
        {**honest, "Subject": None, "MessageId": f"{honest['MessageId']}\nSubject\ns"},
        {**honest, "Subject": f"s\nTimestamp\n{honest['Timestamp']}"},
        {**honest, "Message": f"text\nMessageId\n{honest['MessageId']}", "MessageId": "x"},
        {**bare, "Subject": ""},
        {**bare, "Subject": "\n"},
        {**honest, "Subject": None},
    ]
    async with sns.fortress.untouched():
        for forged in smuggled[:3] + smuggled[4:]:
            assert (await sns.post(forged, {})).status_code == 403, forged
        for name in honest:
            for value in (honest[name], "other", None):
                doubled = await sns.post(with_doubled(honest, name, value), headers_of(honest))
                assert doubled.status_code == 400, name
        nested = {**honest, "MessageAttributes": {"a": 1}}
        body = body_of(nested).replace(b'{"a": 1}', b'{"a": 1, "a": 2}')
        assert (await sns.post(body)).status_code == 400
        escaped = body_of(honest)[:-1] + b', "Topic\\u0041rn": "x"}'
        assert (await sns.post(escaped)).status_code == 400


async def test_12_a_null_subject_is_none(sns: Sns) -> None:
    """One documented meaning: SNS signs neither."""
    event = {"eventType": "Send", "mail": {"null": "subject"}}
    assert (await sns.post({**sns.notification(event), "Subject": None})).status_code == 200


async def test_13_another_form_leaves_no_trace(sns: Sns) -> None:
    genuine = sns.notification("text")
    wrong: list[bytes] = [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"Notification"',
        b"\xff\xfe",
        b"\xef\xbb\xbf" + body_of(genuine),
        body_of(genuine) + b"x",
        b"[" + body_of(genuine) + b"]",
        b"a=b&c=d",
        b"<xml/>",
        body_of(genuine).replace(b'"Notification"', b"NaN"),
        body_of(genuine).replace(b'"text"', b"1" * 5_000),
        body_of(genuine).replace(b'"text"', b'"\\ud800"'),
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    ]
    kinds = ("notification", "NOTIFICATION", "Notification ", "Other", "", "Notification\0")
    envelopes: list[dict[str, Any]] = [{**genuine, "Type": kind} for kind in kinds]
    for name in genuine:
        if name == "UnsubscribeURL":
            continue
        envelopes += [{**genuine, name: value} for value in (7, True, ["x"], {"x": "y"}, 1.5)]
        if name != "MessageAttributes":
            envelopes.append({key: value for key, value in genuine.items() if key != name})
    for name in ("MessageId", "Timestamp", "Signature", "SigningCertURL", "TopicArn"):
        envelopes.append({**genuine, name: genuine[name] + "\0"})
        envelopes.append({**genuine, name: f"\x1b[31m{genuine[name]}"})
    envelopes.append({**genuine, "MessageId": "x" * 256})
    async with sns.fortress.untouched():
        for body in wrong:
            answer = await sns.post(body)
            assert (answer.status_code, answer.json()["code"]) == (400, "malformed_sns_message")
        for envelope in envelopes:
            answer = await sns.post(envelope, {})
            assert answer.status_code == 400, envelope
            assert answer.json()["code"] == "malformed_sns_message"
        for header in ("SubscriptionConfirmation", "notification", "", "Notification, x"):
            headers = headers_of(genuine) | {"x-amz-sns-message-type": header}
            assert (await sns.post(genuine, headers)).status_code == 400, header
        raw = {**headers_of(genuine), "x-amz-sns-rawdelivery": "true"}
        answer = await sns.post(b'{"eventType": "Send", "mail": {}}', raw)
        assert (answer.status_code, answer.json()["code"]) == (400, "raw_message_delivery")


async def test_13_signed_all_the_same(sns: Sns) -> None:
    """By SNS's own key, so that the signature refuses none of it."""
    async with sns.fortress.untouched():
        for name, value in (
            ("MessageId", "a\0b"),
            ("MessageId", "x" * 256),
            ("Subject", "\0"),
            ("Timestamp", "yesterday"),
            ("Timestamp", "2026-13-45T99:99:99Z"),
            ("Timestamp", "+99999-01-01T00:00:00Z"),
            ("Type", "Other"),
        ):
            fields = {"Subject": "s"} | {name: value}
            event = {"eventType": "Send", "mail": {"a": 1}}
            genuine = SIGNER.sign({**sns.notification(event), **fields})
            answer = await sns.post(genuine, {})
            assert answer.status_code == 400, (name, value, answer.text)
        for message in ("", "x", "null", "[]", "7", "{", '{"a":' * 2_000, '"\0"'):
            answer = await sns.post(sns.notification(message))
            assert answer.status_code == 400, message


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    "twice",
    [
        "x-amz-sns-topic-arn",
        "x-amz-sns-message-type",
        "x-amz-sns-rawdelivery",
        "content-length",
        "host",
    ],
)
async def test_13_a_header_that_comes_twice(sns: Sns, twice: str) -> None:
    body = body_of(sns.notification("text"))
    values = {
        "x-amz-sns-topic-arn": TOPIC,
        "x-amz-sns-message-type": "Notification",
        "x-amz-sns-rawdelivery": "false",
        "content-length": str(len(body)),
        "host": "service",
        "connection": "close",
    }
    lines = [f"{name}: {value}" for name, value in values.items()]
    lines.append(f"{twice}: {values[twice]}")
    head = "POST /ses-events HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n"
    async with sns.fortress.untouched():
        answer = await sns.fortress.raw(head.encode() + body)
        assert answer.startswith(b"HTTP/1.1 400 "), answer[:200]


async def test_14_what_comes_again_has_no_second_effect(sns: Sns) -> None:
    """At once, after a day, or after a month; under another id of SNS's, too."""
    mail = await sns.mail()
    message = json.dumps(told(mail, "Delivery"))
    # what SNS repeats within an hour is like the first delivery
    old = sns.notification(message, Timestamp=ago(minutes=61))
    assert (await sns.post(old)).json() == {"recorded": True}
    [state] = [row for row in await sns.states() if row["id"] == mail.log]
    assert state["status"] == "delivered"
    async with sns.fortress.untouched():
        assert (await sns.post(old)).json() == {"recorded": True}
    aged = SIGNER.sign({**old, "Timestamp": ago(days=31)})
    async with sns.fortress.untouched():
        assert (await sns.post(aged)).json() == {"recorded": True}
    other = sns.notification(message)
    before = await sns.states()
    assert (await sns.post(other)).json() == {"recorded": True}
    assert await sns.states() == before
    kept = "select count(*) from ses_events where sns_message_id = %s"
    assert await sns.fortress.arrange.one(kept, old["MessageId"]) == 1


async def test_14_an_old_message_is_not_taken_at_its_first_delivery(sns: Sns) -> None:
    """Once a dead-letter queue can't hold it any more, only a stranger still has it. What waited
    in a queue of ours is taken, however old (tests/queues)."""
    mail = await sns.mail()
    event = bounce(mail)
    for days in (MAX_AGE.days + 1, 40, 400):
        answer = await sns.refused(sns.notification(event, Timestamp=ago(days=days)))
        assert answer.json()["code"] == "message_too_old"
    redriven = sns.notification(event, Timestamp=ago(days=14, minutes=59))
    assert (await sns.post(redriven)).json() == {"recorded": True}
    [state] = [row for row in await sns.states() if row["id"] == mail.log]
    assert (state["status"], state["person"]) == ("bounced", "bounced")


async def test_14_a_replayed_confirmation_asks_for_the_same(sns: Sns) -> None:
    """SNS takes a token twice; an old one isn't even asked about."""
    confirmation = sns.confirmation()
    for _ in range(2):
        assert (await sns.post(confirmation)).json() == {"confirmed": True}
    assert sns.amazon.asked.count(PATH) == 1
