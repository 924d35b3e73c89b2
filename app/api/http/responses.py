"""Answers: JSON, files, and what stands in the head of every one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
from starlette.datastructures import MutableHeaders
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class NoSniffing:
    """ASGI middleware: no browser takes an answer for anything but what it says it is, such as a
    list for a page, though strangers' words are in it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_so(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        await self._app(scope, receive, send_so if scope["type"] == "http" else send)


class JsonAnswer(Response):
    """A JSON answer of a route that sets its own status or headers."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


class ProblemAnswer(JsonAnswer):
    media_type = "application/problem+json"


async def csv_answer(parts: AsyncIterator[str], file_name: str) -> StreamingResponse:
    """A file that is made while it is sent. Raises what making its first part raises, before
    anything is answered."""
    first = await anext(parts)
    return StreamingResponse(
        _all(first, parts),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{file_name}"',
            "Cache-Control": "no-store",
        },
    )


async def _all(first: str, parts: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    async for part in parts:
        yield part
