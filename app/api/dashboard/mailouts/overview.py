"""A mailout that isn't sent yet: what is done, what is to be done, and the small acts around it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn
from app.api.dashboard.mailouts.findings import Shown, shown_findings
from app.api.dashboard.mailouts.steps import back, find, notion_trouble, show
from app.api.dashboard.session import Session, log_action
from app.api.http.deps import Services, ServicesDep
from app.domain.access import DASHBOARD
from app.domain.reports.words import duration, plural
from app.errors import AudienceEmpty, NotSendable, TransitionNotAllowed

router = APIRouter(prefix=f"{HOME}/mailouts", route_class=Page, include_in_schema=False)


@dataclass(frozen=True)
class Step:
    """How far a step is. tone: good, poor, bad or none. words: what there is to say of it."""

    name: str
    title: str
    tone: str
    words: str
    button: str


async def show_overview(
    services: Services, session: Session, mailout_id: UUID, notice: str | None
) -> Response:
    mailout = await find(services, mailout_id)
    findings, recipients = await asyncio.gather(
        shown_findings(services, mailout), services.store.count_audience(mailout_id)
    )
    return show(
        services,
        session,
        "draft.html",
        here=f"{HOME}/mailouts/{mailout_id}",
        mailout=mailout,
        todo=list(_todo(mailout, findings, recipients)),
        findings=findings,
        **await services.schedules.waves(mailout),
        notion_trouble=await notion_trouble(services, mailout_id),
        sendable=not any(one.level == "fail" for one in findings),
        notice=notice,
        # While it waits for its start, the page shows when that comes.
        live_seconds=None if mailout["status"] == "draft" else 10,
        spoken=f"Mailout {mailout['status']}",
    )


def _todo(mailout: dict[str, Any], findings: list[Shown], recipients: int) -> list[Step]:
    stops = [one for one in findings if one.level == "fail" and one.place != "Audience"]
    warnings = [one for one in findings if one.level == "warn" and one.place != "Audience"]
    text = ("good", "It can be sent.")
    if stops:
        text = ("bad", f"{plural(len(stops), 'thing')} to put right.")
    elif warnings:
        text = ("poor", f"It can be sent; {plural(len(warnings), 'thing')} to look at.")
    people = ("good", f"{people_words(recipients)}.")
    if not recipients:
        people = ("bad", "Nobody would get it.")
    elif any(one.place == "Audience" for one in findings):
        people = ("poor", f"{people_words(recipients)}; have a look at what stands below.")
    return [
        Step("edit", "Text and sender", *text, "Write"),
        Step("audience", "Audience", *people, "Choose"),
        Step("test", "Test", *tested_words(mailout["tested"]), "Send a test"),
    ]


def people_words(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"


def tested_words(tested: dict[str, Any] | None) -> tuple[str, str]:
    """How sure a test has made us: tone and words."""
    if tested is None:
        return "poor", "Nobody has seen it in an inbox yet."
    age = (datetime.now(UTC) - datetime.fromisoformat(tested["at"])).total_seconds()
    ago = "Tested just now" if age < 60 else f"Tested {duration(age)} ago"
    if not tested["current"]:
        return "poor", f"{ago}, and changed since."
    return "good", f"{ago}, and unchanged since."


# Small acts


@router.post("/{mailout_id}/duplicate")
async def duplicate(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, _form: OwnForm
) -> Response:
    copy = await services.drafts.duplicate(mailout_id, by=DASHBOARD.by)
    log_action(session, "duplicate", mailout_id=mailout_id)
    return RedirectResponse(f"{HOME}/mailouts/{copy}?notice=duplicated", 303)


@router.post("/{mailout_id}/ready")
async def ready(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, _form: OwnForm
) -> Response:
    """For whoever starts it elsewhere: Notion, or another program."""
    try:
        await services.drafts.release(mailout_id, by=DASHBOARD.by)
    except TransitionNotAllowed:
        return back(mailout_id, "late")
    except (NotSendable, AudienceEmpty):
        return back(mailout_id, "stopped")
    log_action(session, "ready", mailout_id=mailout_id)
    return back(mailout_id, "ready")


@router.post("/{mailout_id}/unready")
async def unready(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, _form: OwnForm
) -> Response:
    try:
        await services.drafts.take_back(mailout_id, by=DASHBOARD.by)
    except TransitionNotAllowed:
        return back(mailout_id, "late")
    log_action(session, "unready", mailout_id=mailout_id)
    return back(mailout_id, "unready")


@router.get("/{mailout_id}/delete")
async def ask_to_delete(mailout_id: UUID, services: ServicesDep, session: SignedIn) -> Response:
    mailout = await find(services, mailout_id)
    if mailout["status"] != "draft":
        return back(mailout_id, "late")
    return show(services, session, "delete.html", mailout=mailout)


@router.post("/{mailout_id}/delete")
async def delete(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, _form: OwnForm
) -> Response:
    try:
        await services.drafts.delete(mailout_id, by=DASHBOARD.by)
    except TransitionNotAllowed:
        return back(mailout_id, "late")
    log_action(session, "delete", mailout_id=mailout_id)
    return RedirectResponse(f"{HOME}?notice=deleted", 303)
