"""Calls the functions of `migrations/functions/hooks/subscribe_hook.sql` by name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.store.calls import Calls, require


class HookSubscribingCalls(Calls):
    async def subscribe_hook(
        self,
        url: str,
        events: Sequence[str],
        *,
        secret: str,
        description: str,
        source: str | None,
        rate_per_second: float | None,
        keep_seconds: float,
        by: str,
    ) -> dict[str, Any]:
        """The hook as it is listed; the one that has the same address and events, with this secret,
        if there is one. keep_seconds: how long its old secret signs, too. rate_per_second: None: as
        the database has it."""
        row: dict[str, Any] = await self._call(
            "subscribe_hook",
            p_url=url,
            p_events=list(events),
            p_secret=secret,
            p_description=description,
            p_source=source,
            p_rate=rate_per_second,
            p_keep_seconds=keep_seconds,
            p_by=by,
        )
        require(row, "id", "url", "events")
        return row

    async def replay_hook_since(
        self, hook_id: UUID, since: datetime, limit: int, *, by: str
    ) -> int | None:
        """What is over, and was told since then. Gives how many; None: there is no such hook."""
        count: int | None = await self._call(
            "replay_hook_since",
            p_hook=str(hook_id),
            p_since=since.isoformat(),
            p_limit=limit,
            p_by=by,
        )
        return count

    async def hook_sample_facts(self) -> dict[str, Any]:
        """What examples are made of: `mailouts`, `fields`, `tags` (app/domain/hooks/examples.py,
        which says what they are)."""
        row: dict[str, Any] = await self._call("hook_sample_facts")
        require(row, "mailouts", "fields", "tags")
        return row
