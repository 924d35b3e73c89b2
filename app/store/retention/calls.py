"""Drop details of the past, a slice a call."""

from __future__ import annotations

from typing import Any

from app.store.calls import Calls


class RetentionCalls(Calls):
    async def drop_old_events(self, days: int) -> bool:
        """Drop the words of events older than this; gives whether more are due."""
        row: dict[str, Any] = await self._call("drop_old_events", p_days=days)
        return bool(row["more"])

    async def shrink_old_mailouts(self, days: int | None) -> bool:
        """Shrink mailouts that ended longer ago than this; gives whether there is more to do."""
        row: dict[str, Any] = await self._call("shrink_old_mailouts", p_days=days)
        return bool(row["more"])

    async def drop_old_batches(self, days: int) -> bool:
        """Drop records of calls to SES older than this; gives whether more are due."""
        row: dict[str, Any] = await self._call("drop_old_batches", p_days=days)
        return bool(row["more"])
