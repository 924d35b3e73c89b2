"""`/dashboard/mailouts/ID/engagement/links`: the mail with a badge at each link.

The mail is what its author wrote: it stands in a sandboxed frame, as in the preview
(mailouts/previews.py), under a policy that loads nothing.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse

from app.api.dashboard.access import HOME, Page, SignedIn
from app.api.dashboard.mailouts.findings import page_words
from app.api.dashboard.mailouts.previews import mail_policy
from app.api.dashboard.pages import page, sentence
from app.api.http.deps import ServicesDep
from app.domain.engagement.words import number_range
from app.errors import AppError

router = APIRouter(prefix=f"{HOME}/mailouts", route_class=Page, include_in_schema=False)


@router.get("/{mailout_id}/engagement/links")
async def show_link_map(
    mailout_id: UUID,
    services: ServicesDep,
    session: SignedIn,
    pictures: Annotated[str, Query(max_length=10)] = "",
) -> Response:
    headline = await services.engagement_reports.headline(mailout_id)
    if not headline["tracking"] or headline["started_at"] is None:
        return RedirectResponse(f"{HOME}/mailouts/{mailout_id}/engagement", 303)
    links = await services.engagement_reports.links(mailout_id)
    mail: dict[str, Any] | None = None
    refusal = None
    try:
        mail = await services.preview.with_link_map(mailout_id, links)
    except AppError as error:  # shown where the mail would stand
        if error.status == 500:
            raise
        refusal = sentence(page_words(error.detail))
    [mailout] = await services.subjects.add_to([await services.store.mailout_headline(mailout_id)])
    shown = {place["url"] for place in mail["places"]} if mail else set()
    answer = page(
        "engagement/links.html",
        org_name=services.settings.org_name,
        session=session,
        section="mailouts",
        mailout=mailout,
        mail=mail,
        refusal=refusal,
        pictures=bool(pictures),
        others=[link for link in links if link["url"] not in shown and link["events"]],
        number_range=number_range,
    )
    answer.headers["Content-Security-Policy"] = mail_policy(pictures=bool(pictures))
    answer.headers["X-DNS-Prefetch-Control"] = "off"
    return answer
