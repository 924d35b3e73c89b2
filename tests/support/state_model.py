"""What both state machines ought to do (docs/states.md), in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from app.domain.sending.batches import Batch

RANK = {"sent": 10, "failed": 20, "soft": 30, "delivered": 40, "hard": 50, "complained": 60}
"""docs/states.md: an event moves a row only up; what isn't listed has rank 0."""
EVENTS = {
    "send": "sent",
    "reject": "failed",
    "soft": "soft",
    "delivery": "delivered",
    "hard": "hard",
    "complaint": "complained",
}
SUPPRESSES = {"hard": "bounced", "complaint": "complained"}
SUBSCRIBER_RANK = {"active": 0, "bounced": 1, "unsubscribed": 2, "complained": 3}


@dataclass
class Row:
    """A recipient. status: as in the table, but `soft` and `hard` for the two bounces.

    attempt: of the latest claim. returned: whether something certain put it back into the queue
    since then. message_id: SES's, once it is known.
    """

    id: int
    status: str = "queued"
    attempt: UUID | None = None
    returned: bool = True
    message_id: str | None = None

    @property
    def shown(self) -> str:
        return "bounced" if self.status in {"soft", "hard"} else self.status


@dataclass
class Model:
    """What ought to be. kept: the only route that the mailout may take. blocked: those that refused
    it. stopped: those whose account sends nothing. code: why it is paused."""

    mailout: str = "ready"
    code: str = ""
    kept: str | None = None
    blocked: set[str] = field(default_factory=set)
    stopped: set[str] = field(default_factory=set)
    rows: dict[str, Row] = field(default_factory=dict)
    readers: dict[str, str] = field(default_factory=dict)
    open: dict[UUID, Batch] = field(default_factory=dict)
    closed: dict[UUID, Batch] = field(default_factory=dict)

    def row(self, send_log_id: int) -> tuple[str, Row]:
        return next((email, row) for email, row in self.rows.items() if row.id == send_log_id)

    def refusal(self, route: str) -> str | None:
        """Why nothing may be claimed for this route, whoever is queued."""
        if self.mailout != "sending":
            return "not_sending"
        if route in self.blocked:
            return "blocked"
        if self.kept not in {None, route}:
            return "elsewhere"
        return "account" if route in self.stopped else None

    def leave(self, email: str, status: str) -> None:
        """A reader's state changes; a queued row of somebody who leaves is skipped at once."""
        before = self.readers[email]
        self.readers[email] = status
        row = self.rows.get(email)
        running = self.mailout in {"sending", "paused"}
        if running and before == "active" and row and row.status == "queued":
            row.status = "skipped"

    def finish(self) -> None:
        statuses = {row.status for row in self.rows.values()}
        if self.mailout == "sending" and not self.open and "queued" not in statuses:
            refused = "failed" in statuses and statuses <= {"failed", "skipped", "cancelled"}
            self.mailout = "failed" if refused else "sent"
