"""What SendGrid and Mailgun post, once it is known to come from them."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from app.domain.providers import NAMES, Provider
from app.domain.providers.events import mailgun_row, read_mailgun, sendgrid_rows
from app.domain.providers.signatures import (
    WebhookSignatureWrong,
    WebhookStale,
    read_sendgrid_key,
    verify_mailgun,
    verify_sendgrid,
)
from app.errors import ProviderNotConfigured
from app.services.watching.record_events import RecordEvents
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """How many events of a request were recorded, and how many aren't about mails of ours."""

    recorded: int
    ignored: int


class ProviderWebhooks:
    """clock: seconds since 1970."""

    def __init__(
        self,
        store: Store,
        record_events: RecordEvents,
        settings: Settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._record, self._settings = store, record_events, settings
        self._clock = clock

    async def sendgrid(
        self, body: bytes, signatures: Sequence[str], timestamps: Sequence[str]
    ) -> Taken:
        """Return when all events of the request are committed. A copy changes nothing, so that
        a request may come again whole when a part of it wasn't stored.

        signatures, timestamps: what the headers of SendGrid say. Raises ProviderNotConfigured,
        WebhookSignatureWrong, WebhookStale, MalformedWebhook, Unavailable.
        """
        if self._sendgrid_key is None:
            raise _not_configured("sendgrid", "SENDGRID_WEBHOOK_PUBLIC_KEY")
        if len(signatures) != 1 or len(timestamps) != 1:
            raise WebhookSignatureWrong("The headers of SendGrid's signature are missing.")
        now = self._clock()
        verify_sendgrid(self._sendgrid_key, body, signatures[0], timestamps[0], now=now)
        rows, ignored = sendgrid_rows(body, now=now)
        return await self._recorded(rows, ignored)

    async def mailgun(self, body: bytes) -> Taken:
        """Return when the event is committed. Raises what `sendgrid` raises."""
        key = self._settings.mailgun_webhook_signing_key
        if key is None:
            raise _not_configured("mailgun", "MAILGUN_WEBHOOK_SIGNING_KEY")
        post, now = read_mailgun(body), self._clock()
        verify_mailgun(key.get_secret_value(), post.timestamp, post.token, post.signature, now=now)
        row = mailgun_row(post.event, now=now)
        if row is None:
            return Taken(0, 1)
        if not await self._store.use_webhook_token(_hashed(post.token), row["sns_message_id"]):
            raise WebhookStale("This signature came with another event before.")
        return await self._recorded([row], 0)

    async def _recorded(self, rows: Sequence[dict[str, Any]], ignored: int) -> Taken:
        """All are waited for before the first refusal is told: none is left in the air."""
        outcomes = await asyncio.gather(*map(self._record, rows), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return Taken(len(rows), ignored)

    @cached_property
    def _sendgrid_key(self) -> EllipticCurvePublicKey | None:
        text = self._settings.sendgrid_webhook_public_key
        return read_sendgrid_key(text) if text else None


def _hashed(token: str) -> str:
    """Of any length, and nobody's to use who reads the table."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _not_configured(provider: Provider, setting: str) -> ProviderNotConfigured:
    return ProviderNotConfigured(
        f"{NAMES[provider]} posts events, and {setting} isn't set: set it and restart "
        "(docs/fallback.md).",
        missing=[setting],
    )
