"""What passes between the sender and the database: claims, recipients, results. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

Outcome = Literal["sent", "failed", "retry", "requeue", "unknown"]
"""sent: SES accepted it. failed: refused for good. retry: certainly not accepted, counts as an
attempt. requeue: the same, but doesn't count (throttled). unknown: nobody can say."""

IdleReason = Literal[
    "wait",
    "empty",
    "skipped",
    "not_sending",
    "quota",
    "no_rate",
    "lease",
    "guard",
    "canary",
    "ahead",
    "late",
    "elsewhere",
    "blocked",
    "account",
    "limits",
    "closed",
]


# What is made for each mail is a tuple: a frozen dataclass takes four times as long to make.


class Recipient(NamedTuple):
    """One claimed row of the ledger. subscriber_id: the 16 bytes of its UUID, which is all that a
    mail needs of it, in an eighth of the time; None for test mails."""

    send_log_id: int
    email: str
    attempts: int
    subscriber_id: bytes | None
    name: str | None
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Recipients marked `sending` under one attempt id. delay: seconds until its tokens are due.
    rate: what its route is granted, in recipients a second."""

    attempt_id: UUID
    mailout_id: UUID
    recipients: tuple[Recipient, ...]
    delay: float
    is_test: bool = False
    rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing was claimed, and why. seconds: how long to wait (for `wait`). kept: the only route
    that the mailout may take (for `elsewhere`)."""

    reason: IdleReason
    seconds: float = 0.0
    kept: str | None = None


class Result(NamedTuple):
    """What became of one recipient of a batch. delay: seconds before the next try."""

    send_log_id: int
    outcome: Outcome
    message_id: str | None = None
    code: str | None = None
    message: str | None = None
    delay: float = 0.0

    def to_row(self) -> dict[str, Any]:
        return {
            "id": self.send_log_id,
            "outcome": self.outcome,
            "message_id": self.message_id,
            "code": self.code,
            "message": self.message,
            "delay": self.delay,
        }


@dataclass(frozen=True, slots=True)
class Suppressed:
    """An address on SES's suppression list. since: its last update there."""

    email: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """What GetAccount says of the SES account in one region.

    max_send_rate: recipients per second. max_24h_send: recipients in 24 h, -1 for no limit.
    engagement_metrics: whether its Virtual Deliverability Manager tracks opens and clicks; None:
    the account has none, or it isn't known.
    """

    max_send_rate: float
    max_24h_send: float
    sent_last_24h: float
    sending_enabled: bool
    enforcement_status: str
    production_access: bool
    engagement_metrics: bool | None = None

    @property
    def can_send(self) -> bool:
        return self.sending_enabled and self.enforcement_status != "SHUTDOWN"

    @property
    def quota_left(self) -> float:
        """Recipients left in the rolling 24 hours; infinite when SES sets no limit."""
        if self.max_24h_send < 0:
            return float("inf")
        return max(0.0, self.max_24h_send - self.sent_last_24h)
