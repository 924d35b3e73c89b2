"""Notion's API as the services need it: paced, whole lists, and errors in plain words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import httpx
from notion_client import AsyncClient
from notion_client.errors import (
    APIResponseError,
    HTTPResponseError,
    RequestTimeoutError,
)

from app.errors import NotionAway, NotionRefused

VERSION = "2026-03-11"
PER_SECOND = 2.5
"""Requests; Notion allows three a second on average."""
PAGE_SIZE = 100
TIMEOUT_SECONDS = 30.0
AWAY_SECONDS = 10.0
"""How long to leave Notion alone where it doesn't say."""


class NotionApi:
    """One integration's view of Notion. Every method raises NotionAway when Notion can't be reached
    or asks to wait, and NotionRefused when it refuses."""

    def __init__(self, token: str, base_url: str, *, per_second: float = PER_SECOND) -> None:
        self._client = AsyncClient(
            auth=token,
            base_url=base_url,
            notion_version=VERSION,
            timeout_ms=round(TIMEOUT_SECONDS * 1000),
            retry=False,
        )
        self._pause = 1 / per_second
        self._next = 0.0  # when the next request may leave (monotonic)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def me(self) -> dict[str, Any]:
        """The integration itself: a user of type bot."""
        return await self._call("GET", "users/me")

    async def page(self, page_id: UUID) -> dict[str, Any]:
        return await self._call("GET", f"pages/{page_id}")

    async def block(self, block_id: UUID) -> dict[str, Any]:
        return await self._call("GET", f"blocks/{block_id}")

    async def children(self, block_id: UUID) -> list[dict[str, Any]]:
        """One level of a page or block, whole."""
        found = self._pages("GET", f"blocks/{block_id}/children", {})
        return [block async for part in found for block in part["results"]]

    async def database(self, database_id: UUID) -> dict[str, Any]:
        """With its `data_sources`: id and name."""
        return await self._call("GET", f"databases/{database_id}")

    async def data_source(self, data_source_id: UUID) -> dict[str, Any]:
        """With its `properties`."""
        return await self._call("GET", f"data_sources/{data_source_id}")

    async def rows(
        self,
        data_source_id: UUID,
        where: Mapping[str, Any] | None = None,
        sorts: Sequence[Mapping[str, Any]] = (),
    ) -> AsyncIterator[dict[str, Any]]:
        """Pages of a data source. A query ends without a word at 10,000 rows: `where` keeps far
        below that."""
        body: dict[str, Any] = {"sorts": list(sorts)} if sorts else {}
        if where:
            body["filter"] = where
        async for part in self._pages("POST", f"data_sources/{data_source_id}/query", body):
            for row in part["results"]:
                yield row

    async def update_page(self, page_id: UUID, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Change only the properties named."""
        return await self._call("PATCH", f"pages/{page_id}", {"properties": dict(properties)})

    async def create_page(self, page: Mapping[str, Any]) -> dict[str, Any]:
        return await self._call("POST", "pages", dict(page))

    async def create_database(self, database: Mapping[str, Any]) -> dict[str, Any]:
        return await self._call("POST", "databases", dict(database))

    async def create_view(self, view: Mapping[str, Any]) -> dict[str, Any]:
        return await self._call("POST", "views", dict(view))

    async def comments(self, block_id: UUID) -> list[dict[str, Any]]:
        """The open comments of a page or block, the oldest first."""
        found = self._pages("GET", "comments", {"block_id": str(block_id)})
        return [comment async for part in found for comment in part["results"]]

    async def comment(self, parent: Mapping[str, str], text: str) -> dict[str, Any]:
        """parent: {"page_id": …}, or {"discussion_id": …} to answer in its thread."""
        pieces = [text[start : start + 2000] for start in range(0, len(text), 2000)]
        to = parent if "discussion_id" in parent else {"parent": dict(parent)}
        rich_text = [{"type": "text", "text": {"content": piece}} for piece in pieces]
        return await self._call("POST", "comments", {**to, "rich_text": rich_text})

    async def upload(self, filename: str, content_type: str, content: bytes) -> str:
        """The id of a file upload, to be attached within an hour: 20 MB at most."""
        made = await self._call(
            "POST",
            "file_uploads",
            {"mode": "single_part", "filename": filename, "content_type": content_type},
        )
        form = {"file": (filename, content, content_type)}
        sent = await self._call("POST", f"file_uploads/{made['id']}/send", form=form)
        return str(sent["id"])

    async def _pages(
        self, method: str, path: str, body: dict[str, Any]
    ) -> AsyncIterator[dict[str, Any]]:
        """Each page of a list, until the last."""
        cursor: str | None = None
        while True:
            asked = {**body, "page_size": PAGE_SIZE}
            if cursor:
                asked["start_cursor"] = cursor
            part = await self._call(method, path, asked)
            yield part
            cursor = part.get("next_cursor")
            if not part.get("has_more") or not cursor:
                return

    async def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        form: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        await self._turn()
        try:
            answer = await self._client.request(
                path=path,
                method=method,
                query=body if method == "GET" else None,
                body=None if method == "GET" else body,
                form_data=form,
            )
        except APIResponseError as exc:
            raise self._refusal(exc) from None
        except (HTTPResponseError, RequestTimeoutError, httpx.TransportError, ValueError) as exc:
            self._leave_alone(AWAY_SECONDS)
            raise NotionAway(f"Notion can't be reached ({type(exc).__name__}).") from None
        if not isinstance(answer, dict):
            raise NotionAway("Notion's answer can't be read.")
        return answer

    def _refusal(self, exc: APIResponseError) -> NotionAway | NotionRefused:
        code = str(getattr(exc.code, "value", exc.code))
        if exc.status == 429 or exc.status >= 500 or code == "conflict_error":
            seconds = _seconds(exc.headers.get("retry-after"))
            self._leave_alone(seconds)
            return NotionAway("Notion is slow now; this follows by itself.", retry_after=seconds)
        return NotionRefused(str(exc), notion_code=code, notion_status=exc.status)

    async def _turn(self) -> None:
        """Wait until the next request may leave."""
        now = time.monotonic()
        mine = max(self._next, now)
        self._next = mine + self._pause
        await asyncio.sleep(mine - now)

    def _leave_alone(self, seconds: float) -> None:
        self._next = max(self._next, time.monotonic() + seconds)


def _seconds(retry_after: str | None) -> float:
    try:
        return max(0.0, float(retry_after or ""))
    except ValueError:
        return AWAY_SECONDS
