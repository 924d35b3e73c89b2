"""`GET /mailouts/ID/recipients/EMAIL/why`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter

from app.api.answers.mailouts import Why
from app.api.http.deps import Protected, ServicesDep, Text, needs
from app.api.http.description import answers
from app.api.http.problems import problems
from app.api.readership.shown import WHY
from app.api.subscribers import find  # noqa: F401  it registers the convertor `address`
from app.errors import MailoutNotFound, SubscriberNotFound, Unauthorized
from app.services.readership.why import why_mailed

router = APIRouter(tags=["mailouts"], route_class=Protected)


@router.get(
    "/mailouts/{mailout_id}/recipients/{email:address}/why",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, MailoutNotFound, SubscriberNotFound)
    | answers(Why, example=WHY),
)
async def show_why(mailout_id: UUID, email: Text, services: ServicesDep) -> dict[str, Any]:
    """Why this person got the mailout, or why not: `got`, `code` and `reason`; where their consent
    comes from; the rule as it was frozen, condition by condition, with what the person has now and
    had then; who took the mail to SES and when; its content; every event, and every open and click
    with its verdict. 404 says whether nobody has this address (`reason` nobody) or somebody with it
    was erased."""
    return await why_mailed(services.store, mailout_id, email=email)
