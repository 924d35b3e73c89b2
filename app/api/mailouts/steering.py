"""What a person does to a mailout that is started: pause, resume, cancel, resend."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from app.api.answers.mailouts import Moved, Resent
from app.api.http.deps import CallerDep, Protected, ServicesDep, needs
from app.api.http.description import answers
from app.api.http.problems import problems
from app.domain.given.bodies import StrictBody
from app.errors import (
    DetailsDropped,
    InvalidRequest,
    MailoutNotFound,
    TransitionNotAllowed,
    Unauthorized,
)
from app.services.starting.steering import Steering

router = APIRouter(tags=["mailouts"], route_class=Protected)

_steering = problems(Unauthorized, MailoutNotFound, TransitionNotAllowed)


@router.post(
    "/mailouts/{mailout_id}/pause",
    dependencies=[needs("send")],
    responses=_steering | answers(Moved),
)
async def pause(mailout_id: UUID, services: ServicesDep, caller: CallerDep) -> dict[str, Any]:
    """sending → paused: no new batch from now on; calls in flight are recorded."""
    return await Steering(services.store).pause(mailout_id, by=caller.by)


@router.post(
    "/mailouts/{mailout_id}/resume",
    dependencies=[needs("send")],
    responses=_steering | answers(Moved),
)
async def resume(mailout_id: UUID, services: ServicesDep, caller: CallerDep) -> dict[str, Any]:
    """paused → sending."""
    done = await Steering(services.store).resume(mailout_id, by=caller.by)
    services.wake()
    return done


@router.post(
    "/mailouts/{mailout_id}/cancel",
    dependencies=[needs("send")],
    responses=_steering | answers(Moved),
)
async def cancel(mailout_id: UUID, services: ServicesDep, caller: CallerDep) -> dict[str, Any]:
    """ready, scheduled, sending or paused → cancelled: who was not mailed yet never is."""
    done = await Steering(services.store).cancel(mailout_id, by=caller.by)
    services.wake()
    return done


class ResendBody(StrictBody):
    """statuses: whose rows go back to the queue. force: `unknown` ones of any age."""

    statuses: Annotated[
        list[Annotated[str, StringConstraints(pattern="^(failed|unknown)$")]],
        Field(min_length=1, max_length=2),
    ]
    force: bool = False


@router.post(
    "/mailouts/{mailout_id}/resend",
    status_code=202,
    dependencies=[needs("send")],
    responses=_steering
    | problems(InvalidRequest, TransitionNotAllowed, DetailsDropped)
    | answers(Resent, 202),
)
async def resend(
    mailout_id: UUID, body: ResendBody, services: ServicesDep, caller: CallerDep
) -> dict[str, Any]:
    """sent or failed → sending, for those who were missed: a person's decision. `requeued` and
    `too_young` are of the first 5,000; the `remaining` follow while they are being sent."""
    done = await Steering(services.store).resend(
        mailout_id, body.statuses, force=body.force, by=caller.by
    )
    services.wake()
    return done
