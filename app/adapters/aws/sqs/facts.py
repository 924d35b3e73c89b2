"""What SQS says of a queue, and whether it lets us work on it. Blocking; asked by the checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from app.adapters.aws.sqs.queue import sqs_client
from app.adapters.aws.sqs.words import is_denied, is_missing, queue_trouble
from app.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

NO_MESSAGE = "AQEBamazonsender"
"""A receipt of no message: what SQS says to it tells whether we may at all, and changes nothing."""


class SqsFacts:
    """ports.QueueFacts."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def attributes(self, url: str) -> dict[str, str] | None:
        client = sqs_client(self._settings, url)
        try:
            answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        except Exception as exc:  # also for answers that make no sense
            if is_missing(exc):
                return None
            raise queue_trouble(exc, url) from exc
        return {str(name): value for name, value in answer.get("Attributes", {}).items()}

    def dead_letters(self, url: str, arn: str) -> dict[str, str] | None:
        client = sqs_client(self._settings, url)
        *_, account, name = arn.split(":")
        try:
            found = client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
        except Exception as exc:  # also for answers that make no sense
            if is_missing(exc):
                return None
            raise queue_trouble(exc, url) from exc
        return self.attributes(found["QueueUrl"])

    def denied(self, url: str) -> list[str]:
        client: SQSClient = sqs_client(self._settings, url)
        tries: dict[str, Callable[[], Any]] = {
            "sqs:DeleteMessage": lambda: client.delete_message(
                QueueUrl=url, ReceiptHandle=NO_MESSAGE
            ),
            "sqs:ChangeMessageVisibility": lambda: client.change_message_visibility(
                QueueUrl=url, ReceiptHandle=NO_MESSAGE, VisibilityTimeout=0
            ),
        }
        return [permission for permission, call in tries.items() if _is_denied(call, url)]


def _is_denied(call: Callable[[], Any], url: str) -> bool:
    try:
        call()
    except ClientError as exc:
        return is_denied(exc)
    except Exception as exc:
        raise queue_trouble(exc, url) from exc
    return False
