"""`/dashboard/mailouts/ID`: what became of a mailout; pausing, resuming, cancelling, resending.

The buttons call the same services and functions as the API's endpoints (api/mailouts/steering.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn
from app.api.dashboard.mailouts.overview import show_overview
from app.api.dashboard.mailouts.steps import BEFORE, notion_trouble, slack_trouble
from app.api.dashboard.pacing.warmup import pacing_of
from app.api.dashboard.pages import page
from app.api.dashboard.session import Session, log_action
from app.api.http.deps import Services, ServicesDep
from app.api.mailouts import steering as api
from app.domain.access import DASHBOARD, Caller
from app.domain.engagement.words import people_range, share_range
from app.domain.retention.dropped import details_kept_until
from app.errors import InvalidRequest, NotFound, TransitionNotAllowed
from app.services.dashboard.views import ACTIVE, MailoutView

LIVE_SECONDS, IDLE_SECONDS = 2, 10
"""How often a page asks for news: while a mailout is being sent, and otherwise."""


router = APIRouter(prefix=HOME, route_class=Page, include_in_schema=False)


def _page(services: Services, session: Session, template: str, **context: Any) -> Response:
    return page(
        f"mailouts/{template}",
        org_name=services.settings.org_name,
        session=session,
        section="mailouts",
        **context,
    )


_NOTICES = {
    "pause": "Paused. Calls under way are still recorded.",
    "resume": "It goes on.",
    "cancel": "Cancelled. Nobody else is mailed.",
    "resend": "Sending again to those who were missed.",
    "scheduled": "It is scheduled, and starts by itself.",
    "unscheduled": "It is off its schedule, and ready to be sent.",
    "late": "Nothing was changed: its state was no longer the one you saw.",
    "started": "It is being sent. This page shows how it goes.",
    "rehearsed": "It is being rehearsed: see Jobs. No mail leaves.",
    "ready": "It is ready: a request to send it is taken now.",
    "unready": "It is a draft again.",
    "stopped": "Nothing was changed: it can’t be sent yet.",
    "duplicated": "This is the copy.",
    "tested": "The test is on its way.",
    "nobody": "Nothing was sent: everyone you chose is unknown for less than 20 minutes.",
}


@router.get("/mailouts/{mailout_id}")
async def show_mailout(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, notice: str = ""
) -> Response:
    view = await services.dashboard.mailout(mailout_id)
    if view.mailout["status"] in BEFORE:
        return await show_overview(services, session, mailout_id, _NOTICES.get(notice))
    settings = services.settings
    times = await services.schedules.waves(view.mailout)
    return _page(
        services,
        session,
        "mailout.html",
        here=f"{HOME}/mailouts/{mailout_id}",
        view=view,
        engaged=await _engaged(services, mailout_id),
        people_range=people_range,
        share_range=share_range,
        timeline=await services.dashboard.timeline(view),
        next_wave=next((w["at"] for w in times["waves"] if _is_ahead(w["at"])), None),
        **times,
        notion_trouble=await notion_trouble(services, mailout_id),
        slack_trouble=await slack_trouble(services, mailout_id),
        pacing=await pacing_of(services, mailout_id, view.mailout["status"]),
        fallback=await services.fallback.in_place() if view.mailout["status"] in ACTIVE else None,
        details_kept_until=details_kept_until(view.mailout, settings.ledger_retention_days),
        actions=_actions(view),
        active=ACTIVE,
        bounce_pause=settings.bounce_rate_pause,
        complaint_pause=settings.complaint_rate_pause,
        notice=_NOTICES.get(notice),
        live_seconds=LIVE_SECONDS if view.mailout["status"] in ACTIVE else IDLE_SECONDS,
        spoken=_spoken(view),
    )


async def _engaged(services: Services, mailout_id: UUID) -> dict[str, Any] | None:
    """How many opened it and followed its links; None: that isn't tracked."""
    totals = await services.engagement_reports.headline(mailout_id)
    return totals if totals["tracking"] and totals["tracked"] else None


def _is_ahead(at: str) -> bool:
    return datetime.fromisoformat(at) > datetime.now(UTC)


