"""moto's SQS on a socket, in this process."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

import boto3

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

ACCOUNT = "123456789012"
REGION = "us-east-1"


class SqsServer:
    def __enter__(self) -> Self:
        from moto.server import ThreadedMotoServer  # takes a second, for each worker that collects
        from moto.sqs.models import Queue

        delete = Queue.delete_message

        def one_by_one(queue: Queue, receipt_handle: str) -> None:
            """moto makes the list of messages anew: of two who delete at once, one's stay."""
            with queue._messages_lock:
                delete(queue, receipt_handle)

        self._patch = patch.object(Queue, "delete_message", one_by_one)
        self._patch.start()
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self.client: SQSClient = boto3.client(
            "sqs",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="AKIATEST",
            aws_secret_access_key="test-secret-key",
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop()
        self._patch.stop()

    def queue(
        self,
        attributes: Mapping[str, str] | None = None,
        *,
        dead_letters: bool = True,
        fifo: bool = False,
    ) -> str:
        """The URL of a new queue; its dead-letter queue has the same with `-dead` in its name."""
        name, end = f"q{uuid.uuid4().hex}", ".fifo" if fifo else ""
        fixed: Any = {"FifoQueue": "true"} if fifo else {}
        redrive: Any = {}
        if dead_letters:
            days = (attributes or {}).get("MessageRetentionPeriod")
            keeps: Any = {"MessageRetentionPeriod": days} if days else {}
            self.client.create_queue(QueueName=f"{name}-dead{end}", Attributes={**fixed, **keeps})
            target = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}-dead{end}"
            policy = {"deadLetterTargetArn": target, "maxReceiveCount": "5"}
            redrive = {"RedrivePolicy": json.dumps(policy)}
        everything: Any = {**fixed, **redrive, **(attributes or {})}
        made = self.client.create_queue(QueueName=f"{name}{end}", Attributes=everything)
        return made["QueueUrl"]

    def count(self, url: str) -> dict[str, int]:
        """Messages that wait, and those in somebody's hand."""
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return {"waiting": int(found[names[0]]), "in_hand": int(found[names[1]])}

    def read(self, url: str) -> list[dict[str, Any]]:
        """What waits, which is taken out."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self.client.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            if not answer.get("Messages"):
                return found
            for message in answer["Messages"]:
                found.append(dict(message))
                self.client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def dead_letters_of(url: str) -> str:
    return f"{url.removesuffix('.fifo')}-dead{'.fifo' if url.endswith('.fifo') else ''}"
