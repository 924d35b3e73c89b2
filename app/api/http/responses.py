"""JSON answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
from starlette.responses import Response, StreamingResponse


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
