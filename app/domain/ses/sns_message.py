"""The envelope in which SNS delivers over HTTP, and what makes it trustworthy. Pure.

Sources: https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html and
https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NoReturn
from urllib.parse import urlsplit

from app.domain.given.strict_json import DoubledKey, once_each, read_strict
from app.errors import AppError

NOTIFICATION = "Notification"
SUBSCRIPTION_CONFIRMATION = "SubscriptionConfirmation"
UNSUBSCRIBE_CONFIRMATION = "UnsubscribeConfirmation"
_TYPES = (NOTIFICATION, SUBSCRIPTION_CONFIRMATION, UNSUBSCRIBE_CONFIRMATION)

# The fields that are signed, in the order of the string to sign.
_SIGNED_IN_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SIGNED_IN_CONFIRMATION = (
    "Message",
    "MessageId",
    "SubscribeURL",
    "Timestamp",
    "Token",
    "TopicArn",
    "Type",
)

_DNS_SUFFIX = {
    "aws": "amazonaws.com",
    "aws-us-gov": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
}
# A body is parsed before its signature can be checked, so a stranger's body must not cost much:
# 16 KB of the worst JSON take 1 ms, and 300 KB of it 25 ms. An envelope is a dozen texts, and
# perhaps attributes (SES sets none).
SMALL_BYTES = 16_384
MAX_MEMBERS = 32
MAX_ATTRIBUTES_CHARS = 4_096
# All but the line breaks, of which string_to_sign says more.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_OPENED = re.compile(r"[ \t\r\n]*\{[ \t\r\n]*")
_NAMED = re.compile(r"[ \t\r\n]*:[ \t\r\n]*")
_NEXT = re.compile(r"[ \t\r\n]*,[ \t\r\n]*")
_CLOSED = re.compile(r"[ \t\r\n]*\}[ \t\r\n]*\Z")

# Words of letters, then a number. `s3-us-west-2`, the host of a bucket, does not fit.
_REGION = r"[a-z]{2,}(?:-[a-z]+)+-[0-9]+"
_TOPIC_ARN = re.compile(
    rf"arn:(aws(?:-[a-z]+)*):sns:({_REGION}):[0-9]{{12}}:[A-Za-z0-9_.-]{{1,256}}"
)
_CERTIFICATE_PATH = r"/SimpleNotificationService-[A-Za-z0-9]+\.pem"
# A sandbox may name its certificates freely, but no dot segment, query, escape or fragment.
_SANDBOX_CERTIFICATE_PATH = r"(?:/[A-Za-z0-9_-]+)+\.pem"


class MalformedSnsMessage(AppError):
    """Not a message as SNS writes them. Sending it again won't help."""

    status, code, title = 400, "malformed_sns_message", "The body is not an SNS message"


class RawDelivery(MalformedSnsMessage):
    """Raw message delivery carries no signature, so nothing says who wrote it."""

    code, title = "raw_message_delivery", "Raw message delivery is switched on"


class ForbiddenSource(AppError):
    """A topic we don't listen to, or a certificate from anywhere but SNS itself."""

    status, code, title = 403, "forbidden_source", "The message is not from an allowed source"


class BadSignature(ForbiddenSource):
    """Strangers aren't told this one from the other, so that they can't guess a topic's name."""

    code, title = "bad_signature", "The message's signature is not valid"


class MessageTooOld(AppError):
    """Genuine, but of long ago, and never seen before."""

    status, code, title = 403, "message_too_old", "The message was published too long ago"


MAX_AGE = timedelta(days=15)
"""SNS itself repeats a message for an hour at most, and a dead-letter queue, out of which somebody
may post it again, keeps it for 14 days at most."""
MAX_ID_CHARS = 255
"""A MessageId has 36; it is an index's key."""


