"""`/dashboard/subscribers/engagement`: how the list grows, what mailouts cost it, who is quiet."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from app.api.dashboard.access import HOME, Page, SignedIn
from app.api.dashboard.pages import page
from app.api.http.deps import ServicesDep
from app.api.http.responses import csv_answer
from app.domain.readership.growth import LOSSES, SOURCES, By
from app.domain.readership.quiet import DAYS, GROUPS, MOST_DAYS, Group
from app.services.readership.charts import draw, label
from app.services.readership.list_report import list_report, quiet_file

router = APIRouter(
    prefix=f"{HOME}/subscribers/engagement", route_class=Page, include_in_schema=False
)

CHOICES = (30, 90, 180, 365)
Days = Annotated[int, Query(ge=1, le=MOST_DAYS)]


@router.get("")
async def show_list(
    services: ServicesDep, session: SignedIn, days: Days = DAYS, by: By = "week"
) -> Response:
    found = await list_report(services.store, days, by)
    periods = found["growth"]["periods"]
    rule = found["quiet"]["rule"]
    segment = {"name": f"Nothing seen in {days} days", "rule": orjson.dumps(rule).decode()}
    return page(
        "readership/list.html",
        org_name=services.settings.org_name,
        session=session,
        section="subscribers",
        found=found,
        by=by,
        days=days,
        choices=sorted({*CHOICES, days}),
        charts=draw(periods, by),
        periods=[one | {"label": label(one["start"], by)} for one in reversed(periods)],
        mailouts=await services.subjects.add_to(found["mailouts"]),
        sources=SOURCES,
        losses=LOSSES,
        segment=f"{HOME}/segments/new?{urlencode(segment)}" if rule else None,
    )


@router.get("/quiet.csv")
async def download(
    services: ServicesDep, _session: SignedIn, days: Days = DAYS, group: Group | None = None
) -> StreamingResponse:
    """As `GET /subscribers/engagement/quiet.csv` gives it."""
    parts = quiet_file(services.store, days, [group] if group else GROUPS)
    return await csv_answer(parts, "quiet.csv")
