"""A row of the Notion database as it was last seen, and what came of it. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal
from uuid import UUID

Asked = Literal["test", "send", "pause", "cancel"]
ASKS: Mapping[str | None, Asked] = {
    "Send test": "test",
    "Send": "send",
    "Pause": "pause",
    "Cancel": "cancel",
}
"""What each Status asks for; any other asks for nothing."""


@dataclass(frozen=True)
class Row:
    """What `notion_rows` (migrations/0019_notion.sql) has of a page. mailout: `id`, `status`,
    `status_reason`, `schedule`, `scheduled_at`, `sent_at` of its mailout; None: it has none."""

    page_id: UUID
    version: int = 0
    mailout: Mapping[str, Any] | None = None
    title: str | None = None
    news: int = 0
    looked: int = 0
    calls: int = 0
    called: int = 0
    seen_at: str | None = None
    edited_at: str | None = None
    status: str | None = None
    press: int = 0
    asked: Asked | None = None
    answered: int = 0
    delivery: str | None = None
    problem: str | None = None
    note: str | None = None
    tested: Mapping[str, Any] | None = None
    frozen: Mapping[str, Any] | None = None
    confirm: Mapping[str, Any] | None = None
    gone_at: str | None = None

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Row:
        known = {field.name: row[field.name] for field in fields(cls)}
        return cls(**known | {"page_id": UUID(row["page_id"])})

    @property
    def mailout_id(self) -> UUID | None:
        return UUID(self.mailout["id"]) if self.mailout else None

    @property
    def mailout_status(self) -> str | None:
        return self.mailout["status"] if self.mailout else None

    @property
    def is_open(self) -> bool:
        """Whether somebody waits for an answer."""
        return self.answered < self.press
