"""What a queue of SQS says of itself, read. Pure.

Sources: the SQS developer guide, "Amazon SQS policy" and "Dead-letter queues"; the SNS developer
guide, "Subscribing an Amazon SQS queue to an Amazon SNS topic".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal
from urllib.parse import urlsplit

Writes = Literal["yes", "no", "anybody"]

_SOURCE_OPERATORS = ("ArnEquals", "ArnLike", "StringEquals", "StringLike")


def queue_name(url: str) -> str:
    return url.rpartition("/")[2]


def queue_arn(url: str, topic_arn: str, region: str | None) -> str:
    """topic_arn: one in the same partition. region: of a queue whose URL names none."""
    parts = urlsplit(url)
    host = (parts.hostname or "").split(".")
    named = host[1] if len(host) > 3 and host[0] == "sqs" else region
    _, account, name = parts.path.split("/")
    return f"arn:{topic_arn.split(':')[1]}:sqs:{named}:{account}:{name}"


def dead_letter_arn(attributes: Mapping[Any, str]) -> str | None:
    """Where messages go that were handed out too often, by the redrive policy."""
    policy = _json(attributes.get("RedrivePolicy"))
    arn = policy.get("deadLetterTargetArn")
    return arn if isinstance(arn, str) and arn.count(":") == 5 else None


def receives(attributes: Mapping[str, str]) -> int | None:
    """How often a message is handed out before it goes there."""
    try:
        return int(_json(attributes.get("RedrivePolicy"))["maxReceiveCount"])
    except (KeyError, TypeError, ValueError):
        return None


def lets_write(policy: str | None, topic_arn: str) -> Writes:
    """Whether a queue's policy lets a topic write into it. anybody: as it lets everybody, or every
    topic of whomever."""
    found: Writes = "no"
    for statement in _statements(policy):
        if statement.get("Effect") != "Allow" or not _names(statement, "Action", "sendmessage"):
            continue
        if not _is_for_sns(statement.get("Principal")):
            continue
        sources = list(_sources(statement.get("Condition")))
        if not sources:
            return "anybody"
        account = topic_arn.split(":")[4]
        if any(source == account or fnmatchcase(topic_arn, source) for source in sources):
            found = "yes"
    return found


def _statements(policy: str | None) -> list[dict[str, Any]]:
    found = _json(policy).get("Statement", [])
    return [each for each in _listed(found) if isinstance(each, dict)]


def _names(statement: Mapping[str, Any], member: str, action: str) -> bool:
    actions = [str(each).lower() for each in _listed(statement.get(member, []))]
    return any(each in {"*", "sqs:*", f"sqs:{action}"} for each in actions)


def _is_for_sns(principal: Any) -> bool:
    if not isinstance(principal, dict):
        return bool(principal == "*")
    services, accounts = _listed(principal.get("Service")), _listed(principal.get("AWS"))
    return bool("sns.amazonaws.com" in services or "*" in accounts)


def _sources(condition: Any) -> Iterator[str]:
    """The topics or accounts that a condition names."""
    if not isinstance(condition, dict):
        return
    for operator in _SOURCE_OPERATORS:
        for key, values in (condition.get(operator) or {}).items():
            if key.lower() in {"aws:sourcearn", "aws:sourceaccount"}:
                yield from map(str, _listed(values))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _json(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
