"""Whether another provider sends in SES's place, and a person's word on it (docs/fallback.md)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import Field

from app.api.answers.service import Fallback
from app.api.http.deps import CallerDep, Protected, ServicesDep, Text, needs
from app.api.http.description import answers
from app.api.http.problems import problems
from app.domain.given.bodies import StrictBody
from app.errors import FallbackNotConfigured, InvalidRequest, Unauthorized

router = APIRouter(prefix="/fallback", tags=["fallback"], route_class=Protected)

_STATE = {
    "open": True,
    "provider": "sendgrid",
    "name": "SendGrid",
    "since": "2026-05-04T18:40:00+00:00",
    "by": None,
    "reason": "SES can't send: it does not answer in eu-west-1.",
    "waiting": 12000,
    "rate": 20.0,
    "ses_down_since": "2026-05-04T18:30:00+00:00",
    "providers": ["sendgrid", "mailgun"],
    "after_seconds": 600.0,
    "consequences": ["12,000 recipients wait for their turn now."],
    "changes": [],
}


class Word(StrictBody):
    reason: Annotated[Text, Field(max_length=300)] | None = None


class OpenWord(Word):
    """provider: of FALLBACK_PROVIDERS; the first of it where none is named."""

    provider: Annotated[Text, Field(max_length=40)] | None = None


@router.get(
    "",
    dependencies=[needs("read")],
    responses=problems(Unauthorized) | answers(Fallback, example=_STATE),
)
async def show_fallback(services: ServicesDep) -> dict[str, Any]:
    """Whether a provider sends in SES's place now, since when, why, and by whose word (`by` null:
    the rule); and what it would cost to let it."""
    return await services.fallback.show()


@router.post(
    "/open",
    dependencies=[needs("send")],
    responses=problems(Unauthorized, InvalidRequest, FallbackNotConfigured)
    | answers(Fallback, example=_STATE | {"changed": True}),
)
async def open_fallback(
    services: ServicesDep, caller: CallerDep, body: Annotated[OpenWord | None, Body()] = None
) -> dict[str, Any]:
    """Let a provider send to those who are queued, beside SES as far as that can. It closes by
    itself once SES can send again. Once more changes nothing."""
    said = body or OpenWord()
    done = await services.fallback.open(said.provider, said.reason, by=caller.by)
    services.wake()
    return done


@router.post(
    "/close",
    dependencies=[needs("send")],
    responses=problems(Unauthorized, InvalidRequest)
    | answers(Fallback, example=_STATE | {"changed": True}),
)
async def close_fallback(
    services: ServicesDep, caller: CallerDep, body: Annotated[Word | None, Body()] = None
) -> dict[str, Any]:
    """Let SES alone send. The rule doesn't open it again for the same outage."""
    return await services.fallback.close((body or Word()).reason, by=caller.by)