@dataclass(frozen=True)
class SnsMessage:
    """An envelope, with every text exactly as received: the signature covers those texts."""

    type: str
    message_id: str
    topic_arn: str
    message: str
    subject: str | None
    timestamp: str
    token: str | None
    """Only in the two confirmations, like `subscribe_url`, which is signed but never fetched."""
    subscribe_url: str | None
    signature: str
    signature_version: str
    signing_cert_url: str

    @property
    def published_at(self) -> datetime:
        """When SNS published it (UTC); retries keep it. Raises MalformedSnsMessage.

        Read after the signature was checked: a changed timestamp is a forgery, not a typing error.
        """
        try:
            time = datetime.fromisoformat(self.timestamp)
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        except (ValueError, OverflowError) as exc:
            raise MalformedSnsMessage("Timestamp is not an ISO 8601 time.") from exc


def parse_sns_message(body: bytes, headers: Mapping[str, str]) -> SnsMessage:
    """Read a request of SNS strictly.

    body: at most the 256 KB of SNS plus its envelope; the caller limits it.
    headers: with lower-case names, or a mapping that ignores case.
    A null Subject, Token or SubscribeURL counts as absent.
    Raises MalformedSnsMessage for anything else that SNS doesn't write, doubled JSON keys among
    it: with two `TopicArn`, one reader could check the first and another use the second.
    """
    if headers.get("x-amz-sns-rawdelivery", "false").lower() == "true":
        raise RawDelivery(
            "Raw message delivery removes the signature. Switch it off in the subscription "
            "(attribute RawMessageDelivery = false)."
        )
    envelope = _load(body)
    kind = _required(envelope, "Type")
    if kind not in _TYPES:
        raise MalformedSnsMessage(f"Type is none of {', '.join(_TYPES)}.")
    if headers.get("x-amz-sns-message-type", kind) != kind:
        raise MalformedSnsMessage("The header x-amz-sns-message-type differs from the body's Type.")
    confirmation = kind != NOTIFICATION
    message_id = _required(envelope, "MessageId")
    if len(message_id) > MAX_ID_CHARS:
        raise MalformedSnsMessage(f"MessageId has more than {MAX_ID_CHARS} characters.")
    return SnsMessage(
        type=kind,
        message_id=message_id,
        topic_arn=_required(envelope, "TopicArn"),
        message=_required(envelope, "Message"),
        subject=_optional(envelope, "Subject"),
        timestamp=_required(envelope, "Timestamp"),
        token=_required(envelope, "Token") if confirmation else None,
        subscribe_url=_required(envelope, "SubscribeURL") if confirmation else None,
        signature=_required(envelope, "Signature"),
        signature_version=_required(envelope, "SignatureVersion"),
        signing_cert_url=_required(envelope, "SigningCertURL"),
    )


def string_to_sign(message: SnsMessage) -> bytes:
    """The bytes that SNS signed: `name\\nvalue\\n` for each signed field, in a fixed order.

    Raises BadSignature when a field other than Message holds a line break: such a field could
    pass for several, so that two different messages would share one signature.
    """
    values = {
        "Message": message.message,
        "MessageId": message.message_id,
        "SubscribeURL": message.subscribe_url,
        "Subject": message.subject,
        "Timestamp": message.timestamp,
        "Token": message.token,
        "TopicArn": message.topic_arn,
        "Type": message.type,
    }
    names = _SIGNED_IN_NOTIFICATION if message.type == NOTIFICATION else _SIGNED_IN_CONFIRMATION
    lines = []
    for name in names:
        value = values[name]
        if value is None:
            continue
        if name != "Message" and "\n" in value:
            raise BadSignature(f"{name} holds a line break, which SNS never signs.")
        lines.append(f"{name}\n{value}\n")
    return "".join(lines).encode()


def topic_region(topic_arn: str) -> str:
    """The region of an SNS topic, such as `eu-central-1`. Raises ForbiddenSource."""
    return _partition_and_region(topic_arn)[1]


