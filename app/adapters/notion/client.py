"""Notion's API as the services need it: paced, whole lists, and errors in plain words."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import httpx
from notion_client import AsyncClient
from notion_client.errors import HTTPResponseError, RequestTimeoutError

from app.adapters.notion.pace import PER_SECOND, Pace, slow
from app.adapters.notion.refusals import refusal
from app.domain.notion.properties import as_rich_text
from app.domain.sending.backoff import backoff_seconds
from app.errors import NotionAway, NotionRefused
from app.outbound.bounded import bounded

VERSION = "2026-03-11"
PAGE_SIZE = 100
MAX_PAGES = 1_000
"""Of a list: Notion itself ends a query after a tenth of that."""
TIMEOUT_SECONDS = 30.0
CALL_SECONDS = 120.0
"""One request, from its beginning to its end: a file of 20 MB may be in it."""
MAX_BYTES = 8_000_000
"""Of an answer: a hundred blocks, each of several thousand characters."""
TRIES = 4
AWAY_SECONDS = 2.0
"""How long Notion is left alone where it doesn't say; twice as long for each further try."""
TOO_SOON = (429, 529)
"""Status codes of the rate limit and of an overload ("Request limits")."""

# The library would write refusals to the console by a handler of its own; whoever made the call
# says what came of it.
_SILENT = logging.getLogger("notion_client")


class NotionApi:
    """One integration's view of Notion; one for the whole process, so that all keep one pace.

    Every method raises NotionAway when Notion can't be reached or asks to wait, and NotionRefused
    when it refuses, each with what to do.
    """

    def __init__(
        self,
        token: str,
        base_url: str,
        *,
        per_second: float = PER_SECOND,
        pace: Pace | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """http: closed by this."""
        self._client = AsyncClient(
            auth=token,
            base_url=base_url,
            notion_version=VERSION,
            timeout_ms=round(TIMEOUT_SECONDS * 1000),
            retry=False,
            logger=_SILENT,
            log_level=logging.CRITICAL + 1,
            client=http or httpx.AsyncClient(event_hooks=bounded(MAX_BYTES, TIMEOUT_SECONDS)),
        )
        self._pace = pace or Pace(per_second)

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

    async def user(self, user_id: UUID) -> dict[str, Any]:
        """A person or a connection of the workspace."""
        return await self._call("GET", f"users/{user_id}")

    async def page(self, page_id: UUID) -> dict[str, Any]:
        return await self._call("GET", f"pages/{page_id}")

    async def block(self, block_id: UUID) -> dict[str, Any]:
        return await self._call("GET", f"blocks/{block_id}")

    async def children(self, block_id: UUID, most: int | None = None) -> list[dict[str, Any]]:
        """One level of a page or block, whole; or not much more than `most` of it."""
        blocks: list[dict[str, Any]] = []
        async for part in self._pages("GET", f"blocks/{block_id}/children", {}):
            blocks += part["results"]
            if most is not None and len(blocks) > most:
                break
        return blocks

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
        """parent: {"page_id": …} or {"block_id": …}, or {"discussion_id": …} to answer in its
        thread."""
        to = parent if "discussion_id" in parent else {"parent": dict(parent)}
        return await self._call("POST", "comments", {**to, "rich_text": as_rich_text(text)})

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
        for _ in range(MAX_PAGES):
            asked = {**body, "page_size": PAGE_SIZE}
            if cursor:
                asked["start_cursor"] = cursor
            part = await self._call(method, path, asked)
            results = part.get("results")
            if not isinstance(results, list) or not all(isinstance(r, dict) for r in results):
                raise _not_notion("that can't be read")
            yield part
            cursor = part.get("next_cursor")
            if not part.get("has_more") or not cursor:
                return
        raise _not_notion("with a list without end")

    async def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        form: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """What Notion answers; asked again where that is worth it and can do no harm."""
        harmless = method in ("GET", "PATCH") or path.endswith("/query")
        attempt = 0
        while True:
            await self._pace.turn()
            try:
                return await self._ask(method, path, body, form)
            except NotionAway as exc:
                attempt += 1
                rest: float | None = exc.extra.get("retry_after")
                if rest is None:
                    rest = backoff_seconds(attempt, 1.0, base=AWAY_SECONDS)
                    exc.extra["retry_after"] = rest
                self._pace.rest(rest)
                # What was asked for too soon wasn't done, whatever it was.
                again = harmless or exc.extra.get("notion_status") in TOO_SOON
                if attempt == TRIES or not again or not self._pace.is_patient(rest):
                    raise

    async def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        form: dict[str, Any] | None,
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self._client.request(
                    path=path,
                    method=method,
                    query=body if method == "GET" else None,
                    body=None if method == "GET" else body,
                    form_data=form,
                )
        except HTTPResponseError as exc:
            raise _error(exc, method, path) from None
        except (RequestTimeoutError, TimeoutError):
            raise NotionAway(f"Notion doesn't answer within {TIMEOUT_SECONDS:.0f} s.") from None
        except httpx.RequestError as exc:
            raise NotionAway(f"Notion can't be reached ({type(exc).__name__}).") from None
        except (ValueError, RecursionError):  # no JSON, no text, or nested without end
            raise _not_notion("that can't be read") from None
        if not isinstance(answer, dict):
            raise _not_notion("that can't be read")
        return answer


def _error(exc: HTTPResponseError, method: str, path: str) -> NotionAway | NotionRefused:
    code, message = _said(exc.body)
    if exc.status in TOO_SOON:
        seconds = _seconds(exc.headers.get("retry-after"))
        away = slow(AWAY_SECONDS if seconds is None else seconds)
        return NotionAway(away.detail, retry_after=seconds, notion_status=exc.status)
    if exc.status >= 500 or code == "conflict_error":
        return NotionAway(
            f"Notion can't do it now (status {exc.status}).",
            retry_after=_seconds(exc.headers.get("retry-after")),
            notion_status=exc.status,
        )
    if 300 <= exc.status < 400:
        return _not_notion("with a redirect, which isn't followed")
    if code is None:  # such as Cloudflare's pages, which stand before the API
        return _not_notion(f"with status {exc.status}, but not as Notion does")
    return refusal(exc.status, code, message, method, path)


def _not_notion(how: str) -> NotionAway:
    return NotionAway(
        f"Notion's address answers {how}. If it lasts, check NOTION_API_URL "
        "and what stands between this machine and Notion."
    )


def _said(body: str) -> tuple[str | None, str]:
    """Code and message of an error as Notion writes it, also where the library knows no such code;
    None: it isn't Notion's."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None, ""
    if not isinstance(said, dict) or not isinstance(said.get("code"), str):
        return None, ""
    return said["code"], str(said.get("message") or "")


def _seconds(retry_after: str | None) -> float | None:
    """Of the header, in seconds or as a date (RFC 9110, 10.2.3)."""
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
