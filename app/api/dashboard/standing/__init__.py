"""`/dashboard/standing`: how Amazon, mailbox providers and block lists see the sender."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn
from app.api.dashboard.pages import page
from app.api.dashboard.session import log_action
from app.api.http.deps import ServicesDep
from app.domain.standing.limits import BOUNCES, COMPLAINTS
from app.domain.standing.rates import FEWEST, WINDOWS
from app.services.standing.charts import draw
from app.services.standing.report import standing_report

STANDING = f"{HOME}/standing"
LIVE_SECONDS, WAITING_SECONDS = 30, 3

router = APIRouter(prefix=STANDING, route_class=Page, include_in_schema=False)

NOTICES = {
    "asked": "It is looked at now; this page shows it in a moment.",
    "off": "Nothing is looked at: the process that sends does that, and sending isn’t configured.",
}


@router.get("")
async def show_standing(
    services: ServicesDep,
    session: SignedIn,
    days: Literal["1", "7", "30"] = "7",
    notice: str = "",
) -> Response:
    found = await standing_report(services.store)
    alarms = len(found["alarms"])
    return page(
        "standing.html",
        org_name=services.settings.org_name,
        session=session,
        section="account",
        here=f"{STANDING}?days={days}",
        found=found,
        days=int(days),
        windows=WINDOWS,
        rows=found["rates"][days],
        charts=draw(found["days"], found["sent"]),
        fewest=FEWEST,
        bounces=BOUNCES,
        complaints=COMPLAINTS,
        notice=NOTICES.get(notice),
        live_seconds=WAITING_SECONDS if found["waiting"] else LIVE_SECONDS,
        spoken=f"Alarms: {alarms}" if alarms else "",
    )


@router.post("/look")
async def look_again(services: ServicesDep, session: SignedIn, form: OwnForm) -> Response:
    if services.settings.missing_to_send():
        return RedirectResponse(f"{STANDING}?notice=off", 303)
    await services.store.queue_standing(0)
    log_action(session, "standing_look")
    return RedirectResponse(f"{STANDING}?notice=asked", 303)
