"""Calls the functions of `migrations/functions/hooks/hooks.sql` by name. No answer has a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.store.calls import Calls


class HookCalls(Calls):
    async def list_hooks(self) -> list[dict[str, Any]]:
        """Newest first."""
        rows: list[dict[str, Any]] = await self._call("list_hooks")
        return rows

    async def show_hook(self, hook_id: UUID) -> dict[str, Any] | None:
        row: dict[str, Any] | None = await self._call("show_hook", p_hook=str(hook_id))
        return row

    async def change_hook(
        self, hook_id: UUID, changes: Mapping[str, Any], *, by: str
    ) -> dict[str, Any] | None:
        """changes: any of `url`, `events`, `description`, `rate_per_second`."""
        row: dict[str, Any] | None = await self._call(
            "change_hook", p_hook=str(hook_id), p_changes=dict(changes), p_by=by
        )
        return row

    async def delete_hook(self, hook_id: UUID, *, by: str) -> bool:
        deleted: bool = await self._call("delete_hook", p_hook=str(hook_id), p_by=by)
        return deleted

    async def rotate_hook(
        self, hook_id: UUID, secret: str, *, keep_seconds: float, by: str
    ) -> dict[str, Any] | None:
        """keep_seconds: how long the old secret signs, too."""
        row: dict[str, Any] | None = await self._call(
            "rotate_hook",
            p_hook=str(hook_id),
            p_secret=secret,
            p_keep_seconds=keep_seconds,
            p_by=by,
        )
        return row

    async def switch_hook(
        self, hook_id: UUID, state: str, reason: str | None, *, by: str
    ) -> dict[str, Any] | None:
        """state: `active` or `disabled`."""
        row: dict[str, Any] | None = await self._call(
            "switch_hook", p_hook=str(hook_id), p_state=state, p_reason=reason, p_by=by
        )
        return row
