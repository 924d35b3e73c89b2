"""What a reader gets, before anything is sent."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from app.api.answers.mailouts import MailPreview
from app.api.http.deps import Protected, ServicesDep, Text, needs
from app.api.http.description import answers_or_text
from app.api.http.mail_page import mail_page
from app.api.http.problems import problems
from app.api.http.responses import JsonAnswer
from app.api.mailouts.content import Content
from app.domain.given.bodies import StrictBody
from app.errors import (
    InvalidRequest,
    MailoutNotFound,
    PayloadTooLarge,
    SubscriberNotFound,
    TemplateInvalid,
    Unauthorized,
    Unavailable,
)
from app.services.preview.preview import Who

router = APIRouter(tags=["mailouts"], route_class=Protected)


class MailPreviewBody(StrictBody):
    """email: whose mail it is, a subscriber's. Without it: who of the audience, `sample` or
    `awkward`, who lacks most of what the mail shows, or has the longest name."""

    email: Annotated[Text, Field(max_length=320)] | None = None
    who: Who = "sample"
    content: Content | None = None


@router.post(
    "/mailouts/{mailout_id}/preview",
    dependencies=[needs("read")],
    response_model=None,
    responses=problems(
        Unauthorized,
        MailoutNotFound,
        SubscriberNotFound,
        TemplateInvalid,
        InvalidRequest,
        PayloadTooLarge,
        Unavailable,
    )
    | answers_or_text(MailPreview),
)
async def preview(
    mailout_id: UUID, request: Request, services: ServicesDep, body: MailPreviewBody | None = None
) -> Response:
    """One reader's mail, rendered by the code that sends; nothing is stored. As `text/html` or
    `text/plain` its part alone, as the `Accept` header wants it."""
    asked = body or MailPreviewBody()
    changes = asked.content.model_dump(exclude_unset=True) if asked.content else None
    found = await services.preview(mailout_id, email=asked.email, who=asked.who, changes=changes)
    wanted = _wanted(request.headers.get("accept", ""))
    if wanted == "text/html":
        return mail_page(found["html"])
    if wanted == "text/plain":
        return Response(found["text"], media_type="text/plain")
    return JsonAnswer(found)


def _wanted(accept: str) -> str:
    """The kind of answer that a caller likes best: JSON where it doesn't say."""
    kinds = ("application/json", "text/html", "text/plain")
    weights: dict[str, float] = {}
    for each in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in each.split(";"))
        weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            weights[kind] = float(weight)
        except ValueError:
            weights[kind] = 0.0
    best = max(kinds, key=lambda kind: weights.get(kind, 0.0))
    return best if weights.get(best) else kinds[0]
