"""Test mails: the mailout as it would be sent, to a few people who look at it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import AfterValidator, Field

from app.api.answers.mailouts import Begun
from app.api.http.deps import CallerDep, Protected, ServicesDep, needs
from app.api.http.description import answers
from app.api.http.problems import problems
from app.api.http.responses import JsonAnswer
from app.api.mailouts.starting import IdempotencyKey, SendAccepted
from app.domain.addresses import InvalidAddress, typed_address
from app.domain.given.bodies import StrictBody
from app.errors import (
    IdempotencyKeyReused,
    InvalidRequest,
    MailoutNotFound,
    SesNotConfigured,
    TemplateInvalid,
    Unauthorized,
    Unavailable,
)
from app.services.starting.orders import check_key
from app.services.starting.start_mailout import MAX_TEST_EMAILS, SendRequest, fingerprint

router = APIRouter(tags=["mailouts"], route_class=Protected)


def usable(address: str) -> str:
    try:
        return typed_address(address)
    except InvalidAddress as exc:
        raise ValueError(f"is not a usable mail address: {exc}") from exc


class TestBody(StrictBody):
    """to: instead of TEST_EMAILS; whoever is named twice gets it once."""

    __test__ = False  # for pytest
    to: (
        Annotated[
            list[Annotated[str, Field(max_length=400), AfterValidator(usable)]],
            Field(min_length=1, max_length=MAX_TEST_EMAILS),
        ]
        | None
    ) = None


@router.post(
    "/mailouts/{mailout_id}/test",
    status_code=202,
    response_model=SendAccepted,
    dependencies=[needs("send")],
    responses=problems(
        Unauthorized,
        MailoutNotFound,
        TemplateInvalid,
        InvalidRequest,
        IdempotencyKeyReused,
        SesNotConfigured,
        Unavailable,
    )
    | answers(Begun, 202),
)
async def send_test(
    mailout_id: UUID,
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    body: TestBody | None = None,
    idempotency_key: IdempotencyKey = None,
) -> JsonAnswer:
    """Send it to TEST_EMAILS, or to a few addresses, with [Test] before the subject. Its state
    stays as it is, whichever that is. With an Idempotency-Key, a repeat sends nothing."""
    check_key(idempotency_key)
    to = body.to if body else None
    send = SendRequest(
        mailout_id=mailout_id,
        key=f"key:{idempotency_key}" if idempotency_key else None,
        fingerprint=fingerprint(f"test {mailout_id} ".encode() + await request.body()),
        by=caller.by,
        to=tuple(to) if to else None,
    )
    if services.settings.dry_run_send:
        return JsonAnswer(await services.dry_runs.start(send), 202)
    answer: dict[str, Any] = await services.start_mailout.test(send)
    return JsonAnswer(answer, 202)
