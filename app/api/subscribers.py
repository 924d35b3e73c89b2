"""Looking at subscribers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import TypeAdapter

from app.api.http.deps import Protected, ServicesDep, Text, needs
from app.api.http.paging import Page, decode_cursor, page
from app.api.http.problems import problems
from app.domain.states import SUBSCRIBER_STATUSES
from app.errors import InvalidRequest, NotFound, Unauthorized

router = APIRouter(tags=["subscribers"], route_class=Protected)

_AFTER = TypeAdapter(tuple[Text])
"""The last address on the page before."""


@router.get(
    "/subscribers", dependencies=[needs("read")], responses=problems(Unauthorized, InvalidRequest)
)
async def list_subscribers(
    services: ServicesDep,
    status: Annotated[str | None, Query(pattern=f"^({'|'.join(SUBSCRIBER_STATUSES)})$")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> Page:
    """In the order of their addresses."""
    after = decode_cursor(cursor, _AFTER)
    rows = await services.store.list_subscribers(
        limit + 1, status=status, after=after[0] if after else None
    )
    return page(rows, limit, "email")


@router.get(
    "/subscribers/{email}",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, NotFound, InvalidRequest),
)
async def show_subscriber(email: Text, services: ServicesDep) -> dict[str, Any]:
    """One subscriber; upper and lower case are the same."""
    found = await services.store.find_subscriber(email=email)
    if found is None:
        raise NotFound("There is no such subscriber.")
    return found
