"""Mailouts as the services see them. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.domain.states import MailoutStatus


@dataclass(frozen=True)
class MailoutContent:
    """What decides what is sent; addresses and configuration set may be None (settings hold).

    sources: template, layouts and partials, each with its version, as `template_sources` gives
    them; None: the mailout uses none.
    """

    subject: str
    preheader: str | None
    body_html: str | None
    body_markdown: str | None
    body_text: str | None
    from_email: str | None
    from_name: str | None
    reply_to: str | None
    configuration_set: str | None
    sources: dict[str, Any] | None = None
    tracking: bool = False
    """Opens and clicks are watched: SES_TRACKING_CONFIGURATION_SET."""


@dataclass(frozen=True)
class Mailout:
    id: UUID
    status: MailoutStatus
    version: int
    status_reason: str | None
    content: MailoutContent
    content_hash: str
    tested_hash: str | None
    """Of the content that the latest test mails showed."""
    region: str | None = None
    """The only one that it is sent from; None: all."""

    @property
    def is_tested(self) -> bool | None:
        """Whether they showed what would be sent now; None: there were none."""
        return None if self.tested_hash is None else self.tested_hash == self.content_hash


@dataclass(frozen=True)
class SendRequestRecord:
    """An accepted request to start a mailout: the hash of its body, and what it was answered."""

    body_hash: str
    response: dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """Of a mailout, or of its test. outcome: claimed, queued, repeat, key_reused, changed,
    audience_empty, not_ready or not_found."""

    outcome: str
    response: dict[str, Any] | None = None
    status: MailoutStatus | None = None


@dataclass(frozen=True)
class Work:
    sending: tuple[UUID, ...]
    queueing: tuple[UUID, ...]
    cancelling: tuple[UUID, ...]
    testing: tuple[UUID, ...]


@dataclass(frozen=True)
class Created:
    id: UUID
    version: int


@dataclass(frozen=True)
class Edited:
    """changed: whether it was written; status, version: as they are now."""

    changed: bool
    status: MailoutStatus
    version: int


@dataclass(frozen=True)
class Transition:
    """changed: whether this call moved the mailout; status: the state it is in now."""

    changed: bool
    status: MailoutStatus
    status_reason: str | None
