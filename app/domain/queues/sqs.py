"""What a queue of SQS says of itself, read. Pure.

Sources: the SQS developer guide, "Amazon SQS policy" and "Dead-letter queues"; the SNS developer
guide, "Subscribing an Amazon SQS queue to an Amazon SNS topic".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal
from urllib.parse import urlsplit

# Regional endpoints, also those of FIPS and dual stack; those of private networks; the oldest ones,
# of which the one that names no region is us-east-1's.
# https://docs.aws.amazon.com/general/latest/gr/sqs-service.html
_HOSTS = (
    re.compile(r"sqs(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)"),
    re.compile(r"vpce-[a-z0-9-]+\.sqs\.([a-z0-9-]+)\.vpce\.amazonaws\.com(?:\.cn)?"),
    re.compile(r"(?:([a-z0-9-]+)\.)?queue\.amazonaws\.com(?:\.cn)?"),
)

Writes = Literal["yes", "no", "anybody"]

_SOURCE_OPERATORS = ("ArnEquals", "ArnLike", "StringEquals", "StringLike")


def queue_name(url: str) -> str:
    return url.rpartition("/")[2]


def queue_place(url: str) -> str:
    """For a person: region, account and name."""
    return "/".join(filter(None, (queue_region(url), *urlsplit(url).path.split("/"))))


def queue_region(url: str) -> str | None:
    """The region that a queue's URL names; None: a stand-in's names none."""
    host = urlsplit(url).hostname or ""
    found = next(filter(None, (pattern.fullmatch(host) for pattern in _HOSTS)), None)
    return (found[1] or "us-east-1") if found else None


def queue_of(topic_arn: str, urls: Sequence[str]) -> str:
    """Which of the queues a topic is to write into: that of its region, else the first."""
    region = topic_arn.split(":")[3]
    return next((url for url in urls if queue_region(url) == region), urls[0])


def queue_arn(url: str, topic_arn: str, region: str | None) -> str:
    """topic_arn: one in the same partition. region: of a queue whose URL names none."""
    _, account, name = urlsplit(url).path.split("/")
    return f"arn:{topic_arn.split(':')[1]}:sqs:{queue_region(url) or region}:{account}:{name}"


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
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
