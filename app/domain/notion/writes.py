"""What passes between the writer of Notion's rows and the database. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

NotionWrite = Literal["written", "unchanged", "refused", "away"]
"""What came of a row that was due."""


@dataclass(frozen=True)
class Write:
    """A row that is due, held by a lease.

    claim: names its present holder. row: `delivery`, `problem`, `note`, `press`, `gone_at` of
    notion_rows.
    mailout: as notion_write_facts gives it; None: the row has none. written: values by our names
    of the properties, as last written; sure: the row is known to say that. told: keys of problems
    that were commented. statement_for: which closing statement hangs on the row. patched_ago:
    seconds since something was written into it.
    """

    page_id: UUID
    claim: int
    row: Mapping[str, Any]
    mailout: Mapping[str, Any] | None
    written: Mapping[str, Any]
    sure: bool
    told: tuple[str, ...]
    statement_for: Mapping[str, Any] | None
    failures: int
    error: str | None
    patched_ago: float | None = None


@dataclass(frozen=True)
class Written:
    """How a try ended. written, told, statement_for: None: as before. patched: something was
    written into the row. sure: what the row says now is known. error: why it couldn't be told, in
    plain words. next_seconds: when to look again; None: when something changes. live: somebody
    watches it."""

    sure: bool = True
    patched: bool = False
    written: Mapping[str, Any] | None = None
    told: tuple[str, ...] | None = None
    statement_for: Mapping[str, Any] | None = None
    error: str | None = None
    next_seconds: float | None = None
    live: bool = False
