"""`/dashboard/mailouts/ID/engagement`: who opened a mailout and followed its links."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Response

from app.api.dashboard.access import HOME, Page, SignedIn
from app.api.dashboard.pages import page
from app.api.http.deps import ServicesDep
from app.api.http.responses import csv_answer
from app.domain.engagement import words
from app.services.engagement.charts import SERIES, draw
from app.services.engagement.files import figures_csv, recipients_csv

SEGMENTS = 200
"""To choose from, at most."""
LINKS_SHOWN = 40
MORE_SECONDS = 1
"""After which the page asks for the groups of a larger sample, which is being counted meanwhile."""

router = APIRouter(prefix=f"{HOME}/mailouts", route_class=Page, include_in_schema=False)


@router.get("/{mailout_id}/engagement")
async def show_engagement(
    mailout_id: UUID,
    services: ServicesDep,
    session: SignedIn,
    segment: Annotated[str, Query(max_length=36)] = "",
) -> Response:
    reports, subjects = services.engagement_reports, services.subjects
    chosen = UUID(segment) if _is_uuid(segment) else None
    segments = await services.store.list_segments(SEGMENTS)
    if chosen and str(chosen) not in {one["id"] for one in segments}:
        chosen = None
    report = await reports(mailout_id, chosen, quick=True)
    [mailout] = await subjects.add_to([await services.store.mailout_headline(mailout_id)])
    drawn = []
    if report["over_time"] and report["over_time"]["points"]:
        zone = ZoneInfo(services.settings.timezone)
        drawn = await asyncio.to_thread(draw, report["over_time"], zone)
    return page(
        "engagement/mailout.html",
        org_name=services.settings.org_name,
        session=session,
        section="mailouts",
        mailout=mailout,
        report=report,
        drawn=drawn,
        series=SERIES,
        links=report["links"][:LINKS_SHOWN],
        segments=segments,
        chosen=segment if chosen else None,
        here=f"{HOME}/mailouts/{mailout_id}/engagement" + (f"?segment={chosen}" if chosen else ""),
        live_seconds=MORE_SECONDS if report["more"] else 0,
        spoken="" if report["more"] else "The groups are counted",
        configured=services.settings.missing_to_track() is None,
        people_range=words.people_range,
        number_range=words.number_range,
        share_range=words.share_range,
    )


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


@router.get("/{mailout_id}/engagement.csv")
async def download_figures(mailout_id: UUID, services: ServicesDep, _session: SignedIn) -> Response:
    """As `GET /mailouts/{id}/engagement.csv` gives it."""
    parts = figures_csv(services.engagement_reports, mailout_id)
    return await csv_answer(parts, f"mailout-{mailout_id}-engagement.csv")


@router.get("/{mailout_id}/engagement/recipients.csv")
async def download_recipients(
    mailout_id: UUID, services: ServicesDep, _session: SignedIn
) -> Response:
    """As `GET /mailouts/{id}/engagement/recipients.csv` gives it."""
    parts = recipients_csv(services.store, mailout_id)
    return await csv_answer(parts, f"mailout-{mailout_id}-engagement-recipients.csv")
