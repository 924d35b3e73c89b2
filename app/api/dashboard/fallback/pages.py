"""`/dashboard/fallback`: whether another provider sends in SES's place; opening and closing it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn
from app.api.dashboard.pages import page
from app.api.dashboard.session import Session, log_action
from app.api.http.deps import Services, ServicesDep
from app.domain.access import DASHBOARD
from app.domain.providers.words import any_of, consequences
from app.errors import NotFound

FALLBACK = f"{HOME}/fallback"
MAX_REASON_CHARS = 300

router = APIRouter(prefix=FALLBACK, route_class=Page, include_in_schema=False)

_NOTICES = {
    "opened": "Another provider sends from now on, to those who wait.",
    "closed": "SES alone sends from now on. What the provider already took is still written down.",
    "late": "Nothing was changed: it was so already.",
}


def _page(services: Services, session: Session, name: str, **context: Any) -> Response:
    return page(
        f"fallback/{name}",
        org_name=services.settings.org_name,
        session=session,
        section="account",
        **context,
    )


@router.get("")
async def show_fallback(services: ServicesDep, session: SignedIn, notice: str = "") -> Response:
    state = await services.fallback.show()
    return _page(
        services, session, "state.html", state=state, here=FALLBACK, notice=_NOTICES.get(notice)
    )


@router.get("/{act}")
async def ask(act: str, services: ServicesDep, session: SignedIn) -> Response:
    """Ask the person to confirm, and say what it costs, in present figures."""
    state = await services.fallback.show()
    if act not in {"open", "close"} or not state["providers"]:
        raise NotFound
    if state["open"] is (act == "open"):
        return _back("late")
    providers = state["providers"]  # of whom the person is about to choose one
    told = consequences(*providers, waiting=state["waiting"], rate=state["rate"])
    who = any_of(providers)
    return _page(
        services, session, "confirm.html", state=state, act=act, who=who, consequences=told
    )


@router.post("/{act}")
async def do(act: str, services: ServicesDep, session: SignedIn, form: OwnForm) -> Response:
    reason = form.get("reason", [""])[0].replace("\0", "").strip()[:MAX_REASON_CHARS]
    if act == "open":
        provider = form.get("provider", [""])[0] or None
        done = await services.fallback.open(provider, reason or None, by=DASHBOARD.by)
        services.wake()
    elif act == "close":
        done = await services.fallback.close(reason or None, by=DASHBOARD.by)
    else:
        raise NotFound
    if not done["changed"]:
        return _back("late")
    log_action(session, f"fallback_{act}")
    return _back("opened" if act == "open" else "closed")


def _back(notice: str) -> Response:
    return RedirectResponse(f"{FALLBACK}?notice={notice}", 303)
