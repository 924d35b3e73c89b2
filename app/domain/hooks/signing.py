"""Secrets and signatures as Standard Webhooks has them (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

SECRET_BYTES = 32
"""Of the 24 to 64 that the specification allows."""


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def signed_headers(
    event_id: str, body: bytes, signers: Sequence[str], now: datetime
) -> dict[str, str]:
    """The three headers, with a signature by each secret, so that a receiver may know the old or
    the new one. body: UTF-8, the very bytes that are sent. now: the time of this try, aware."""
    at = now.astimezone(UTC)  # the library takes any time for UTC
    text = body.decode("utf-8")
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(s).sign(event_id, at, text) for s in signers),
    }
