"""Which rows a look through the database asks for, and which of them are to be looked at. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.domain.notion.presses import STATUS_TYPES, Sight
from app.domain.notion.row import ASKS
from app.domain.notion.schema import Schema

OVER = ("Sent", "Failed", "Cancelled")
"""In Delivery: nothing more comes of such a row, and there may be thousands."""
LATELY = "past_week"
NEWEST_FIRST = ({"timestamp": "last_edited_time", "direction": "descending"},)
"""A query ends at 10,000 rows without a word: what somebody has just set is among them."""


def poll_filter(schema: Schema) -> dict[str, Any] | None:
    """For Notion's query: rows whose Status asks for something and that aren't over, and of those
    that are the ones that were edited lately. None: no row can ask for anything.

    Source: Notion's API, "Filter database entries": compound filters nest two levels deep.
    """
    status, delivery = schema.column("Status"), schema.column("Delivery")
    if status is None or status.type not in STATUS_TYPES:
        return None
    not_over: list[dict[str, Any]] = []
    if delivery is not None:
        not_over = [
            {"property": delivery.name, delivery.type: {"does_not_equal": name}}
            for name in OVER
            if name in delivery.options
        ]
    # A select takes any name, and its options may be told by halves; of a Status of Notion's own
    # type an option that isn't there is a fault of the query.
    asking = [
        {"property": status.name, status.type: {"equals": name}}
        for name in ASKS
        if status.type == "select" or name in status.options
    ]
    if not asking:
        return None
    return {
        "or": [
            *({"and": [asks, *not_over]} for asks in asking),
            *(
                {"and": [asks, {"timestamp": "last_edited_time", "last_edited_time": {LATELY: {}}}]}
                for asks in asking
            ),
        ]
    }


def due_pages(
    found: Mapping[UUID, Sight], known: Iterable[Mapping[str, Any]], now: datetime
) -> list[UUID]:
    """Of the rows that a query found and those that are known (`known_notion_rows`): whose Status
    isn't the one that was seen last, or that something may happen to and that weren't found, as
    they are Draft now, or gone; and what is scheduled and was edited."""
    rows = {UUID(row["page_id"]): row for row in known}
    return [
        *(page for page, sight in found.items() if _is_news(sight, rows.get(page), now)),
        *(page for page, row in rows.items() if row["open"] and page not in found),
    ]


def _is_news(sight: Sight, row: Mapping[str, Any] | None, now: datetime) -> bool:
    if row is None or not row["seen"] or row["gone"]:
        return True
    if row["status"] != sight.status:
        return True
    edited = sight.edited_at
    return row["mailout_status"] == "scheduled" and (
        row["edited_at"] != edited or _ended_lately(edited, now)
    )


def _ended_lately(edited_at: str | None, now: datetime) -> bool:
    """Whether the minute of an edit is over, and not for long: within it more may have been written
    than was read, since Notion's `last_edited_time` knows minutes only."""
    if edited_at is None:
        return True
    return timedelta(minutes=1) <= now - datetime.fromisoformat(edited_at) < timedelta(minutes=2)
