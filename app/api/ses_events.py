"""`POST /ses-events`: what Amazon SNS pushes."""

from __future__ import annotations

import structlog
from fastapi import APIRouter, Request

from app.api.deps import ServicesDep, limited_body
from app.api.problems import problems
from app.api.responses import JsonAnswer
from app.domain.events import MalformedEvent, parse_ses_event, to_row
from app.domain.sns_message import (
    SUBSCRIPTION_CONFIRMATION,
    UNSUBSCRIBE_CONFIRMATION,
    BadSignature,
    ForbiddenSource,
    MalformedSnsMessage,
    SnsMessage,
    parse_sns_message,
)
from app.errors import AppError, PayloadTooLarge, Unavailable

log = structlog.get_logger(__name__)
router = APIRouter(tags=["events"])

MAX_MESSAGE_BYTES = 300_000  # SNS's 256 KB and its envelope


@router.post(
    "/ses-events",
    responses=problems(
        MalformedSnsMessage,
        MalformedEvent,
        ForbiddenSource,
        BadSignature,
        PayloadTooLarge,
        Unavailable,
    ),
    openapi_extra={"requestBody": {"required": True, "content": {"text/plain": {}}}},
)
async def ses_events(request: Request, services: ServicesDep) -> JsonAnswer:
    """200 only when the event is committed; SNS repeats what gets 503."""
    try:
        message = await _verified(request, services)
    except AppError as refusal:
        services.metrics.message_refused(refusal.code)
        if isinstance(refusal, BadSignature | ForbiddenSource):
            services.watchdog.refused(refusal)
        raise
    if message.type == SUBSCRIPTION_CONFIRMATION:
        await services.confirmer.confirm(message)
        log.info("subscription_confirmed", topic=message.topic_arn)
        return JsonAnswer({"confirmed": True})
    if message.type == UNSUBSCRIBE_CONFIRMATION:
        log.warning(
            "subscription_ended",
            topic=message.topic_arn,
            remedy="subscribe this endpoint to the topic again",
        )
        return JsonAnswer({"recorded": False})
    event = parse_ses_event(message.message, published_at=message.published_at)
    if event is None:  # SES's "Successfully validated SNS topic"
        return JsonAnswer({"recorded": False})
    await services.record_events(to_row(event, message.message_id))
    return JsonAnswer({"recorded": True})


async def _verified(request: Request, services: ServicesDep) -> SnsMessage:
    """The message, once it is known to be genuine and of one of our topics."""
    message = parse_sns_message(await limited_body(request, MAX_MESSAGE_BYTES), request.headers)
    await services.verifier.verify(message)
    return message
