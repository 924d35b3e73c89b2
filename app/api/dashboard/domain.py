"""`/dashboard/domain`: what receivers see in DNS of the domains that mail is sent from."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn
from app.api.dashboard.pages import page
from app.api.dashboard.session import log_action
from app.api.http.deps import ServicesDep
from app.domain.dns.looks import Look
from app.domain.dns.watched import Watched

DOMAIN = f"{HOME}/domain"
LIVE_SECONDS = 10

router = APIRouter(prefix=DOMAIN, route_class=Page, include_in_schema=False)

NOTICES = {
    "asked": "It is looked at now; this page shows it in a moment.",
    "unknown": "Nothing was changed: that domain isn’t watched.",
}


@router.get("")
async def show_domains(services: ServicesDep, session: SignedIn, notice: str = "") -> Response:
    domains = [_shown(row) for row in await services.store.list_domain_checks()]
    alarms = sum(len(one["alarms"]) for one in domains)
    return page(
        "domain.html",
        org_name=services.settings.org_name,
        session=session,
        section="account",
        here=DOMAIN,
        is_on=bool(services.settings.dns_resolvers),
        domains=domains,
        notice=NOTICES.get(notice),
        live_seconds=LIVE_SECONDS,
        spoken="A DNS record vanished" if alarms else "",
    )


@router.post("/look")
async def look_again(services: ServicesDep, session: SignedIn, form: OwnForm) -> Response:
    domain = form.get("domain", [""])[0]
    known = await services.store.ask_domain_check(domain[:253])
    if known:
        log_action(session, "domain_look", domain=domain)
    return RedirectResponse(f"{DOMAIN}?notice={'asked' if known else 'unknown'}", 303)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """verdict: what it comes to; None: not looked at yet."""
    looks = [Look.from_stored(one) for one in row["looks"]]
    return {
        "domain": row["domain"],
        "checked_at": row["checked_at"],
        "verdict": next((look for look in looks if look.code == "verdict"), None),
        "looks": [look for look in looks if look.code != "verdict"],
        "alarms": list(Watched.from_stored(row["watched"]).alarms.values()),
    }
