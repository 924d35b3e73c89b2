"""The closing statement of a mailout as a file on its row in Notion. It names every recipient."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from app.domain.reports.so_far import Mailout, link
from app.errors import NotionRefused
from app.ports import Notion
from app.services.lists.statement import Statement
from app.store import Store

log = structlog.get_logger(__name__)

MAX_BYTES = 20 * 1024 * 1024
"""Of a file sent in one part (Notion's API, "Working with files and media"). Workspaces without a
paid plan take 5 MB; they refuse more."""


class StatementFile:
    def __init__(self, store: Store, notion: Notion, base_url: str) -> None:
        self._store, self._notion, self._base_url = store, notion, base_url

    async def files(self, mailout: Mailout) -> list[dict[str, Any]]:
        """The value of the property: the file, uploaded; or, where it is too large for Notion, a
        link to it in the dashboard. Raises NotionAway, Unavailable."""
        day = datetime.fromisoformat(mailout["ended_at"])
        content = await self._content(UUID(mailout["id"]))
        if content is None:
            return [self._link(mailout)]
        filename = f"statement-{day:%Y-%m-%d}.csv"
        try:
            upload = await self._notion.upload(filename, "text/csv", content)
        except NotionRefused as exc:
            log.warning("notion_upload_refused", bytes=len(content), error=exc.detail)
            return [self._link(mailout)]
        return [{"type": "file_upload", "file_upload": {"id": upload}, "name": filename}]

    async def _content(self, mailout_id: UUID) -> bytes | None:
        """None: it is too large."""
        content = bytearray()
        async for part in Statement(self._store, mailout_id).parts():
            content += part.encode()
            if len(content) > MAX_BYTES:
                return None
        return bytes(content)

    def _link(self, mailout: Mailout) -> dict[str, Any]:
        url = f"{link(mailout, self._base_url)}/statement.csv"
        return {
            "type": "external",
            "name": "Closing statement, in the dashboard",
            "external": {"url": url},
        }
