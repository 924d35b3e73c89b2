"""Whether a webhook is the provider's own. Pure: the time is passed in.

SendGrid signs time and body together ("Getting Started with the Event Webhook Security Features":
ECDSA on P-256 with SHA-256). Mailgun signs time and a random token only ("Securing Webhooks"), so
whoever has seen one request could put that signature on any body: a token holds for one event.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from app.errors import AppError

MAX_AGE_SECONDS = 36 * 3600.0
"""SendGrid repeats for 24 hours, Mailgun for 8; neither says whether it then signs anew."""
MAX_AHEAD_SECONDS = 600.0
"""Of a clock that runs before ours."""

_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)


class WebhookSignatureWrong(AppError):
    status, code, title = 403, "webhook_signature_wrong", "The signature is missing or wrong"


class WebhookStale(AppError):
    """Signed too long ago, or with a token that came with another event. Not to be sent again."""

    status, code, title = 406, "webhook_stale", "The signature isn't valid any more"


def read_sendgrid_key(text: str) -> ec.EllipticCurvePublicKey:
    """SendGrid's verification key, as its settings show it: base64 of a DER public key, with or
    without the lines of PEM around it. Raises ValueError."""
    lines = [line for line in text.split() if line]
    bare = "".join(lines).removeprefix("-----BEGINPUBLICKEY-----")
    bare = bare.removesuffix("-----ENDPUBLICKEY-----")
    try:
        key = load_der_public_key(base64.b64decode(bare, validate=True))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("is no public key: copy the whole verification key") from None
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise ValueError("is not the key of a SendGrid webhook (ECDSA on the curve P-256)")


def verify_sendgrid(
    key: ec.EllipticCurvePublicKey, body: bytes, signature: str, timestamp: str, *, now: float
) -> None:
    """Raises WebhookSignatureWrong, WebhookStale. now: seconds since 1970."""
    try:
        signed = timestamp.encode("ascii") + body
        key.verify(base64.b64decode(signature, validate=True), signed, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        raise WebhookSignatureWrong(
            "X-Twilio-Email-Event-Webhook-Signature doesn't fit the body and "
            "SENDGRID_WEBHOOK_PUBLIC_KEY."
        ) from None
    _require_recent(timestamp, now)


def verify_mailgun(key: str, timestamp: str, token: str, signature: str, *, now: float) -> None:
    """Raises WebhookSignatureWrong, WebhookStale. now: seconds since 1970."""
    expected = mailgun_signature(key, timestamp, token)
    if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
        raise WebhookSignatureWrong("`signature` doesn't fit MAILGUN_WEBHOOK_SIGNING_KEY.")
    _require_recent(timestamp, now)


def mailgun_signature(key: str, timestamp: str, token: str) -> str:
    signed = f"{timestamp}{token}".encode("utf-8", "replace")
    return hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()


def _require_recent(timestamp: str, now: float) -> None:
    if not _TIMESTAMP.fullmatch(timestamp):
        raise WebhookSignatureWrong("The signature's time is none.")
    if not -MAX_AHEAD_SECONDS <= now - int(timestamp) <= MAX_AGE_SECONDS:
        raise WebhookStale("It was signed too long ago, or this machine's clock is wrong.")
