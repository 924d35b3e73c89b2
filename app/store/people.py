"""People on the list, one by one and many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.domain.people import Change, Filter
from app.store.calls import Calls, require

Place = list[str | None]
"""Where a list goes on: [road, key, address]."""


@dataclass(frozen=True)
class Slice:
    """next: where the list goes on; None at its end."""

    items: list[dict[str, Any]]
    next: Place | None


@dataclass(frozen=True)
class Cells:
    """people: as migrations/functions/people/export_page.sql writes them. count: how many."""

    people: str
    count: int
    next: Place | None


class PeopleCalls(Calls):
    async def subscribers_page(
        self, wanted: Filter, limit: int, after: Place | None = None
    ) -> Slice:
        """The page may be short, even empty, and yet not be the last."""
        row = await self._call(
            "subscribers_page", p_filter=dict(wanted), p_limit=limit, p_after=after
        )
        return Slice(row["items"], row["next"])

    async def export_page(
        self,
        wanted: Filter,
        limit: int,
        after: Place | None,
        texts: Sequence[str],
        others: Sequence[str],
    ) -> Cells:
        """As `subscribers_page`, with these fields of them only, as cells."""
        row = await self._call(
            "export_page",
            p_filter=dict(wanted),
            p_limit=limit,
            p_after=after,
            p_texts=list(texts),
            p_others=list(others),
        )
        return Cells(row["people"], row["count"], row["next"])

    async def count_people(
        self, wanted: Filter, reach: int, after: Place | None = None, *, ids: bool = False
    ) -> tuple[int, list[str], Place | None]:
        """A part of the count (and those who are counted), and where it goes on. reach: the rows
        looked at."""
        row = await self._call(
            "count_people", p_filter=dict(wanted), p_reach=reach, p_after=after, p_ids=ids
        )
        return row["count"], row["ids"], row["next"]

    async def people_overview(self, tags: int) -> dict[str, Any]:
        """`statuses`: how many have each; `tags`: the most used ones, each with its
        `subscribers`."""
        row: dict[str, Any] = await self._call("people_overview", p_tags=tags)
        require(row, "statuses", "tags")
        return row

    async def add_subscriber(self, person: dict[str, Any], by: str) -> dict[str, Any]:
        """`outcome`: added, exists, erased, invalid; and the `subscriber`, or the `problem`."""
        row: dict[str, Any] = await self._call("add_subscriber", p_person=person, p_by=by)
        require(row, "outcome")
        return row

    async def change_subscriber(
        self,
        email: str,
        change: Change,
        by: str,
        *,
        reason: str | None = None,
        asked: bool = False,
        force: bool = False,
    ) -> dict[str, Any]:
        """`outcome`: changed, not_found, exists, erased, invalid, asked, force; and the
        `subscriber`, or the `problem`."""
        row: dict[str, Any] = await self._call(
            "change_subscriber",
            p_email=email,
            p_change=dict(change),
            p_by=by,
            p_reason=reason,
            p_asked=asked,
            p_force=force,
        )
        require(row, "outcome")
        return row

    async def change_people(
        self,
        ids: Sequence[str],
        change: Change,
        by: str,
        *,
        reason: str | None,
        asked: bool,
        force: bool,
        audit: dict[str, Any] | None = None,
    ) -> dict[str, int]:
        """How many were `changed`, and not, for want of `asked` or `force`."""
        row: dict[str, int] = await self._call(
            "change_people",
            p_ids=list(ids),
            p_change=dict(change),
            p_by=by,
            p_reason=reason,
            p_asked=asked,
            p_force=force,
            p_audit=audit,
        )
        require(row, "changed", "asked", "force")
        return row

    async def queue_change_people(
        self, work: dict[str, Any], by: str, audit: dict[str, Any]
    ) -> UUID:
        """Give the id of the job that does it."""
        row = await self._call("queue_change_people", p_work=work, p_by=by, p_audit=audit)
        return UUID(row["id"])

    async def subscriber_history(self, subscriber_id: UUID, limit: int) -> list[dict[str, Any]]:
        """Newest first: each with `at`, `kind`, `detail`, `by`."""
        rows: list[dict[str, Any]] = await self._call(
            "subscriber_history", p_subscriber=str(subscriber_id), p_limit=limit
        )
        return rows

    async def export_person(self, email: str) -> dict[str, Any] | None:
        row: dict[str, Any] | None = await self._call("export_person", p_email=email)
        return row

    async def erase_subscriber(self, email: str, by: str) -> dict[str, Any] | None:
        """How many `mails`, `events` and `changes` were stripped; None: nobody has this address."""
        row: dict[str, Any] = await self._call("erase_subscriber", p_email=email, p_by=by)
        return None if row["outcome"] == "not_found" else row
