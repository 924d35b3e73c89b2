"""SNS messages: how they are built and signed, with a key and a certificate of our own.

Source: SNS developer guide, "Verifying the signatures of Amazon SNS messages".
"""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

_CONFIRMATION_FIELDS = (
    "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
)  # fmt: skip
_SIGNED_FIELDS = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": _CONFIRMATION_FIELDS,
    "UnsubscribeConfirmation": _CONFIRMATION_FIELDS,
}


@dataclass(frozen=True)
class SigningIdentity:
    """An RSA key and the certificate in which receivers find its public half."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def certificate_path(self) -> str:
        """Where the certificate is served, named by its fingerprint as SNS does."""
        fingerprint = self.certificate.fingerprint(hashes.SHA256()).hex()[:32]
        return f"/SimpleNotificationService-{fingerprint}.pem"

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, message: dict[str, str]) -> str:
        """The base64 signature of `message` by its `Type` and `SignatureVersion` (1 or 2)."""
        names = [name for name in _SIGNED_FIELDS[message["Type"]] if name in message]
        text = "".join(f"{name}\n{message[name]}\n" for name in names)
        # SHA-1 is what SNS's signature version 1 is defined with.
        digest = hashes.SHA1() if message["SignatureVersion"] == "1" else hashes.SHA256()  # noqa: S303
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), digest)
        return base64.b64encode(signature).decode()


@cache
def signing_identity() -> SigningIdentity:
    """This process's key and self-signed certificate; made once, valid for a year."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return SigningIdentity(key, certificate)


def new_message_id() -> str:
    return str(uuid.uuid4())
