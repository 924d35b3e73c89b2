"""`/dashboard/account`: the account, the senders and their health; and the files of all pages."""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.api.dashboard.access import HOME, Page, SignedIn
from app.api.dashboard.pages import asset, page
from app.api.http.deps import ServicesDep
from app.errors import NotFound

LIVE_SECONDS = 2

router = APIRouter(prefix=HOME, route_class=Page, include_in_schema=False)


@router.get("/assets/{name}")
async def show_asset(name: str) -> Response:
    found = asset(name)
    if found is None:
        raise NotFound
    return found


@router.get("/account")
async def show_account(services: ServicesDep, session: SignedIn) -> Response:
    view = await services.dashboard.account()
    return page(
        "account.html",
        org_name=services.settings.org_name,
        session=session,
        section="account",
        here=f"{HOME}/account",
        view=view,
        findings=view.findings,
        live_seconds=LIVE_SECONDS,
        spoken="" if view.all_is_well else "There are warnings",
    )
