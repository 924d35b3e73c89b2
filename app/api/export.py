"""The list as a file."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from app.api.http.deps import Services, ServicesDep, needs
from app.api.http.description import CSV
from app.api.http.problems import problems
from app.api.http.responses import csv_answer
from app.api.subscribers import FilterDep, Filtered
from app.domain.people import Filter
from app.errors import DetailsDropped, InvalidRequest, Unauthorized
from app.services.lists.export import Export

router = APIRouter(tags=["subscribers"], route_class=Filtered)


@router.get(
    "/subscribers/export.csv",
    dependencies=[needs("read")],
    response_class=StreamingResponse,
    responses=problems(Unauthorized, InvalidRequest, DetailsDropped) | CSV,
)
async def export_subscribers(services: ServicesDep, wanted: FilterDep) -> StreamingResponse:
    """All subscribers, or those that the filters of the list (`GET /subscribers`) show, as CSV.

    Imported into an empty database it gives the same list. An answer that breaks off isn't whole.
    """
    return await csv_of(services, wanted)


async def csv_of(services: Services, wanted: Filter) -> StreamingResponse:
    """Raises Unavailable before anything is answered."""
    return await csv_answer(Export(services.store, wanted).parts(), "subscribers.csv")
