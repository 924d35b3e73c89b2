"""What SQS's refusals mean, in words for the owner of the queue."""

from __future__ import annotations

from botocore.exceptions import ClientError, NoCredentialsError

from app.domain.untrusted import page_words
from app.errors import QueueAway

_MISSING = frozenset({"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "KmsAccessDenied"})
_REFUSED = frozenset({"InvalidParameterValue", "InvalidMessageContents"})


def is_missing(exc: Exception) -> bool:
    return _code(exc).rpartition("#")[2] in _MISSING


def is_denied(exc: Exception) -> bool:
    return _code(exc) in _DENIED


def is_refused(exc: Exception) -> bool:
    """Whether a message can't be written as it is: too large for the queue, say."""
    return _code(exc) in _REFUSED


def queue_trouble(exc: Exception, url: str) -> QueueAway:
    """url: of the queue that was asked."""
    name = url.rpartition("/")[2]
    words = page_words(str(exc)) or type(exc).__name__
    if isinstance(exc, NoCredentialsError):
        return QueueAway(
            f"SQS can't be asked for the queue {name}: there are no AWS credentials. Set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
        )
    if is_missing(exc):
        return QueueAway(
            f"There is no queue {name} in SQS: make it, or correct its URL in the settings.",
            queue_code="missing",
        )
    if is_denied(exc):
        return QueueAway(
            f"SQS refuses the queue {name}: give the IAM user the permission that the message "
            f"names ({words}).",
            queue_code="denied",
        )
    return QueueAway(f"SQS can't be asked for the queue {name}: {words}")


def _code(exc: Exception) -> str:
    return str(exc.response.get("Error", {}).get("Code")) if isinstance(exc, ClientError) else ""
