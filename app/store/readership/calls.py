"""How people and the list respond: why somebody was mailed, what they opened, who came and went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from app.store.calls import Calls, require, text


class ReadershipCalls(Calls):
    async def why_mailed(
        self, mailout_id: UUID, *, email: str | None = None, subscriber_id: UUID | None = None
    ) -> dict[str, Any] | None:
        """All facts of one person and one mailout, as why_mailed.sql says; None: there is no such
        mailout."""
        row: dict[str, Any] | None = await self._call(
            "why_mailed",
            p_mailout=str(mailout_id),
            p_email=email,
            p_subscriber=text(subscriber_id),
        )
        if row is not None:
            require(row, "found", "mailout", "audience", "mails")
        return row

    async def person_engagement(self, subscriber_id: UUID, mails: int) -> dict[str, Any]:
        """What they got, opened and clicked, as person_engagement.sql says; `items`: the latest
        so many mails."""
        row: dict[str, Any] = await self._call(
            "person_engagement", p_subscriber=str(subscriber_id), p_limit=mails
        )
        require(row, "mails", "tracked", "opens", "clicks", "items")
        return row

    async def list_growth(self, by: str, periods: int) -> dict[str, Any]:
        """Who came and left, per day, week or month, as list_growth.sql says."""
        row: dict[str, Any] = await self._call("list_growth", p_by=by, p_periods=periods)
        require(row, "periods", "active", "counted_since", "zone")
        return row

    async def mailout_churn(self, limit: int) -> list[dict[str, Any]]:
        """What the latest mailouts cost the list, newest first."""
        rows: list[dict[str, Any]] = await self._call("mailout_churn", p_limit=limit)
        return rows

    async def quiet_slice(
        self, days: int, after: UUID, reach: int, groups: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """The next people by their engagement in so many days, as quiet_people.sql says."""
        row: dict[str, Any] = await self._call(
            "quiet_slice",
            p_days=days,
            p_after=str(after),
            p_reach=reach,
            p_groups=None if groups is None else list(groups),
        )
        require(row, "next", "seen", "groups", "items")
        return row

    async def tracked_mailouts(self, days: int, limit: int) -> tuple[list[str], int]:
        """Ids of the latest ones, and how many there are."""
        row = await self._call("tracked_mailouts", p_days=days, p_limit=limit)
        return row["ids"], row["all"]
