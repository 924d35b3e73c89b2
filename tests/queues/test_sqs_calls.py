"""The short way of SQS's two usual calls beside boto3's own: the same requests, the same answers,
the same errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.aws.sqs.calls import SqsCalls, all_deleted, usual_messages
from app.adapters.aws.sqs.queue import BATCH, IN_HAND_SECONDS, WAIT_SECONDS, SqsQueue, sqs_client
from app.domain.untrusted import page_words
from tests.integration.test_bulk_calls import Wire, shown
from tests.support.service import settings_for

URL = "http://127.0.0.1:9/123456789012/events"
SETTINGS = settings_for("postgresql://unused", None, AWS_ENDPOINT_URL_SQS="http://127.0.0.1:9")
RECEIPTS = ["AQEB+/=" + "x" * 300, 'a "quote" \\ and \n', "é 日 \U0001f600", "half \ud800", "", "1"]


def client() -> Any:
    return sqs_client(SETTINGS, URL)


def calls_of(client: Any) -> SqsCalls:
    return SqsCalls(client, URL, wait_seconds=WAIT_SECONDS, in_hand_seconds=IN_HAND_SECONDS)


def by_boto3_received(client: Any, most: int = BATCH) -> Any:
    return client.receive_message(
        QueueUrl=URL, MaxNumberOfMessages=most, WaitTimeSeconds=WAIT_SECONDS,
        VisibilityTimeout=IN_HAND_SECONDS,
        MessageSystemAttributeNames=["SentTimestamp", "MessageGroupId"],
    ).get("Messages", [])  # fmt: skip


def by_boto3_deleted(client: Any, receipts: Sequence[str] = RECEIPTS) -> Any:
    entries = [{"Id": str(n), "ReceiptHandle": one} for n, one in enumerate(receipts)]
    return client.delete_message_batch(QueueUrl=URL, Entries=entries).get("Failed", [])


def ended(call: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(ConnectionResetError):
        call(*arguments)


def test_it_sends_what_boto3_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every time, whatever the receipts hold."""
    now = datetime.now(UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: now)
    sqs, wire = client(), Wire()
    sqs._endpoint.http_session = wire
    calls = calls_of(sqs)
    assert wire.left == [], "nothing is sent to learn"
    for most in (BATCH, BATCH, 3):
        ended(calls.receive, most)
        ended(by_boto3_received, sqs, most)
    for receipts in (RECEIPTS, RECEIPTS[:1]):
        ended(calls.delete, receipts)
        ended(by_boto3_deleted, sqs, receipts)
    assert len(wire.left) == 10
    for ours, theirs in zip(wire.left[::2], wire.left[1::2], strict=True):
        assert shown(ours) == shown(theirs)
        assert "Signature=" in shown(ours)["Authorization"]
    assert len({str(each.headers["amz-sdk-invocation-id"]) for each in wire.left}) == 10


def test_credentials_that_end_are_fetched_anew() -> None:
    """Each call asks for those that count now."""
    fetched: list[str] = []

    def fetch() -> dict[str, str]:
        fetched.append(f"AKID{len(fetched)}")
        ends = datetime.now(UTC) + timedelta(seconds=60)  # so soon that each call fetches again
        return {
            "access_key": fetched[-1], "secret_key": "s", "token": f"token-{fetched[-1]}",
            "expiry_time": ends.isoformat(),
        }  # fmt: skip

    sqs, wire = client(), Wire()
    sqs._request_signer._credentials = RefreshableCredentials.create_from_metadata(
        fetch(), refresh_using=fetch, method="test"
    )
    sqs._endpoint.http_session = wire
    calls = calls_of(sqs)
    for _ in range(3):
        ended(calls.receive, BATCH)
    signed = [str(shown(request)["Authorization"]) for request in wire.left]
    tokens = [shown(request)["X-Amz-Security-Token"] for request in wire.left]
    assert fetched == ["AKID0", "AKID1", "AKID2", "AKID3"]
    for number, (signature, token) in enumerate(zip(signed, tokens, strict=True), 1):
        assert f"Credential=AKID{number}/" in signature
        assert f"token-AKID{number}" in token


class Body:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: object, **__: object) -> list[bytes]:
        return [self._body]


class Answering:
    """In the place of the client's session: it says the same to all."""

    def __init__(self, status: int, body: bytes, **headers: str) -> None:
        named = HTTPHeaders.from_dict({k.replace("_", "-"): v for k, v in headers.items()})
        self._answer = status, body, named

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        status, body, headers = self._answer
        return AWSResponse(request.url, status, headers, Body(body))


