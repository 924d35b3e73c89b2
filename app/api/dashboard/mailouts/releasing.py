"""Releasing a mailout: a page that says what would happen, and the act."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn
from app.api.dashboard.mailouts.audience import rule_words
from app.api.dashboard.mailouts.fields import one
from app.api.dashboard.mailouts.findings import shown_findings
from app.api.dashboard.mailouts.overview import tested_words
from app.api.dashboard.mailouts.steps import EDITABLE, back, find, show
from app.api.dashboard.session import Session, log_action
from app.api.http.deps import Services, ServicesDep
from app.domain.access import DASHBOARD
from app.domain.reports.cost import dollars
from app.errors import AppError, AudienceChanged, MailoutNotReady, TransitionNotAllowed
from app.services.audience.changes import audience_diff, require_confirmed
from app.services.pacing.warmups import Warmups
from app.services.starting.start_mailout import SendRequest

router = APIRouter(prefix=f"{HOME}/mailouts", route_class=Page, include_in_schema=False)


@router.get("/{mailout_id}/release")
async def ask(mailout_id: UUID, services: ServicesDep, session: SignedIn) -> Response:
    mailout = await find(services, mailout_id)
    if mailout["status"] not in EDITABLE:
        return back(mailout_id, "late")
    return await _page(services, session, mailout)


@router.post("/{mailout_id}/release")
async def release(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, form: OwnForm
) -> Response:
    """Release it and start it, if it still is what the page showed."""
    mailout = await find(services, mailout_id)
    if mailout["status"] not in EDITABLE:
        return back(mailout_id, "late")
    if one(form, "version") != str(mailout["version"]):
        return await _page(services, session, mailout, CHANGED)
    now = await services.store.count_audience(mailout_id)
    if grown(one(form, "recipients"), now):
        return await _page(services, session, mailout, GROWN)
    # As the page counted it: another way to count a long list gives another estimate.
    shown = one(form, "confirm")
    confirmed = int(shown) if shown.isdecimal() else None
    request = SendRequest(mailout_id=mailout_id, by=DASHBOARD.by, confirm_audience=confirmed)
    try:
        await require_confirmed(services.store, mailout_id, mailout["status"], confirmed)
        if mailout["status"] == "draft":
            await services.drafts.release(mailout_id, by=DASHBOARD.by)
            if (await find(services, mailout_id))["status"] == "scheduled":
                return back(mailout_id, "scheduled")  # by a schedule that was written into it
        if services.settings.dry_run_send:
            await services.dry_runs.start(request)
            return back(mailout_id, "rehearsed")
        await services.start_mailout(request)
    except (TransitionNotAllowed, MailoutNotReady):
        return back(mailout_id, "late")
    except AudienceChanged:
        return await _page(services, session, mailout, UNCONFIRMED)
    except AppError as refusal:
        if refusal.status == 500:
            raise
        mailout = await find(services, mailout_id)
        return await _page(services, session, mailout, refusal.detail, refusal.status)
    log_action(session, "release", mailout_id=mailout_id)
    return back(mailout_id, "started")


CHANGED = "Somebody changed it since you opened this page. Nothing was sent: look at it again."
UNCONFIRMED = "The audience has changed a lot. Nothing was sent: tick below that this is right."
GROWN = "More people are in the audience than this page showed. Nothing was sent: look again."


def grown(shown: str, now: int) -> bool:
    """Whether noticeably more people would get it than the page showed: people come and go, so
    some are no reason to ask again."""
    return not shown.isdecimal() or now > int(shown) * 1.01 + 10


async def _page(
    services: Services,
    session: Session,
    mailout: dict[str, Any],
    refusal: str | None = None,
    status: int = 409,
) -> Response:
    mailout_id, settings = UUID(mailout["id"]), services.settings
    findings, recipients, difference = await asyncio.gather(
        shown_findings(services, mailout),
        services.store.count_audience(mailout_id),
        audience_diff(services.store, mailout_id),
    )
    outlook = await services.store.send_outlook(
        settings.regions_for(mailout["region"]), settings.rate_limit_per_sec, recipients
    )
    warming = await Warmups(services.store, settings).findings(mailout_id, recipients)
    tone, tested = tested_words(mailout["tested"])
    return show(
        services,
        session,
        "release.html",
        status if refusal else 200,
        mailout=mailout,
        findings=findings,
        stops=[each for each in findings if each.level == "fail"],
        recipients=recipients,
        outlook=outlook,
        held=[each for each in warming if each.level == "warn"],
        cost=dollars(recipients),
        difference=difference,
        rule=await rule_words(services, mailout),
        sender=mailout["from_email"] or settings.ses_from_email,
        sender_name=mailout["from_name"] or settings.from_name,
        tested=tested,
        tested_tone=tone,
        refusal=refusal,
    )
