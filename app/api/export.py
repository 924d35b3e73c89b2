"""The list as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from app.api.http.deps import Protected, ServicesDep, needs
from app.api.http.problems import problems
from app.domain.states import SubscriberStatus
from app.errors import InvalidRequest, Unauthorized
from app.services.lists.export import Export

router = APIRouter(tags=["subscribers"], route_class=Protected)


@router.get(
    "/subscribers/export.csv",
    dependencies=[needs("read")],
    response_class=StreamingResponse,
    responses=problems(Unauthorized, InvalidRequest)
    | {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def export_subscribers(
    services: ServicesDep, status: Annotated[SubscriberStatus | None, Query()] = None
) -> StreamingResponse:
    """All subscribers, or those of a filter, as CSV in the order of their addresses. Imported into
    an empty database it gives the same list. An answer that breaks off isn't complete."""
    parts = Export(services.store, status).parts()
    first = await anext(parts)  # a database that can't be reached is told by the status
    return StreamingResponse(
        _all(first, parts),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": 'attachment; filename="subscribers.csv"',
            "Cache-Control": "no-store",
        },
    )


async def _all(first: str, parts: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    async for part in parts:
        yield part
