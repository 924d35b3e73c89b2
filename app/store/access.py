"""API keys and the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.store.calls import Calls


class AccessCalls(Calls):
    async def create_key(
        self, name: str, scopes: Sequence[str], *, key_hash: str, hint: str, by: str
    ) -> dict[str, Any] | None:
        """The key as it is listed; None: a living key has this name."""
        row: dict[str, Any] | None = await self._call(
            "create_key",
            p_name=name,
            p_scopes=list(scopes),
            p_hash=key_hash,
            p_hint=hint,
            p_by=by,
        )
        return row

    async def list_keys(self) -> list[dict[str, Any]]:
        """The living keys, by name."""
        rows: list[dict[str, Any]] = await self._call("list_keys")
        return rows

    async def living_keys(self) -> list[dict[str, Any]]:
        """Gives `id`, `name`, `scopes` and `hash` of each living key."""
        rows: list[dict[str, Any]] = await self._call("living_keys")
        return rows

    async def revoke_key(self, key_id: UUID, *, by: str) -> dict[str, Any] | None:
        """The key as it was listed; None: there is no such living key."""
        row: dict[str, Any] | None = await self._call("revoke_key", p_key=str(key_id), p_by=by)
        return row

    async def note_key_use(self, key_id: UUID) -> None:
        """Note that a key was used just now; to the minute."""
        await self._call("note_key_use", p_key=str(key_id))

    async def list_audit(
        self,
        limit: int,
        *,
        before: int | None = None,
        target: str | None = None,
        action: str | None = None,
        by: str | None = None,
        since: datetime | None = None,
    ) -> list[dict[str, Any]]:
        """Newest first; before: the id of the last entry on the page before. action: such as
        `mailout.pause`, or `mailout` for all of its kind."""
        rows: list[dict[str, Any]] = await self._call(
            "list_audit",
            p_limit=limit,
            p_before=before,
            p_target=target,
            p_action=action,
            p_by=by,
            p_since=since.isoformat() if since else None,
        )
        return rows

    async def note_sign_in(self, client: str) -> None:
        """Somebody signed in to the dashboard from this address."""
        await self._call("note_sign_in", p_client=client)

    async def note_refused_sign_ins(self, tried: Mapping[str, int]) -> None:
        """Others tried to, so often from each address; what comes within a minute is one entry."""
        await self._call("note_refused_sign_ins", p_tried=dict(tried))
