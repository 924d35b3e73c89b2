"""Calls the functions of `migrations/functions/standing/` by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.store.calls import Calls, require
from app.store.telling.news import Way


@dataclass(frozen=True)
class Uncounted:
    """Events that are in no count yet. counts: by `hour`, `domain`, `kind`: `n`. more: there are
    others to be counted at once."""

    first: int
    last: int
    counts: list[dict[str, Any]]
    more: bool


class StandingCalls(Calls):
    async def queue_standing(self, seconds: float) -> bool:
        """Have the standing looked at, unless that was done within `seconds`, or is asked for."""
        added: bool = await self._call("queue_standing", p_seconds=seconds)
        return added

    async def uncounted_events(self, limit: int, late_seconds: float) -> Uncounted:
        row = await self._call("uncounted_events", p_limit=limit, p_late_seconds=late_seconds)
        return Uncounted(row["from"], row["to"], row["counts"], row["more"])

    async def add_provider_events(
        self, counted: Uncounted, rows: Sequence[Mapping[str, Any]]
    ) -> bool:
        """rows: the same by mailbox provider. False: another process was faster."""
        added: bool = await self._call(
            "add_provider_events",
            p_from=counted.first,
            p_to=counted.last,
            p_counts=[dict(row) for row in rows],
        )
        return added

    async def provider_figures(self, windows: Sequence[int], days: int) -> dict[str, Any]:
        """`windows`, `days`: rows of counts by provider; `complained`: providers."""
        row: dict[str, Any] = await self._call(
            "provider_figures", p_windows=list(windows), p_days=days
        )
        require(row, "windows", "days", "complained")
        return row

    async def save_standing(
        self,
        revision: int,
        samples: Mapping[str, Mapping[str, Any]],
        alarms: Sequence[Mapping[str, Any]],
        notice: Mapping[str, Any] | None,
        ways: Sequence[Way],
    ) -> bool:
        """samples: by region. False: another look was faster, and nothing changed."""
        kept: bool = await self._call(
            "save_standing",
            p_revision=revision,
            p_samples=[
                {"region": region, "sample": dict(sample)} for region, sample in samples.items()
            ],
            p_alarms=[dict(alarm) for alarm in alarms],
            p_notice=None if notice is None else dict(notice),
            p_ways=list(ways),
        )
        return kept

    async def show_standing(self) -> dict[str, Any]:
        row: dict[str, Any] = await self._call("show_standing")
        require(row, "revision", "looked_at", "alarms", "waiting", "regions")
        return row

    async def standing_days(self, days: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await self._call("standing_days", p_days=days)
        for row in rows:
            require(row, "day", "region", "sent", "quota")
        return rows

    async def standing_alarms(self) -> dict[str, Any]:
        row: dict[str, Any] = await self._call("standing_alarms")
        require(row, "looked_at", "alarms")
        return row
