"""`GET /subscribers/engagement`, and that of one subscriber."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from app.api.answers.readership import ListEngagement, PersonEngagement
from app.api.http.deps import Protected, ServicesDep, Text, needs
from app.api.http.description import CSV, answers
from app.api.http.problems import problems
from app.api.http.responses import csv_answer
from app.api.readership.shown import OF_LIST, OF_PERSON
from app.api.subscribers import find
from app.domain.readership.growth import MOST_PERIODS, By
from app.domain.readership.quiet import DAYS, GROUPS, MOST_DAYS, Group
from app.errors import InvalidRequest, SubscriberNotFound, Unauthorized
from app.services.readership.list_report import list_report, quiet_file
from app.services.readership.person import person_engagement

router = APIRouter(tags=["subscribers"], route_class=Protected)

Days = Annotated[int, Query(ge=1, le=MOST_DAYS)]
Groups = Annotated[list[Group] | None, Query(max_length=len(GROUPS))]


@router.get(
    "/subscribers/engagement",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, InvalidRequest) | answers(ListEngagement, example=OF_LIST),
)
async def show_list_engagement(
    services: ServicesDep,
    days: Days = DAYS,
    by: By = "week",
    periods: Annotated[int | None, Query(ge=1, le=MOST_PERIODS)] = None,
) -> dict[str, Any]:
    """Who came and left (`growth`), what the latest mailouts cost the list (`mailouts`), and who
    gave no human sign of life for so many days (`quiet`): `possible` (something was opened, perhaps
    by a machine), `silent` (tracked mails were delivered, and nothing), `not_judged` (no tracked
    mail was). Of a long list `quiet` is an estimate (`estimated`) from `looked_at` people."""
    return await list_report(services.store, days, by, periods)


@router.get(
    "/subscribers/engagement/quiet.csv",
    dependencies=[needs("read")],
    response_class=StreamingResponse,
    responses=problems(Unauthorized, InvalidRequest) | CSV,
)
async def export_quiet(
    services: ServicesDep, days: Days = DAYS, group: Groups = None
) -> StreamingResponse:
    """Everybody without a human sign of life for so many days, as CSV; group: only those. An answer
    that breaks off isn't whole."""
    return await csv_answer(quiet_file(services.store, days, group or GROUPS), "quiet.csv")


@router.get(
    "/subscribers/{email:address}/engagement",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, SubscriberNotFound, InvalidRequest)
    | answers(PersonEngagement, example=OF_PERSON),
)
async def show_engagement(
    email: Text, services: ServicesDep, limit: Annotated[int, Query(ge=0, le=200)] = 50
) -> dict[str, Any]:
    """What they got, opened and clicked: mails by the best class (`opens`, `clicks`), proven to
    possible (`range`), the last human sign of life, and the latest `limit` mails with every open
    and click, its class and why (`items`)."""
    found = await find(services, email)
    return await person_engagement(services.store, UUID(found["id"]), limit)
