"""Segments: rules with a name, which mailouts, lists and other segments may use."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, StringConstraints, TypeAdapter

from app.api.answers.people import Segment
from app.api.answers.shared import ListOf
from app.api.http.deps import CallerDep, Protected, ServicesDep, Text, needs
from app.api.http.description import answers
from app.api.http.paging import Page, decode_cursor, page
from app.api.http.problems import problems
from app.domain.audience.rule import AudienceRule
from app.domain.given.bodies import StrictBody
from app.errors import (
    InvalidRequest,
    SegmentExists,
    SegmentInUse,
    SegmentNotFound,
    SegmentRefused,
    Unauthorized,
)

router = APIRouter(tags=["segments"], route_class=Protected)

MAX_NAME_CHARS = 100


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("use letters, digits, signs and spaces")
    return name


SegmentName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME_CHARS),
    AfterValidator(_printable),
]


class SegmentChange(StrictBody):
    """Only what is there is changed."""

    name: SegmentName | None = None
    audience: AudienceRule = None


class NewSegment(SegmentChange):
    name: SegmentName
    audience: AudienceRule

    def rule(self) -> dict[str, Any]:
        """Raises InvalidRequest."""
        if self.audience is None:
            raise InvalidRequest("audience: a segment needs a rule; everybody needs no segment.")
        return self.audience


_saving = problems(Unauthorized, InvalidRequest, SegmentExists, SegmentRefused)


@router.post(
    "/segments",
    status_code=201,
    dependencies=[needs("manage")],
    responses=_saving | answers(Segment, 201, headers=("Location",)),
)
async def create_segment(
    body: NewSegment, services: ServicesDep, caller: CallerDep, response: Response
) -> dict[str, Any]:
    made = await services.segments.create(body.name, body.rule(), by=caller.by)
    response.headers["Location"] = f"/segments/{made['id']}"
    return made


_AFTER = TypeAdapter(tuple[Text])


@router.get(
    "/segments",
    dependencies=[needs("read", "manage")],
    responses=problems(Unauthorized, InvalidRequest) | answers(ListOf[Segment]),
)
async def list_segments(
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> Page:
    """By name, each with how often it is `used` and by what."""
    after = decode_cursor(cursor, _AFTER)
    rows = await services.store.list_segments(limit + 1, after[0] if after else None)
    return page(rows, limit, "name")


@router.get(
    "/segments/{segment_id}",
    dependencies=[needs("read", "manage")],
    responses=problems(Unauthorized, SegmentNotFound) | answers(Segment),
)
async def show_segment(segment_id: UUID, services: ServicesDep) -> dict[str, Any]:
    """One segment; `notes` says what its rule asks in vain, such as a tag that nobody has."""
    return await services.segments.show(segment_id)


@router.patch(
    "/segments/{segment_id}",
    dependencies=[needs("manage")],
    responses=_saving | problems(SegmentNotFound) | answers(Segment),
)
async def change_segment(
    segment_id: UUID, body: SegmentChange, services: ServicesDep, caller: CallerDep
) -> dict[str, Any]:
    """Whatever uses it goes by the new rule from now on; what has started keeps the old one."""
    given = body.model_fields_set
    if not given:
        raise InvalidRequest("body: name what is to be changed.")
    if "name" in given and body.name is None:
        raise InvalidRequest("name: null is no name; leave it out.")
    if "audience" in given and body.audience is None:
        raise InvalidRequest("audience: a segment needs a rule; leave it out to keep it.")
    return await services.segments.change(segment_id, body.name, body.audience, by=caller.by)


@router.delete(
    "/segments/{segment_id}",
    status_code=204,
    dependencies=[needs("manage")],
    responses=problems(Unauthorized, SegmentNotFound, SegmentInUse),
)
async def delete_segment(segment_id: UUID, services: ServicesDep, caller: CallerDep) -> Response:
    """One that nothing uses: no other segment, and no mailout that isn't over."""
    await services.segments.delete(segment_id, by=caller.by)
    return Response(status_code=204)
