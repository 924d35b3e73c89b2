"""What came of a mailout: who opened it and followed its links, as JSON and CSV."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from app.api.answers.readership import MailoutEngagement
from app.api.http.deps import Protected, ServicesDep, needs
from app.api.http.description import CSV, answers
from app.api.http.problems import problems
from app.api.http.responses import csv_answer
from app.api.readership.shown import OF_MAILOUT
from app.errors import DetailsGone, InvalidRequest, MailoutNotFound, Unauthorized
from app.services.engagement.files import figures_csv, recipients_csv

router = APIRouter(tags=["mailouts"], route_class=Protected)


@router.get(
    "/mailouts/{mailout_id}/engagement",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, MailoutNotFound, InvalidRequest)
    | answers(MailoutEngagement, example=OF_MAILOUT),
)
async def show_engagement(
    mailout_id: UUID,
    services: ServicesDep,
    segment: Annotated[UUID | None, Query()] = None,
) -> dict[str, Any]:
    """People per class: `human` (somebody was seen in it), `machine` (nobody was), `unknown`
    (either may be). `range`: from the people who did it for certain to those who may have; rates
    are null under five tracked mails. segment: of those who are in it now, too.

    `tracking: false`: the mailout isn't watched, and all figures are 0. `partial`: it is being
    sent. `waiting`: people with something that isn't judged yet. `estimated`: `providers`, `tags`
    and `segment` are of a sample, `looked_at` so large; `within`: how exact a share is in a group
    with a tenth of the mails.
    """
    return await services.engagement_reports(mailout_id, segment)


@router.get(
    "/mailouts/{mailout_id}/engagement.csv",
    dependencies=[needs("read")],
    response_class=StreamingResponse,
    responses=problems(Unauthorized, MailoutNotFound) | CSV,
)
async def show_figures(mailout_id: UUID, services: ServicesDep) -> Response:
    """A row for each class of the opens, the clicks, and each link."""
    parts = figures_csv(services.engagement_reports, mailout_id)
    return await csv_answer(parts, f"mailout-{mailout_id}-engagement.csv")


@router.get(
    "/mailouts/{mailout_id}/engagement/recipients.csv",
    dependencies=[needs("read")],
    response_class=StreamingResponse,
    responses=problems(Unauthorized, MailoutNotFound, DetailsGone) | CSV,
)
async def show_recipients(mailout_id: UUID, services: ServicesDep) -> Response:
    """What each recipient did. An answer that breaks off isn't whole."""
    parts = recipients_csv(services.store, mailout_id)
    return await csv_answer(parts, f"mailout-{mailout_id}-engagement-recipients.csv")
