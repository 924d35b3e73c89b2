"""Calls the functions of `migrations/functions/notion/notion_writes.sql` by name."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.domain.notion.writes import Write, Written
from app.store.calls import Calls, require


class NotionWriteCalls(Calls):
    async def notion_write_due(self, page_id: UUID) -> None:
        """Have this row written soon."""
        await self._call("notion_write_due", p_page=str(page_id))

    async def claim_notion_writes(
        self, limit: int, lease_seconds: float, gap_seconds: float
    ) -> list[Write]:
        """Rows that are due, each held for `lease_seconds`. gap_seconds: between two writes of one
        row."""
        rows: list[dict[str, Any]] = await self._call(
            "claim_notion_writes",
            p_limit=limit,
            p_lease_seconds=lease_seconds,
            p_gap_seconds=gap_seconds,
        )
        return [
            Write(
                page_id=UUID(row["page_id"]),
                claim=row["claim"],
                row=row["row"],
                mailout=row["mailout"],
                written=row["written"],
                sure=row["sure"],
                told=tuple(row["told"]),
                statement_for=row["statement_for"],
                failures=row["failures"],
                error=row["error"],
                patched_ago=row["patched_ago"],
            )
            for row in rows
        ]

    async def settle_notion_write(self, write: Write, done: Written, gap_seconds: float) -> bool:
        """False: the row was no longer ours, and nothing changed."""
        result = {
            "sure": done.sure,
            "patched": done.patched,
            "written": None if done.written is None else dict(done.written),
            "told": None if done.told is None else list(done.told),
            "statement_for": None if done.statement_for is None else dict(done.statement_for),
            "error": done.error,
        }
        ours: bool = await self._call(
            "settle_notion_write",
            p_page=str(write.page_id),
            p_claim=write.claim,
            p_result={name: value for name, value in result.items() if value is not None},
            p_next_seconds=done.next_seconds,
            p_live=done.live,
            p_gap_seconds=gap_seconds,
        )
        return ours

    async def notion_writes_trouble(self) -> dict[str, Any] | None:
        """`rows`: how many Notion couldn't be told of, `since` when, and the latest `error`; None:
        every row says what it should, or waits for its turn."""
        row: dict[str, Any] | None = await self._call("notion_writes_trouble")
        if row is not None:
            require(row, "rows", "since", "error")
        return row

    async def notion_write_trouble(self, mailout_id: UUID) -> dict[str, Any] | None:
        """`error` and `since` of the mailout's row; None: it could be told, or there is none."""
        row: dict[str, Any] | None = await self._call(
            "notion_write_trouble", p_mailout=str(mailout_id)
        )
        if row is not None:
            require(row, "error", "since")
        return row
