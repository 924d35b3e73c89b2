"""Whether another provider sends in SES's place: one state for all processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.store.calls import Calls, require
from app.store.telling.news import Way


class FallbackCalls(Calls):
    async def watch_fallback(
        self,
        providers: Sequence[str],
        regions: Sequence[str],
        *,
        after_seconds: float,
        settled_seconds: float,
        headlines: Mapping[str, str] | None = None,
        ways: Sequence[Way] = (),
    ) -> dict[str, Any]:
        """Apply the rule (watch_fallback.sql); gives `provider`, whose turn it is, `change`,
        `reason`, and `resumed`, ids of mailouts that go on. headlines: what the owner is told of a
        change, by the provider whose turn it then is ("": nobody's)."""
        row: dict[str, Any] = await self._call(
            "watch_fallback",
            p_providers=list(providers),
            p_regions=list(regions),
            p_after=after_seconds,
            p_settled=settled_seconds,
            p_notices=dict(headlines or {}),
            p_ways=list(ways),
        )
        require(row, "provider", "change", "reason", "resumed")
        return row

    async def fallback_state(self, next_provider: str | None = None) -> dict[str, Any]:
        """The present state, for people (fallback.sql). next_provider: who would have the next
        turn."""
        row: dict[str, Any] = await self._call("fallback_state", p_next=next_provider)
        require(row, "open", "provider", "waiting")
        return row

    async def open_fallback(self, provider: str, reason: str, by: str) -> dict[str, Any]:
        """The state, and whether it `changed`."""
        row: dict[str, Any] = await self._call(
            "open_fallback", p_provider=provider, p_reason=reason, p_by=by
        )
        require(row, "open", "changed")
        return row

    async def close_fallback(self, reason: str, by: str) -> dict[str, Any]:
        """The same."""
        row: dict[str, Any] = await self._call("close_fallback", p_reason=reason, p_by=by)
        require(row, "open", "changed")
        return row
