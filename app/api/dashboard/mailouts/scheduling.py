"""Choosing when a mailout starts: a form, what would come of it, and taking it back."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn
from app.api.dashboard.around import AROUND
from app.api.dashboard.mailouts.fields import Form, one
from app.api.dashboard.mailouts.steps import EDITABLE, back, find, show
from app.api.dashboard.session import Session, log_action
from app.api.http.deps import Services, ServicesDep
from app.domain.access import DASHBOARD
from app.domain.schedules.plan import RECIPIENT
from app.domain.schedules.zones import zone_names
from app.errors import AppError, MailoutNotReady, TransitionNotAllowed

router = APIRouter(prefix=f"{HOME}/mailouts", route_class=Page, include_in_schema=False)

PASSED_WORDS = {
    "now": "get it at once",
    "next_day": "get it at that hour a day later",
    "skip": "don’t get it",
}


def read_form(form: Form) -> dict[str, str | None]:
    """What the API takes, of the fields of `mailouts/when.html`."""
    date, time = one(form, "date").strip(), one(form, "time").strip()
    at = f"{date}T{time}" if date and time else ""
    if one(form, "whose") != RECIPIENT:
        return {"at": at, "zone": one(form, "zone").strip() or None}
    return {
        "at": at,
        "zone": RECIPIENT,
        "fallback": one(form, "fallback").strip() or None,
        "passed": one(form, "passed") or None,
    }


def _form_of(wish: dict[str, str]) -> Form:
    """As the form has what `read_form` gives."""
    date, _, time = wish.get("at", "").partition("T")
    own = wish.get("zone") == RECIPIENT
    fields = {"date": date, "time": time[:5], "whose": RECIPIENT if own else "everybody"}
    fields |= {"zone": "" if own else wish.get("zone", ""), "fallback": wish.get("fallback", "")}
    return {name: [value] for name, value in fields.items()} | {"passed": [wish.get("passed", "")]}


@router.get("/{mailout_id}/schedule")
async def ask(mailout_id: UUID, services: ServicesDep, session: SignedIn) -> Response:
    mailout = await find(services, mailout_id)
    if mailout["status"] not in EDITABLE:
        return back(mailout_id, "late")
    return _page(services, session, mailout, _form_of(mailout["schedule"] or {}))


@router.post("/{mailout_id}/schedule")
async def schedule(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, form: OwnForm
) -> Response:
    """Show what would come of it; with `do`, do it."""
    mailout = await find(services, mailout_id)
    if mailout["status"] not in EDITABLE:
        return back(mailout_id, "late")
    given = read_form(form)
    try:
        found = await services.schedules.look(mailout_id, given)
        if "do" not in form or services.settings.dry_run_send:
            return _page(services, session, mailout, form, found=found)
        if mailout["status"] == "draft":
            if mailout["schedule"]:  # a wish of its author, which its release would follow
                await services.drafts.edit(mailout_id, {"schedule": None}, None, by=DASHBOARD.by)
            await services.drafts.release(mailout_id, by=DASHBOARD.by)
        # The page showed how the audience has changed: who schedules it confirms that.
        shown = one(form, "confirms")
        confirmed = int(shown) if shown.isdecimal() else None
        await services.schedules(mailout_id, given, confirm_audience=confirmed, by=DASHBOARD.by)
    except (TransitionNotAllowed, MailoutNotReady):
        return back(mailout_id, "late")
    except AppError as refusal:
        if refusal.status == 500:
            raise
        return _page(services, session, mailout, form, refusal=refusal)
    services.wake()
    log_action(session, "schedule", mailout_id=mailout_id)
    return back(mailout_id, "scheduled")


@router.post("/{mailout_id}/unschedule")
async def unschedule(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, form: OwnForm
) -> Response:
    try:
        await services.schedules.take_back(mailout_id, by=DASHBOARD.by)
    except TransitionNotAllowed:
        return back(mailout_id, "late")
    log_action(session, "unschedule", mailout_id=mailout_id)
    return back(mailout_id, "unscheduled")


def _page(
    services: Services,
    session: Session,
    mailout: dict[str, Any],
    form: Form,
    *,
    found: dict[str, Any] | None = None,
    refusal: AppError | None = None,
) -> Response:
    zone = services.settings.timezone
    today = datetime.now(AROUND.get().zone)
    wrong = refusal.extra.get("field") if refusal else None
    return show(
        services,
        session,
        "schedule.html",
        refusal.status if refusal else 200,
        mailout=mailout,
        shown={
            "date": one(form, "date"),
            "time": one(form, "time") or "09:00",
            "whose": one(form, "whose") or "everybody",
            "zone": one(form, "zone") or zone,
            "fallback": one(form, "fallback") or zone,
            "passed": one(form, "passed") or "now",
        },
        first_day=f"{today:%Y-%m-%d}",
        zones=zone_names(),
        passed_words=PASSED_WORDS,
        found=found,
        problem=refusal.detail.removeprefix(f"{wrong}: ") if refusal else None,
        wrong=wrong,
    )
