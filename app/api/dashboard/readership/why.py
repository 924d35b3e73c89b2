"""`/dashboard/mailouts/ID/recipients/SUBSCRIBER/why`: why this person got this mail, or why not."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse

from app.api.dashboard.access import HOME, Page, SignedIn
from app.api.dashboard.pages import page
from app.api.http.deps import ServicesDep
from app.domain.reports import people as words
from app.errors import NotFound
from app.services.readership.why import why_mailed

router = APIRouter(prefix=f"{HOME}/mailouts", route_class=Page, include_in_schema=False)


@router.get("/{mailout_id}/recipients/why")
async def find_why(
    mailout_id: UUID,
    services: ServicesDep,
    session: SignedIn,
    email: Annotated[str, Query(max_length=320)] = "",
) -> Response:
    """To the page of whoever has this address."""
    email = email.replace("\0", "").strip()
    person = await services.store.find_subscriber(email=email) if email else None
    if person is None:
        raise NotFound("Nobody on the list has this address: look for another spelling.")
    return RedirectResponse(f"{HOME}/mailouts/{mailout_id}/recipients/{person['id']}/why", 303)


@router.get("/{mailout_id}/recipients/{subscriber_id}/why")
async def show_why(
    mailout_id: UUID, subscriber_id: UUID, services: ServicesDep, session: SignedIn
) -> Response:
    found = await why_mailed(services.store, mailout_id, subscriber_id=subscriber_id)
    [mailout] = await services.subjects.add_to([await services.store.mailout_headline(mailout_id)])
    consent = found["consent"]
    return page(
        "readership/why.html",
        org_name=services.settings.org_name,
        session=session,
        section="mailouts",
        mailout=mailout,
        why=found,
        mail=found["mails"][0] if found["mails"] else None,
        consent=words.consent(consent["recorded"]) if consent else None,
        events=words.EVENTS,
        who=words.who,
    )
