"""`/dashboard/notion`: how Notion's webhook is set up, and whether it works, for people."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn
from app.api.dashboard.pages import page
from app.api.dashboard.session import log_action
from app.api.http.deps import ServicesDep
from app.domain.content.links import is_local
from app.services.notion.webhook import unused_tokens

router = APIRouter(prefix=f"{HOME}/notion", route_class=Page, include_in_schema=False)

_NOTICES = {"forgotten": "Forgotten. Notion sends its token again when you ask it to."}


@router.get("")
async def show_notion(services: ServicesDep, session: SignedIn, notice: str = "") -> Response:
    """The token of a webhook that is being set up is shown here, and nowhere else to anybody who
    isn't at the machine itself. The page is kept in no cache."""
    settings, webhook = services.settings, await services.store.notion_webhook()
    return page(
        "notion.html",
        org_name=settings.org_name,
        session=session,
        section="access",
        url=f"{settings.app_base_url}/notion-events",
        is_local=is_local(urlsplit(settings.app_base_url).hostname or ""),
        is_set=settings.notion_webhook_verification_token is not None,
        webhook=webhook,
        tokens=unused_tokens(webhook, settings),
        trouble=await services.store.notion_trouble() if settings.uses_notion else None,
        notice=_NOTICES.get(notice),
    )


@router.post("/forget")
async def forget(services: ServicesDep, session: SignedIn, _form: OwnForm) -> Response:
    await services.store.forget_notion_verifications()
    log_action(session, "notion_tokens_forget")
    return RedirectResponse(f"{HOME}/notion?notice=forgotten", 303)
