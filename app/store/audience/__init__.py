"""Audiences by rule, and segments. A rule here is one that `parse_rule` gave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from app.store.calls import Calls, require, text

Rule = dict[str, Any] | None


class AudienceCalls(Calls):
    async def tell_timezone(self, timezone: str) -> None:
        """In which zone days are counted from now on: TIMEZONE of the running service."""
        await self._call("tell_timezone", p_timezone=timezone)

    async def preview_audience(
        self, rule: Rule, sample: int = 5, exact: int = 1_000_000
    ) -> dict[str, Any]:
        """`count`, whether it is `estimated` (of a list of more than `exact` people), `between`
        which numbers it is then, `sample` (addresses), `excluded` (by reason), `unknown_tags`. The
        segments it names must exist."""
        row: dict[str, Any] = await self._call(
            "preview_audience", p_audience=rule, p_sample=sample, p_exact=exact
        )
        require(row, "count", "estimated", "between", "sample", "excluded")
        return row

    async def resolved_audience(self, rule: Rule) -> Rule:
        """With its segments written out. They must exist."""
        row: Rule = await self._call("resolved_audience", p_audience=rule)
        return row

    async def unknown_tags(self, rule: Rule) -> list[str]:
        """The tags in a rule and its segments that nobody has."""
        tags: list[str] = await self._call("unknown_tags", p_audience=rule)
        return tags

    async def untracked_mailouts(self, mailouts: Sequence[str]) -> list[dict[str, str]]:
        """`id` and `subject` of those of these whose opens and clicks weren't watched."""
        rows: list[dict[str, str]] = await self._call(
            "untracked_mailouts", p_mailouts=list(mailouts)
        )
        return rows

    async def audience_diff(self, mailout_id: UUID, reach: int) -> dict[str, Any] | None:
        """See app.domain.audience.diff; None: no mailout with this rule was sent yet."""
        row: dict[str, Any] | None = await self._call(
            "audience_diff", p_mailout=str(mailout_id), p_reach=reach
        )
        return row

    async def save_segment(
        self, segment_id: UUID | None, name: str | None, rule: Rule, by: str
    ) -> dict[str, Any]:
        """Make one (segment_id: None), or change what isn't None. `outcome`: saved, not_found,
        exists, refused; and the `segment`, or the `problem`."""
        row: dict[str, Any] = await self._call(
            "save_segment", p_segment=text(segment_id), p_name=name, p_audience=rule, p_by=by
        )
        require(row, "outcome")
        return row

    async def delete_segment(self, segment_id: UUID, by: str) -> dict[str, Any]:
        """`outcome`: deleted, not_found, in_use; and `used_by`."""
        row: dict[str, Any] = await self._call("delete_segment", p_segment=str(segment_id), p_by=by)
        require(row, "outcome")
        return row

    async def show_segment(self, segment_id: UUID) -> dict[str, Any] | None:
        """With `used`, `used_by` and `unknown_tags`."""
        row: dict[str, Any] | None = await self._call("show_segment", p_segment=str(segment_id))
        return row

    async def list_segments(self, limit: int, after: str | None = None) -> list[dict[str, Any]]:
        """In the order of their names, after this one; each with `used` and `used_by`."""
        rows: list[dict[str, Any]] = await self._call("list_segments", p_limit=limit, p_after=after)
        return rows
