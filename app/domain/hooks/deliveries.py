"""A delivery, what its receiver answered, and what follows from that."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from uuid import UUID

import orjson

RETRY_SECONDS = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""After the first try, the second, …: the sample schedule of Standard Webhooks. Then it is dead."""
JITTER = 0.1
"""The share by which such a time may be longer, so that receivers aren't met by all at once."""
WAIT_CAP_SECONDS = 3600.0
"""Whatever a receiver's Retry-After says."""
WAIT_SECONDS = 30.0
"""For one that says 429 and not how long."""
FAILURES = 5
"""After so many in a row an endpoint is left alone for a while, and tried with one at a time."""
TRIP_SECONDS, TRIP_CAP_SECONDS = 5.0, 3600.0
"""How long, at first and at most; twice as long each time."""
PATIENCE = timedelta(days=5)
"""An endpoint that took nothing for so long is disabled."""

Outcome = Literal["done", "retry", "dead", "gone", "later"]


@dataclass(frozen=True)
class Delivery:
    """One that this process holds. attempts: tries that failed before. secrets: the newest first;
    never shown."""

    id: int
    claim: int
    hook_id: UUID
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    event_id: str
    type: str
    occurred_at: datetime
    attempts: int
    data: dict[str, Any] = field(repr=False)

    @property
    def body(self) -> bytes:
        """The same bytes in each try."""
        return orjson.dumps(
            {
                "id": self.event_id,
                "type": self.type,
                "timestamp": self.occurred_at.astimezone(UTC).isoformat(timespec="microseconds"),
                "data": self.data,
            }
        )


@dataclass(frozen=True)
class Answer:
    """status: None when there was none, and `problem` says why. retry_after: seconds."""

    status: int | None
    problem: str = ""
    retry_after: float | None = None


@dataclass(frozen=True)
class Result:
    """What became of a try. delay_seconds: until the next. hold_seconds: how long its endpoint asks
    to be left alone."""

    outcome: Outcome
    status: int | None = None
    error: str | None = None
    delay_seconds: float = 0.0
    hold_seconds: float | None = None


LATER = Result("later")


def judge_answer(answer: Answer, attempts: int, chance: float) -> Result:
    """attempts: tries that failed before this one. chance: from 0 to 1, for the jitter."""
    status = answer.status
    if status is not None and 200 <= status < 300:
        return Result("done", status)
    if status == 410:
        return Result("gone", status, "It answered 410: this endpoint doesn't exist any more.")
    error = _in_words(answer)
    hold = None
    if status in (429, 503):
        hold = answer.retry_after
        if hold is None and status == 429:
            hold = WAIT_SECONDS
        if hold is not None:
            hold = min(max(hold, 0.0), WAIT_CAP_SECONDS)
    if attempts >= len(RETRY_SECONDS):
        return Result("dead", status, error, hold_seconds=hold)
    delay = max(RETRY_SECONDS[attempts] * (1 + JITTER * chance), hold or 0.0)
    return Result("retry", status, error, delay, hold)


def _in_words(answer: Answer) -> str:
    if answer.status is None:
        return answer.problem
    if 300 <= answer.status < 400:
        return (
            f"It answered {answer.status}, a redirect: none is followed. Give the address that it "
            "leads to."
        )
    return f"It answered {answer.status}."


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """RFC 9110, 10.2.3: seconds, or a date. None: there is none that can be read."""
    if header is None:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return float(header.strip()[:9])
    try:
        at = parsedate_to_datetime(header)
    except (ValueError, OverflowError):  # a zone of twenty digits, say
        return None
    return (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
