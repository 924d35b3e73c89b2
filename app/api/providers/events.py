"""`POST /sendgrid-events` and `POST /mailgun-events`: what the fallback providers push."""

from __future__ import annotations

from collections.abc import Awaitable

from fastapi import APIRouter, Request

from app.api.answers.service import EventsTaken
from app.api.http.deps import ApiRoute, Services, ServicesDep, limited_body
from app.api.http.description import answers, takes
from app.api.http.problems import problems
from app.api.http.responses import JsonAnswer
from app.domain.providers import Provider
from app.domain.providers.events import MalformedWebhook
from app.domain.providers.signatures import WebhookSignatureWrong, WebhookStale
from app.errors import AppError, PayloadTooLarge, ProviderNotConfigured, Unavailable
from app.services.providers.webhooks import Taken

router = APIRouter(tags=["events"], route_class=ApiRoute)

MAX_SENDGRID_BYTES = 4_000_000
"""SendGrid collects events for a moment; their documentation names no size."""
MAX_MAILGUN_BYTES = 300_000

_LIST = {"type": "array", "items": {"type": "object"}}
_REFUSALS = problems(
    MalformedWebhook,
    WebhookStale,
    WebhookSignatureWrong,
    PayloadTooLarge,
    ProviderNotConfigured,
    Unavailable,
)


@router.post(
    "/sendgrid-events",
    responses=_REFUSALS | answers(EventsTaken),
    openapi_extra=takes("application/json", _LIST),
)
async def sendgrid_events(request: Request, services: ServicesDep) -> JsonAnswer:
    """200 only when every event is committed; SendGrid repeats what gets anything else, for a
    day."""
    headers = request.headers
    return await _answer(
        "sendgrid",
        services,
        services.provider_webhooks.sendgrid(
            await _body("sendgrid", request, services, MAX_SENDGRID_BYTES),
            headers.getlist("x-twilio-email-event-webhook-signature"),
            headers.getlist("x-twilio-email-event-webhook-timestamp"),
        ),
    )


@router.post(
    "/mailgun-events",
    responses=_REFUSALS | answers(EventsTaken),
    openapi_extra=takes("application/json"),
)
async def mailgun_events(request: Request, services: ServicesDep) -> JsonAnswer:
    """200 only when the event is committed; Mailgun repeats what gets anything but that and 406,
    for eight hours."""
    body = await _body("mailgun", request, services, MAX_MAILGUN_BYTES)
    return await _answer("mailgun", services, services.provider_webhooks.mailgun(body))


async def _body(provider: Provider, request: Request, services: Services, limit: int) -> bytes:
    try:
        return await limited_body(request, limit)
    except AppError as refusal:
        services.metrics.provider_webhook(provider, refusal.code)
        raise


async def _answer(provider: Provider, services: Services, taking: Awaitable[Taken]) -> JsonAnswer:
    try:
        taken = await taking
    except AppError as refusal:
        services.metrics.provider_webhook(provider, refusal.code)
        raise
    services.metrics.provider_webhook(provider, "taken")
    return JsonAnswer({"recorded": taken.recorded, "ignored": taken.ignored})
