"""Having a mailout start at a time."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from app.api.answers.mailouts import Begun, Moved, Scheduled
from app.api.http.deps import CallerDep, Protected, ServicesDep, Text, needs
from app.api.http.description import answers
from app.api.http.problems import problems
from app.api.http.responses import JsonAnswer
from app.api.mailouts.starting import dry_run
from app.domain.given.bodies import StrictBody
from app.domain.schedules.plan import Passed
from app.errors import (
    AudienceChanged,
    AudienceEmpty,
    InvalidRequest,
    MailoutNotFound,
    MailoutNotReady,
    SesNotConfigured,
    TemplateInvalid,
    TransitionNotAllowed,
    Unauthorized,
    Unavailable,
)
from app.services.starting.start_mailout import SendRequest

router = APIRouter(tags=["mailouts"], route_class=Protected)


class ScheduleBody(StrictBody):
    """at: a date and time of the clock, without an offset. zone: an IANA name, or `recipient`:
    each recipient's own; TIMEZONE when absent. With `recipient`: fallback, the zone of those whose
    own isn't known; passed, what becomes of those for whom the hour has passed at the start.
    confirm_audience: the number of recipients, where it was refused because that changed a lot."""

    at: Annotated[Text, Field(max_length=40, examples=["2026-12-01T09:00"])]
    zone: Annotated[Text, Field(max_length=64, examples=["Europe/Berlin", "recipient"])] | None = (
        None
    )
    fallback: Annotated[Text, Field(max_length=64)] | None = None
    passed: Passed | None = None
    confirm_audience: Annotated[int, Field(ge=0, le=2**53)] | None = None


@router.post(
    "/mailouts/{mailout_id}/schedule",
    dependencies=[needs("send")],
    responses=problems(
        Unauthorized,
        MailoutNotFound,
        MailoutNotReady,
        TransitionNotAllowed,
        AudienceEmpty,
        AudienceChanged,
        TemplateInvalid,
        InvalidRequest,
        SesNotConfigured,
        Unavailable,
    )
    | answers(Scheduled)
    | answers(Begun, 202),
)
async def schedule(
    mailout_id: UUID, body: ScheduleBody, services: ServicesDep, caller: CallerDep
) -> JsonAnswer:
    """ready → scheduled, with the checks of a start; content and audience are kept as they are
    now. With DRY_RUN_SEND a dry run instead, as of a request to send.

    `waves`: when who is mailed, and whether rate and quota suffice. `notes`: what daylight saving
    changes.
    """
    if services.settings.dry_run_send:
        return await dry_run(services, SendRequest(mailout_id=mailout_id, by=caller.by))
    done = await services.schedules(
        mailout_id,
        body.model_dump(),
        confirm_audience=body.confirm_audience,
        by=caller.by,
    )
    services.wake()
    return JsonAnswer(done)


@router.delete(
    "/mailouts/{mailout_id}/schedule",
    dependencies=[needs("send")],
    responses=problems(Unauthorized, MailoutNotFound, TransitionNotAllowed) | answers(Moved),
)
async def unschedule(mailout_id: UUID, services: ServicesDep, caller: CallerDep) -> dict[str, Any]:
    """scheduled → ready: it can be changed again."""
    return await services.schedules.take_back(mailout_id, by=caller.by)
