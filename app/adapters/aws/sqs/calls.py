"""ReceiveMessage and DeleteMessageBatch of one queue without what boto3 does anew for each call
(prepared_calls.py): for ten messages the two take boto3 6 ms of a processor.

SQS speaks "AWS JSON 1.0": an object asks, and an object answers. An answer that isn't wholly the
usual one is read by boto3's parser. tests/queues/test_sqs_calls.py compares both ways.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import orjson

from app.adapters.aws.prepared_calls import PreparedCalls, learn

_NEEDED = frozenset({"MessageId", "ReceiptHandle", "Body"})
_KNOWN = _NEEDED | {"MD5OfBody", "Attributes"}


class SqsCalls:
    """client: `teachable`, and for any number of threads. wait_seconds, in_hand_seconds: of each
    ReceiveMessage."""

    def __init__(self, client: Any, url: str, *, wait_seconds: int, in_hand_seconds: int) -> None:
        self._client, self._url = client, url
        self._wait_seconds, self._in_hand_seconds = wait_seconds, in_hand_seconds
        self._receiving: dict[int, PreparedCalls] = {}
        one: Any = {"Id": "0", "ReceiptHandle": "-"}
        self._deleting = learn(
            client, lambda: client.delete_message_batch(QueueUrl=url, Entries=[one])
        )

    def receive(self, most: int) -> list[Any]:
        """Messages as SQS describes them, perhaps none. Raises what boto3 raises."""
        call = self._receiving.get(most)
        if call is None:
            call = self._receiving[most] = learn(self._client, lambda: self._ask(most))
        answer = call.send(call.request(call.template["body"]))
        if answer.status_code == HTTPStatus.OK:
            messages = usual_messages(answer.content)
            if messages is not None:
                return messages
        return list(call.read(answer).get("Messages", []))

    def _ask(self, most: int) -> Any:
        return self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=most,
            WaitTimeSeconds=self._wait_seconds,
            VisibilityTimeout=self._in_hand_seconds,
            MessageSystemAttributeNames=["SentTimestamp", "MessageGroupId"],
        )

    def delete(self, receipts: Sequence[str]) -> list[Any]:
        """At most ten. Gives what SQS says of those that it didn't delete. Raises what boto3
        raises."""
        entries = [{"Id": str(n), "ReceiptHandle": receipt} for n, receipt in enumerate(receipts)]
        body = json.dumps({"QueueUrl": self._url, "Entries": entries}).encode()
        answer = self._deleting.send(self._deleting.request(body))
        if answer.status_code == HTTPStatus.OK and all_deleted(answer.content, len(receipts)):
            return []
        return list(self._deleting.read(answer).get("Failed", []))


def usual_messages(body: bytes) -> list[Any] | None:
    """None: boto3's parser is to read it."""
    try:
        answer = orjson.loads(body)
    except ValueError:
        return None
    if answer == {}:
        return []
    messages = answer.pop("Messages", None) if isinstance(answer, dict) else None
    usual = isinstance(messages, list) and not answer and all(map(_is_usual, messages))
    return messages if usual else None


def _is_usual(message: Any) -> bool:
    if not (isinstance(message, dict) and _NEEDED <= message.keys() <= _KNOWN):
        return False
    attributes = message.get("Attributes", {})
    texts = [value for name, value in message.items() if name != "Attributes"]
    return isinstance(attributes, dict) and all(
        isinstance(text, str) for text in (*texts, *attributes.values())
    )


def all_deleted(body: bytes, count: int) -> bool:
    """False as well for an answer that boto3's parser is to read."""
    try:
        answer = orjson.loads(body)
        ids = sorted(int(entry["Id"]) for entry in answer["Successful"])
        return ids == list(range(count)) and answer.get("Failed", []) == []
    except (ValueError, LookupError, TypeError, AttributeError):
        return False
