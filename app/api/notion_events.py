"""`POST /notion-events`: what Notion posts for an integration's webhook."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.api.answers.service import NotionTaken
from app.api.http.deps import ApiRoute, ServicesDep, limited_body
from app.api.http.description import answers, takes
from app.api.http.problems import problems
from app.api.http.responses import JsonAnswer
from app.api.strangers.refusing import stranger, too_many
from app.domain.notion.events import MAX_EVENT_BYTES, MalformedNotionEvent, asked_to_verify
from app.errors import (
    AppError,
    NotionNotConfigured,
    NotionSignatureWrong,
    PayloadTooLarge,
    Unavailable,
)

router = APIRouter(tags=["events"], route_class=ApiRoute)


@router.post(
    "/notion-events",
    responses=problems(
        MalformedNotionEvent,
        NotionSignatureWrong,
        PayloadTooLarge,
        NotionNotConfigured,
        Unavailable,
    )
    | answers(NotionTaken),
    openapi_extra=takes("application/json"),
)
async def notion_events(request: Request, services: ServicesDep) -> JsonAnswer:
    """200 only when what it asks for is committed; Notion repeats what gets anything else, up to
    eight times. It is only ever a sign to look: nothing is done on its word."""
    try:
        body = await limited_body(request, MAX_EVENT_BYTES)
        # Taken, but unsigned, and written down: it counts as a refusal of whoever sent it.
        if asked_to_verify(body) and (wait := stranger(request).refused()):
            raise too_many(wait)
        outcome = await services.notion_webhook(body, request.headers.getlist("x-notion-signature"))
    except AppError as refusal:
        services.metrics.notion_event(refusal.code)
        raise
    services.metrics.notion_event(outcome)
    return JsonAnswer({"outcome": outcome})