def outcome(call: Callable[[], Any]) -> Any:
    """What it gives, or what it raises, as far as anybody looks at that."""
    try:
        return call()
    except ClientError as exc:
        words = page_words(str(exc).replace(" (reached max retries: 0)", ""))
        return exc.response["Error"]["Code"], exc.response["Error"]["Message"], words
    except Exception as exc:  # noqa: BLE001  however it fails
        return "failed", isinstance(exc, BotoCoreError)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (400, b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue"}',
         {"x_amzn_query_error": "AWS.SimpleQueueService.NonExistentQueue;Sender"}),
        (400, b'{"__type":"com.amazonaws.sqs#ReceiptHandleIsInvalid","message":"x"}', {}),
        (403, b'{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"x"}', {}),
        (403, b'{"__type":"AccessDeniedException","Message":"User: arn:aws:iam::1:user/x"}', {}),
        (400, b'{"__type":"ThrottlingException","message":"Rate exceeded"}', {}),
        (301, b"", {"location": "https://sqs.us-east-1.amazonaws.com/"}),
        (403, b"<html>a proxy</html>", {}), (503, b"", {}), (500, b'{"message": null}', {}),
        (200, b'{"Messages":[{"MessageId":"1","ReceiptHandle":"r","Bo', {}), (200, b"", {}),
        (200, b"\xff", {}), (200, b"null", {}), (200, b"[]", {}), (200, b'{"Failed":{"a":1}}', {}),
        (200, b'{"Failed":[{"Id":"0","SenderFault":true,"Code":"ReceiptHandleIsInvalid"}]}', {}),
        (200, b'{"Failed":[],"Successful":[{"Id":"0"},{"Id":"1"}]}', {}),
    ],
)  # fmt: skip
def test_whatever_sqs_answers_comes_out_as_of_boto3(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    sqs = client()
    calls = calls_of(sqs)
    sqs._endpoint.http_session = Answering(status, body, **headers)
    assert outcome(lambda: calls.receive(BATCH)) == outcome(lambda: by_boto3_received(sqs))
    assert outcome(lambda: calls.delete(RECEIPTS)) == outcome(lambda: by_boto3_deleted(sqs))


texts = st.sampled_from(["", "id", "é 日", "\ud800", "\0", "x" * 300, '"\\'])
values: st.SearchStrategy[Any] = texts | st.sampled_from([None, 1, True, [], {}, ["x"], {"a": "b"}])
message = st.one_of(
    st.builds(
        lambda known, more: known | more,
        st.fixed_dictionaries(
            {"MessageId": texts, "ReceiptHandle": texts, "Body": texts},
            optional={
                "MD5OfBody": texts,
                "Attributes": st.dictionaries(st.sampled_from(["SentTimestamp", "b"]), texts),
            },
        ),
        st.dictionaries(
            st.sampled_from(["Body", "Attributes", "MessageAttributes", "Unknown", "MD5OfBody"]),
            values,
            max_size=1,
        ),
    ),
    values,
)
received = st.one_of(
    st.lists(message, max_size=3).map(lambda found: {"Messages": found}),
    st.lists(message, max_size=2).map(lambda found: {"Messages": found, "More": 1}),
    values.map(lambda value: {"Messages": value}),
    values,
).map(lambda value: json.dumps(value).encode())

READER = client()


def by_its_parser(operation: str, body: bytes) -> dict[str, Any] | None:
    """None: it fails, and nobody can say."""
    response = {"status_code": 200, "headers": {}, "body": body, "context": {}}
    model = READER.meta.service_model.operation_model(operation)
    try:
        found = READER._response_parser.parse(response, model.output_shape)
    except Exception:  # noqa: BLE001  however it fails
        return None
    return dict(found)


@given(received | st.binary(max_size=20), st.integers(0, 60))
def test_it_reads_what_boto3_reads(body: bytes, cut: int) -> None:
    """Also of an answer that is cut."""
    for text in (body, body[: -cut or None]):
        ours = usual_messages(text)
        if ours is not None:
            theirs = by_its_parser("ReceiveMessage", text)
            assert theirs is not None
            assert ours == theirs.get("Messages", [])


deleted = st.fixed_dictionaries(
    {},
    optional={
        "Successful": st.lists(
            st.sampled_from([{"Id": "0"}, {"Id": "1"}, {"Id": "2"}, {"Id": "x"}, {}, None])
        )
        | values,
        "Failed": st.sampled_from(
            [[], [{"Id": "1", "SenderFault": True, "Code": "x"}], None, {}, 0, "", [1]]
        ),
    },
).map(lambda value: json.dumps(value).encode())


@given(deleted | st.binary(max_size=20), st.integers(0, 40))
def test_all_is_deleted_only_where_boto3_reads_of_nothing_else(body: bytes, cut: int) -> None:
    for text in (body, body[: -cut or None]):
        if all_deleted(text, 2):
            theirs = by_its_parser("DeleteMessageBatch", text)
            assert theirs is not None
            assert theirs.get("Failed", []) == []
            assert sorted(each["Id"] for each in theirs["Successful"]) == ["0", "1"]


def test_it_reads_what_sqs_says_when_all_is_as_usual() -> None:
    """Else it would be no short way."""
    one = {
        "MessageId": "1", "ReceiptHandle": "r", "MD5OfBody": "m", "Body": "{}",
        "Attributes": {"SentTimestamp": "1700000000000"},
    }  # fmt: skip
    assert usual_messages(orjson.dumps({"Messages": [one, one]})) == [one, one]
    assert usual_messages(b"{}") == []
    assert all_deleted(b'{"Failed":[],"Successful":[{"Id":"1"},{"Id":"0"}]}', 2)
    assert not all_deleted(b'{"Failed":[],"Successful":[{"Id":"0"}]}', 2)


async def test_a_queue_takes_the_short_way() -> None:
    """Of its own client, with its own times."""
    queue = SqsQueue(SETTINGS, URL, name="x", threads=1, wait_seconds=7, in_hand_seconds=77)
    sqs: Any = queue._client()
    body = b'{"Messages":[{"MessageId":"1","ReceiptHandle":"r","Body":"b"}]}'
    sqs._endpoint.http_session = Answering(200, body)
    sqs.receive_message = sqs.delete_message_batch = None
    queue._prepared = SqsCalls(client(), URL, wait_seconds=7, in_hand_seconds=77)
    queue._prepared._client._endpoint.http_session = Answering(200, body)
    [taken] = await queue.take(10)
    assert (taken.id, taken.body) == ("1", b"b")
    asked = json.loads(queue._prepared._receiving[10].template["body"])
    assert (asked["WaitTimeSeconds"], asked["VisibilityTimeout"]) == (7, 77)
    await queue.close()