def _spoken(view: MailoutView) -> str:
    """What a screen reader says of the progress: in tenths, so that it doesn't speak at every
    recipient.
    """
    status = view.mailout["status"]
    if view.outcomes is None or status not in ACTIVE:
        return f"Mailout {status}"
    tenths = int(10 * view.outcomes.progress.share(view.outcomes.progress.settled))
    return f"Mailout {status}, {tenths * 10} percent done"


# Steering


@dataclass(frozen=True)
class Action:
    """name: in the address. question, effect: what is asked before it is done."""

    name: str
    label: str
    question: str
    effect: str
    states: frozenset[str]
    do: Callable[[UUID, Services, Caller], Awaitable[dict[str, Any]]] | None = None
    danger: bool = False


ACTIONS = {
    action.name: action
    for action in (
        Action(
            "resume",
            "Resume",
            "Resume this mailout?",
            "It goes on with those who are waiting. Bounces and complaints are judged anew from "
            "now on.",
            frozenset({"paused"}),
            api.resume,
        ),
        Action(
            "pause",
            "Pause",
            "Pause this mailout?",
            "No new mail leaves from now on; calls under way are still recorded. You can resume "
            "it at any time.",
            frozenset({"sending"}),
            api.pause,
        ),
        Action(
            "resend",
            "Resend",
            "Send again to those who were missed?",
            "Nobody is mailed who got it, as far as it is known.",
            frozenset({"sent", "failed"}),
        ),
        Action(
            "cancel",
            "Cancel mailout",
            "Cancel this mailout?",
            "Those who are waiting never get it. This can't be undone.",
            frozenset({"ready", "scheduled", "sending", "paused"}),
            api.cancel,
            danger=True,
        ),
    )
}


def _actions(view: MailoutView) -> list[Action]:
    missed = view.outcomes.progress.missed if view.outcomes else 0
    return [
        action
        for action in ACTIONS.values()
        if view.mailout["status"] in action.states
        and (action.name != "resend" or (missed and not view.mailout["details_dropped_at"]))
    ]


def _action(name: str) -> Action:
    if name not in ACTIONS:
        raise NotFound
    return ACTIONS[name]


@router.post("/mailouts/{mailout_id}/preflight")
async def check(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, form: OwnForm
) -> Response:
    """Show the report that `POST /mailouts/{id}/preflight` gives."""
    view = await services.dashboard.mailout(mailout_id)
    return _page(
        services,
        session,
        "preflight.html",
        mailout=view.mailout,
        report=await services.preflight(mailout_id, links="links" in form),
    )


@router.get("/mailouts/{mailout_id}/{name}")
async def ask(mailout_id: UUID, name: str, services: ServicesDep, session: SignedIn) -> Response:
    """Ask the person to confirm, and say what the action would change, in present figures."""
    action = _action(name)
    view = await services.dashboard.mailout(mailout_id)
    if action not in _actions(view):
        return _back(mailout_id, "late")
    return _page(
        services,
        session,
        "confirm.html",
        view=view,
        action=action,
    )


@router.post("/mailouts/{mailout_id}/{name}")
async def act(
    mailout_id: UUID, name: str, services: ServicesDep, session: SignedIn, form: OwnForm
) -> Response:
    action = _action(name)
    try:
        if action.do is not None:
            await action.do(mailout_id, services, DASHBOARD)
        else:
            name = await _resend(mailout_id, services, form)
    except TransitionNotAllowed:
        return _back(mailout_id, "late")
    log_action(session, name, mailout_id=mailout_id)
    return _back(mailout_id, name)


async def _resend(mailout_id: UUID, services: Services, form: dict[str, list[str]]) -> str:
    statuses = [one for one in form.get("statuses", []) if one in {"failed", "unknown"}]
    if not statuses:
        raise InvalidRequest("Choose to whom it is sent again.")
    done = await api.resend(
        mailout_id, api.ResendBody(statuses=statuses, force="force" in form), services, DASHBOARD
    )
    return "resend" if done["requeued"] or done["remaining"] else "nobody"


def _back(mailout_id: UUID, notice: str) -> Response:
    return RedirectResponse(f"{HOME}/mailouts/{mailout_id}?notice={notice}", 303)
