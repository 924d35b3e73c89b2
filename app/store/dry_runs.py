"""Dry runs: reading an audience, and the report."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.store.calls import Calls


class DryRunCalls(Calls):
    async def audience_slice(
        self, mailout_id: UUID, after: UUID, limit: int
    ) -> tuple[list[dict[str, Any]], UUID | None]:
        """Of the `limit` subscribers after `after`, in the order of their ids, those who are in the
        audience, whatever their status; and after whom to go on (None: there are no more)."""
        row = await self._call(
            "audience_slice", p_mailout=str(mailout_id), p_after=str(after), p_limit=limit
        )
        return row["rows"], None if row["last"] is None else UUID(row["last"])

    async def first_recipients(self, mailout_id: UUID, limit: int) -> list[dict[str, Any]]:
        """Some of the future recipients: id, email, name and fields. It may find none when few of a
        long list are in the audience."""
        rows: list[dict[str, Any]] = await self._call(
            "first_recipients", p_mailout=str(mailout_id), p_limit=limit
        )
        return rows

    async def begin_dry_run(self, mailout_id: UUID, run: UUID, report: dict[str, Any]) -> None:
        """Begin a run in place of the mailout's previous one, which may still run somewhere."""
        await self._call(
            "begin_dry_run", p_mailout=str(mailout_id), p_run=str(run), p_report=report
        )

    async def queue_dry_run(self, mailout_id: UUID, run: UUID, report: dict[str, Any]) -> None:
        """Begin a run and add the job that does it."""
        await self._call(
            "queue_dry_run", p_mailout=str(mailout_id), p_run=str(run), p_report=report
        )

    async def save_dry_run(self, mailout_id: UUID, run: UUID, report: dict[str, Any]) -> bool:
        """Store progress or outcome; False when another run has replaced this one."""
        ours: bool = await self._call(
            "save_dry_run", p_mailout=str(mailout_id), p_run=str(run), p_report=report
        )
        return ours

    async def show_dry_run(self, mailout_id: UUID) -> dict[str, Any] | None:
        report: dict[str, Any] | None = await self._call("show_dry_run", p_mailout=str(mailout_id))
        return report
