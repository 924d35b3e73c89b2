"""Calls the functions of `migrations/functions/jobs/jobs.sql` by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from app.domain.jobs import Job, JobOutcome
from app.ports import Database


class JobStore:
    def __init__(self, database: Database) -> None:
        self._call = database.call

    async def add_job(
        self,
        kind: str,
        payload: dict[str, Any],
        *,
        key: str | None = None,
        delay_seconds: float = 0.0,
        max_failures: int = 5,
    ) -> tuple[UUID, bool]:
        """Give the job's id, and whether it is new: an open job with the same key is found."""
        row = await self._call(
            "add_job",
            p_kind=kind,
            p_payload=payload,
            p_key=key,
            p_delay_seconds=delay_seconds,
            p_max_failures=max_failures,
        )
        return UUID(row["id"]), row["added"]

    async def claim_job(self, kinds: Sequence[str], lease_seconds: float) -> Job | None:
        """The next one that is due, held for `lease_seconds`."""
        row = await self._call("claim_job", p_kinds=list(kinds), p_lease_seconds=lease_seconds)
        return None if row is None else Job(**row | {"id": UUID(row["id"])})

    async def claim_one_job(self, job_id: UUID, lease_seconds: float) -> Job | None:
        """This one; None: another has it, it isn't due yet, or it is over."""
        row = await self._call("claim_one_job", p_job=str(job_id), p_lease_seconds=lease_seconds)
        return None if row is None else Job(**row | {"id": UUID(row["id"])})

    async def extend_job(
        self, job: Job, lease_seconds: float, progress: dict[str, Any] | None = None
    ) -> bool:
        """False: the job is no longer ours."""
        ours: bool = await self._call(
            "extend_job",
            p_job=str(job.id),
            p_claim=job.claim,
            p_lease_seconds=lease_seconds,
            p_progress=progress,
        )
        return ours

    async def settle_job(
        self,
        job: Job,
        outcome: JobOutcome,
        *,
        result: dict[str, Any] | None = None,
        error: str | None = None,
        delay_seconds: float = 0.0,
    ) -> bool:
        """False: the job was no longer ours, and nothing changed."""
        ours: bool = await self._call(
            "settle_job",
            p_job=str(job.id),
            p_claim=job.claim,
            p_outcome=outcome,
            p_result=result,
            p_error=error,
            p_delay_seconds=delay_seconds,
        )
        return ours

    async def cancel_job(self, job_id: UUID, *, by: str | None = None) -> bool:
        """False: it was over. by: who asks, for the audit log."""
        changed: bool = await self._call("cancel_job", p_job=str(job_id), p_by=by)
        return changed

    async def retry_job(self, job_id: UUID, *, by: str | None = None) -> bool:
        """False: it neither failed nor was cancelled, or another with its key is open."""
        changed: bool = await self._call("retry_job", p_job=str(job_id), p_by=by)
        return changed

    async def show_job(self, job_id: UUID) -> dict[str, Any] | None:
        row: dict[str, Any] | None = await self._call("show_job", p_job=str(job_id))
        return row

    async def list_jobs(
        self, limit: int, *, state: str | None = None, before: tuple[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Newest first; before: (created_at, id) of the last row of the page before."""
        rows: list[dict[str, Any]] = await self._call(
            "list_jobs",
            p_limit=limit,
            p_state=state,
            p_before=before[0] if before else None,
            p_before_id=before[1] if before else None,
        )
        return rows

    async def prune_jobs(self) -> int:
        """Forget some that ended more than 30 days ago; give how many."""
        count: int = await self._call("prune_jobs")
        return count