@lru_cache(maxsize=64)  # an address that is refused raises, and so takes no place
def check_certificate_url(url: str, topic_arn: str, sandbox_endpoint: str | None) -> None:
    """Raise ForbiddenSource unless `url` is where SNS keeps certificates of the topic's region.

    sandbox_endpoint: AWS_ENDPOINT_URL_SNS; its scheme, host and port are then allowed too, and
    only there may the scheme be http. The text is compared as a whole, so that no user name,
    port, query, fragment, escape or other host gets through. Amazon's own validators accept
    `sns.s3-REGION.amazonaws.com`, which is anybody's bucket (CVE-2023-33185 is of that kind).
    """
    partition, region = _partition_and_region(topic_arn)
    host = f"sns.{region}.{_DNS_SUFFIX[partition]}"
    if re.fullmatch(re.escape(f"https://{host}") + _CERTIFICATE_PATH, url):
        return
    if sandbox_endpoint is not None:
        endpoint = urlsplit(sandbox_endpoint)
        origin = f"{endpoint.scheme}://{endpoint.netloc}"
        if re.fullmatch(re.escape(origin) + _SANDBOX_CERTIFICATE_PATH, url):
            return
    raise ForbiddenSource(f"SigningCertURL is not a certificate of https://{host}.")


@lru_cache(maxsize=64)
def _partition_and_region(topic_arn: str) -> tuple[str, str]:
    match = _TOPIC_ARN.fullmatch(topic_arn)
    if match is None or match[1] not in _DNS_SUFFIX:
        raise ForbiddenSource("TopicArn is not the ARN of an SNS topic.")
    return match[1], match[2]


def _load(body: bytes) -> dict[str, Any]:
    try:
        # A small body is cheap to parse, whatever it holds. A large one is read member by member,
        # so that it is refused as soon as one is not as SNS writes it.
        envelope = read_strict(body) if len(body) <= SMALL_BYTES else _members(body.decode())
    except DoubledKey as exc:
        raise MalformedSnsMessage(f"The body is not JSON as SNS writes it: {exc}.") from exc
    # ValueError: not UTF-8, not JSON. RecursionError: nested thousands deep.
    except (ValueError, RecursionError) as exc:
        raise MalformedSnsMessage(
            "The body is not JSON as SNS writes it. Subscribe this address to an SNS topic "
            "with raw message delivery off."
        ) from exc
    if not isinstance(envelope, dict):
        raise MalformedSnsMessage("The body is JSON, but not an object.")
    return envelope


def _members(text: str) -> dict[str, Any]:
    """A JSON object of few members, each a text or short. Raises ValueError for any other."""
    found: list[tuple[str, Any]] = []
    at = _after(_OPENED, text, 0)
    while len(found) < MAX_MEMBERS:
        name, at = _value(text, at)
        value, at = _value(text, _after(_NAMED, text, at))
        found.append((name, value))
        if _CLOSED.match(text, at):
            return once_each(found)
        at = _after(_NEXT, text, at)
    raise ValueError("too many members")


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where the match of `pattern` at `at` ends. Raises ValueError when there is none."""
    match = pattern.match(text, at)
    if match is None:
        raise ValueError("not what JSON has there")
    return match.end()


def _value(text: str, at: int) -> tuple[Any, int]:
    """The value at `at`, and where it ends."""
    if text.startswith('"', at):
        return _STRICT.raw_decode(text, at)
    value, length = _STRICT.raw_decode(text[at : at + MAX_ATTRIBUTES_CHARS])
    return value, at + length


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_STRICT = json.JSONDecoder(object_pairs_hook=once_each, parse_constant=_refuse_constant)


def _optional(envelope: Mapping[str, Any], name: str) -> str | None:
    value = envelope.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise MalformedSnsMessage(f"{name} is not a string.")
    if value.isascii() and (name == "Message" or value.isprintable()):
        return value  # as nearly all are, so that none of it is looked for
    try:
        value.encode()
    except UnicodeEncodeError as exc:  # half of a surrogate pair: JSON can spell it, UTF-8 can't
        raise MalformedSnsMessage(f"{name} is not valid Unicode.") from exc
    if name != "Message" and _CONTROL.search(value):
        raise MalformedSnsMessage(f"{name} holds a control character.")
    return value


def _required(envelope: Mapping[str, Any], name: str) -> str:
    value = _optional(envelope, name)
    if not value:
        raise MalformedSnsMessage(f"{name} is missing.")
    return value
