"""Calls the functions of `migrations/functions/hooks/hook_deliveries.sql` by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.domain.hooks.deliveries import (
    FAILURES,
    PATIENCE,
    TRIP_CAP_SECONDS,
    TRIP_SECONDS,
    Delivery,
    Result,
)
from app.store.calls import Calls


class HookDeliveryCalls(Calls):
    async def claim_hook_deliveries(
        self, limit: int, at_once: int, lease_seconds: float
    ) -> list[Delivery]:
        """Those that are due, each held for `lease_seconds`. at_once: under way to one hook, by all
        processes."""
        rows: list[dict[str, Any]] = await self._call(
            "claim_hook_deliveries",
            p_limit=limit,
            p_at_once=at_once,
            p_failures=FAILURES,
            p_lease_seconds=lease_seconds,
        )
        return [
            Delivery(
                id=row["id"],
                claim=row["claim"],
                hook_id=UUID(row["hook_id"]),
                url=row["url"],
                secrets=tuple(row["secrets"]),
                event_id=row["event_id"],
                type=row["type"],
                occurred_at=datetime.fromisoformat(row["occurred_at"]),
                attempts=row["attempts"],
                data=row["data"],
            )
            for row in rows
        ]

    async def settle_hook_deliveries(
        self, results: Sequence[tuple[Delivery, Result]]
    ) -> list[dict[str, Any]]:
        """Gives the hooks that ended with these: `id`, `url`, `state`, `reason`."""
        ended: list[dict[str, Any]] = await self._call(
            "settle_hook_deliveries",
            p_results=[
                {
                    "id": delivery.id,
                    "claim": delivery.claim,
                    "outcome": result.outcome,
                    "status": result.status,
                    "error": result.error,
                    "delay_seconds": result.delay_seconds,
                    "hold_seconds": result.hold_seconds,
                }
                for delivery, result in results
            ],
            p_failures=FAILURES,
            p_trip_seconds=TRIP_SECONDS,
            p_trip_cap_seconds=TRIP_CAP_SECONDS,
            p_patience_seconds=PATIENCE.total_seconds(),
        )
        return ended

    async def list_hook_deliveries(
        self, hook_id: UUID, limit: int, *, state: str | None = None, before: int | None = None
    ) -> list[dict[str, Any]]:
        """Newest first; before: the id of the last one on the page before. state: `waiting`,
        `sending`, `done` or `dead`."""
        rows: list[dict[str, Any]] = await self._call(
            "list_hook_deliveries",
            p_hook=str(hook_id),
            p_limit=limit,
            p_state=state,
            p_before=before,
        )
        return rows

    async def replay_hook_deliveries(
        self, hook_id: UUID, ids: Sequence[int] | None, limit: int, *, by: str
    ) -> int | None:
        """ids: None: the oldest dead ones. Gives how many; None: there is no such hook."""
        count: int | None = await self._call(
            "replay_hook_deliveries",
            p_hook=str(hook_id),
            p_ids=None if ids is None else list(ids),
            p_limit=limit,
            p_by=by,
        )
        return count

    async def test_hook(self, hook_id: UUID, event: str, data: Mapping[str, Any]) -> int | None:
        """The id of a delivery of this hook alone; None: there is no such hook."""
        row: int | None = await self._call(
            "test_hook", p_hook=str(hook_id), p_type=event, p_data=dict(data)
        )
        return row

    async def tidy_hooks(self, limit: int, *, done_days: int, dead_days: int) -> int:
        """Remove some that nobody looks at any more; give how many."""
        count: int = await self._call(
            "tidy_hooks", p_limit=limit, p_done_days=done_days, p_dead_days=dead_days
        )
        return count

    async def hooks_overview(self) -> dict[str, Any]:
        row: dict[str, Any] = await self._call("hooks_overview")
        return row
