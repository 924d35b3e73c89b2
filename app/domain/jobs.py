"""What passes between the runner of background jobs and the database. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

JobState = Literal["waiting", "running", "done", "failed", "cancelled"]
JOB_STATES: tuple[JobState, ...] = ("waiting", "running", "done", "failed", "cancelled")

JobOutcome = Literal["done", "failed", "retry", "later"]
"""done. failed: for good. retry: counts, and fails for good when it was the last try. later: to be
tried again without counting, because a part we depend on is away or this process ends."""


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed job. claim: which of its claims this is; names its present holder.

    failures: earlier tries that count. progress: what the try before had saved.
    """

    id: UUID
    kind: str
    payload: dict[str, Any]
    claim: int
    failures: int
    progress: dict[str, Any] | None
