"""`/dashboard/slack`: whether the owner is told in Slack, and if not, how to set it up."""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.api.dashboard.access import HOME, Page, SignedIn
from app.api.dashboard.pages import page
from app.api.http.deps import ServicesDep

router = APIRouter(prefix=f"{HOME}/slack", route_class=Page, include_in_schema=False)


@router.get("")
async def show_slack(services: ServicesDep, session: SignedIn) -> Response:
    settings = services.settings
    return page(
        "slack.html",
        org_name=settings.org_name,
        session=session,
        section="access",
        channel=settings.slack_channel if settings.slack_bot_token else None,
        is_set=settings.uses_slack,
        owner_email=settings.owner_email,
        trouble=await services.store.slack_trouble() if settings.uses_slack else None,
    )
