"""SNS, as far as its messages go: makes a key and certificate, and signs as SNS does.

Written from Amazon's description alone, without the code under test, so that the two check each
other: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

from __future__ import annotations

import base64
import functools
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

TOPIC_ARN = "arn:aws:sns:eu-central-1:111122223333:ses-events"
CERTIFICATE_URL = (
    "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0a1b2c3d4e5f.pem"
)
TIMESTAMP = "2026-01-31T09:00:01.500Z"


def now() -> str:
    """As SNS writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class SnsSigner:
    """One signing key with its certificate, valid from yesterday for a year by default. The key is
    made when it is first asked for: modules that have a signer are collected by every worker."""

    def __init__(
        self, *, valid_from: datetime | None = None, valid_until: datetime | None = None
    ) -> None:
        self._from = valid_from or datetime.now(UTC) - timedelta(days=1)
        self._until = valid_until or self._from + timedelta(days=365)

    @functools.cached_property
    def key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @functools.cached_property
    def certificate(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._from)
            .not_valid_after(self._until)
            .sign(self.key, hashes.SHA256())
        )

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, envelope: Mapping[str, Any], version: str = "1") -> dict[str, Any]:
        """The envelope with SignatureVersion and Signature put in (or put anew)."""
        if envelope["Type"] == "Notification":
            order = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
        else:
            order = [
                "Message",
                "MessageId",
                "SubscribeURL",
                "Timestamp",
                "Token",
                "TopicArn",
                "Type",
            ]
        text = "".join(f"{k}\n{envelope[k]}\n" for k in order if envelope.get(k) is not None)
        algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), algorithm)
        return {
            **envelope,
            "SignatureVersion": version,
            "Signature": base64.b64encode(signature).decode(),
        }

    def notification(
        self, message: str | Mapping[str, Any], *, version: str = "1", **fields: Any
    ) -> dict[str, Any]:
        """A signed Notification. message: text, or an event to be written as JSON.

        fields: envelope fields to set before signing, such as TopicArn or Subject.
        """
        text = message if isinstance(message, str) else json.dumps(message)
        envelope = {
            "Type": "Notification",
            "MessageId": str(uuid.uuid4()),
            "TopicArn": TOPIC_ARN,
            "Message": text,
            "Timestamp": now(),
            "SigningCertURL": CERTIFICATE_URL,
            "UnsubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe",
            **fields,
        }
        return self.sign(envelope, version)

    def confirmation(
        self, *, kind: str = "SubscriptionConfirmation", version: str = "1", **fields: Any
    ) -> dict[str, Any]:
        """A signed SubscriptionConfirmation or UnsubscribeConfirmation."""
        envelope = {
            "Type": kind,
            "MessageId": str(uuid.uuid4()),
            "Token": "2336412f37fb687f5d51e6e2425e",
            "TopicArn": TOPIC_ARN,
            "Message": f"You have chosen to subscribe to the topic {TOPIC_ARN}.",
            "SubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription",
            "Timestamp": now(),
            "SigningCertURL": CERTIFICATE_URL,
            **fields,
        }
        return self.sign(envelope, version)


def body_of(envelope: Mapping[str, Any]) -> bytes:
    """The request body that SNS posts."""
    return json.dumps(envelope).encode()


def headers_of(envelope: Mapping[str, Any]) -> dict[str, str]:
    """The request headers that SNS sends, with lower-case names."""
    return {
        "content-type": "text/plain; charset=UTF-8",
        "user-agent": "Amazon Simple Notification Service Agent",
        "x-amz-sns-message-type": envelope["Type"],
        "x-amz-sns-message-id": envelope["MessageId"],
        "x-amz-sns-topic-arn": envelope["TopicArn"],
    }
