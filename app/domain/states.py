"""The words of both state machines (docs/states.md draws them)."""

from __future__ import annotations

from typing import Literal

MailoutStatus = Literal[
    "draft", "ready", "scheduled", "sending", "paused", "sent", "failed", "cancelled"
]
MAILOUT_STATUSES: tuple[MailoutStatus, ...] = (
    "draft",
    "ready",
    "scheduled",
    "sending",
    "paused",
    "sent",
    "failed",
    "cancelled",
)
PauseCode = Literal["person", "account", "quota", "guard", "held"]
PAUSE_CODES: tuple[PauseCode, ...] = ("person", "account", "quota", "guard", "held")
RecipientStatus = Literal[
    "queued",
    "sending",
    "sent",
    "delivered",
    "bounced",
    "complained",
    "failed",
    "unknown",
    "skipped",
    "cancelled",
]
SubscriberStatus = Literal["active", "pending", "unsubscribed", "bounced", "complained"]
SUBSCRIBER_STATUSES: tuple[SubscriberStatus, ...] = (
    "active",
    "pending",
    "unsubscribed",
    "bounced",
    "complained",
)
