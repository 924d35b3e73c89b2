"""Clients, request builders and a receiver of SNS messages."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.support.local_server import LocalServer, Reply

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sns import SNSClient

WAIT_SECONDS = 10.0
_SESSION = boto3.Session(
    region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="secret"
)


def _config(**extra: Any) -> Config:
    return Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=5,
        **{"read_timeout": 5, **extra},
    )


def ses_client(url: str, **config: Any) -> SESV2Client:
    return _SESSION.client("sesv2", endpoint_url=url, config=_config(**config))


def sns_client(url: str) -> SNSClient:
    return _SESSION.client("sns", endpoint_url=url, config=_config())


def entry(to: str, **data: str) -> dict[str, Any]:
    return {
        "Destination": {"ToAddresses": [to]},
        "ReplacementEmailContent": {
            "ReplacementTemplate": {"ReplacementTemplateData": json.dumps({"name": "Ann", **data})}
        },
        "ReplacementTags": [{"Name": "mailout_id", "Value": "m1"}],
    }


def bulk(*entries: dict[str, Any] | str, **changes: Any) -> dict[str, Any]:
    """A SendBulkEmail request; a string is an entry to that address."""
    return {
        "FromEmailAddress": "News <news@example.com>",
        "DefaultContent": {
            "Template": {
                "TemplateContent": {
                    "Subject": "Hi {{name}}",
                    "Html": "<p>{{name}}</p>",
                    "Text": "{{name}}!",
                }
            }
        },
        "BulkEmailEntries": [entry(e) if isinstance(e, str) else e for e in entries],
        **changes,
    }


def template(**content: Any) -> dict[str, Any]:
    """DefaultContent with some members of TemplateContent or Template."""
    parts = {"Subject": "S", "Html": "<p>H</p>"}
    parts.update({k: content.pop(k) for k in ("Subject", "Html", "Text") if k in content})
    return {"Template": {"TemplateContent": parts, **content}}


def single(to: str = "a@example.com", **changes: Any) -> dict[str, Any]:
    """A SendEmail request with Simple content."""
    return {
        "FromEmailAddress": "news@example.com",
        "Destination": {"ToAddresses": [to]},
        "Content": {"Simple": {"Subject": {"Data": "S"}, "Body": {"Text": {"Data": "T"}}}},
        **changes,
    }


def statuses(answer: Any) -> list[str]:
    return [result["Status"] for result in answer["BulkEmailEntryResults"]]


@contextmanager
def refused(code: str, status: int = 400, match: str | None = None) -> Iterator[None]:
    """The call inside is refused as a whole with SES's `code` and HTTP `status`."""
    with pytest.raises(ClientError, match=match) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


@dataclass
class Received:
    """One POST to the receiver."""

    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def event(self) -> dict[str, Any]:
        """The event inside, {} for a message that isn't one."""
        text = self.body["Message"]
        event: dict[str, Any] = json.loads(text) if text.startswith("{") else {}
        return event

    @property
    def kind(self) -> str:
        return str(self.event.get("eventType") or self.event.get("notificationType") or "")


@dataclass
class Receiver(LocalServer):
    """A subscriber of the topic; `answer` says which status a POST gets."""

    answer: Callable[[Received], int] = field(default=lambda _received: 200)
    received: list[Received] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition, init=False)

    @property
    def url(self) -> str:
        return f"{super().url}/events"

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        headers = {name.lower(): value for name, value in headers.items()}
        text = body if headers.get("content-type", "").startswith("text") else b"{}"
        post = Received({**headers, "raw": body.decode()}, json.loads(text))
        status = self.answer(post)
        with self._changed:
            self.received.append(post)
            self._changed.notify_all()
        return Reply(status, b"")

    def wait_for(self, enough: Callable[[list[Received]], bool]) -> list[Received]:
        """Until `enough` holds of everything received; fails after some seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: enough(self.received), WAIT_SECONDS):
                raise AssertionError(f"received only {[r.kind or r.body for r in self.received]}")
            return list(self.received)

    def events(self, count: int) -> list[Received]:
        """The first `count` events, once they are there."""
        self.wait_for(lambda received: sum(bool(r.kind) for r in received) >= count)
        return [post for post in self.received if post.kind][:count]

    def confirm(self, sandbox_url: str) -> None:
        """Wait for the SubscriptionConfirmation and confirm it as the product does."""
        asked = self.wait_for(bool)[0].body
        sns_client(sandbox_url).confirm_subscription(
            TopicArn=asked["TopicArn"], Token=asked["Token"]
        )


def verify(message: dict[str, Any]) -> None:
    """Check an SNS signature by the rules of AWS's guide, independently of the sandbox's code."""
    pem = httpx.get(message["SigningCertURL"], trust_env=False).content
    key = x509.load_pem_x509_certificate(pem).public_key()
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if message["Type"] == "SubscriptionConfirmation":
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    signed = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
    digest = {"1": hashes.SHA1, "2": hashes.SHA256}[message["SignatureVersion"]]()
    assert isinstance(key, rsa.RSAPublicKey)
    signature = base64.b64decode(message["Signature"])
    key.verify(signature, signed.encode(), padding.PKCS1v15(), digest)
