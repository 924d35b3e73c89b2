"""Paces of mailbox providers, and warm-ups."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from app.store.calls import Calls, require, text


class PacingCalls(Calls):
    async def pacing_turn(
        self, *, every_seconds: float, window_seconds: float, mailboxes: Sequence[dict[str, Any]]
    ) -> dict[str, Any] | None:
        """`now`, `figures`, `paces` and `warmups` (paces.sql); None: another looked just now."""
        turn: dict[str, Any] | None = await self._call(
            "pacing_turn",
            p_seconds=every_seconds,
            p_window=window_seconds,
            p_mailboxes=list(mailboxes),
        )
        if turn is not None:
            require(turn, "now", "figures", "paces", "warmups")
        return turn

    async def keep_paces(self, paces: Sequence[dict[str, Any]]) -> None:
        """All that hold from now on."""
        await self._call("keep_paces", p_paces=list(paces))

    async def pacing_overview(self, mailout_id: UUID | None = None) -> dict[str, Any]:
        """`paces`, `warmups`, and of a mailout who is `waiting`: up to 10,001 are counted."""
        row: dict[str, Any] = await self._call("pacing_overview", p_mailout=text(mailout_id))
        require(row, "paces", "waiting", "warmups")
        return row

    async def start_warmup(
        self,
        region: str,
        *,
        plan: Sequence[dict[str, Any]],
        mailboxes: Sequence[dict[str, Any]],
        zone: str,
        by: str,
    ) -> dict[str, Any]:
        """`outcome`: started, or running (there is one already), with that `warmup`."""
        row: dict[str, Any] = await self._call(
            "start_warmup",
            p_region=region,
            p_plan=list(plan),
            p_mailboxes=list(mailboxes),
            p_zone=zone,
            p_by=by,
        )
        require(row, "outcome", "warmup")
        return row

    async def stop_warmup(self, region: str, *, by: str) -> bool:
        """Whether one was running."""
        row = await self._call("stop_warmup", p_region=region, p_by=by)
        return bool(row["outcome"] == "stopped")

    async def open_warmup_day(
        self,
        region: str,
        *,
        started_at: str,
        latest: date | None,
        day: date,
        step: int,
        held: str | None,
        ends_at: datetime,
    ) -> bool:
        """False: another did, or the warm-up isn't that one any more."""
        opened: bool = await self._call(
            "open_warmup_day",
            p_region=region,
            p_started_at=started_at,
            p_latest=None if latest is None else latest.isoformat(),
            p_day=day.isoformat(),
            p_step=step,
            p_held=held,
            p_ends_at=ends_at.isoformat(),
        )
        return opened

    async def running_warmups(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await self._call("running_warmups")
        return rows

    async def list_warmups(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await self._call("list_warmups")
        return rows

    async def note_warmups(self, waits: Sequence[dict[str, Any]]) -> None:
        """Say on mailouts that they wait for these warm-ups (`region`, `reason`, `until`)."""
        await self._call("note_warmups", p_waits=list(waits))
