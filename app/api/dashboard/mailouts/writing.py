"""Writing a mailout: a new one, its text and its sender, and what to do when two write at once."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from app.api.dashboard.access import HOME, Page, SignedIn, own_form
from app.api.dashboard.around import AROUND
from app.api.dashboard.mailouts.fields import FORMATS, LABELS, Form, Written, one, version_of
from app.api.dashboard.mailouts.findings import Shown, shown_findings
from app.api.dashboard.mailouts.steps import EDITABLE, back, find, show
from app.api.dashboard.pages import rendered
from app.api.dashboard.session import Session, log_action
from app.api.http.deps import Services, ServicesDep
from app.domain.access import DASHBOARD
from app.domain.writing.merging import both, pieces
from app.errors import (
    AppError,
    MailoutNotEditable,
    PreconditionFailed,
    TemplateExists,
)
from app.services.templates.starters import Starter, find_starter, starters
from app.services.templates.templates import COLUMNS
from app.settings import Settings

MAX_FORM_BYTES = 8_000_000
"""As sent, in which a character takes up to twelve bytes (http/body_limit.py lets it through)."""
CHOICES = ("mine", "theirs", "both")
TOGETHER = frozenset({"body", "body_text"})
"""Fields of which two versions can be put together."""

router = APIRouter(prefix=f"{HOME}/mailouts", route_class=Page, include_in_schema=False)


async def written_form(request: Request, services: ServicesDep, session: SignedIn) -> Form:
    return await own_form(request, services, session, MAX_FORM_BYTES)


LargeForm = Annotated[Form, Depends(written_form)]


@router.get("/new")
async def ask_for_a_new_one(services: ServicesDep, session: SignedIn) -> Response:
    return await _new(services, session, {})


@router.post("/new")
async def make_one(services: ServicesDep, session: SignedIn, form: LargeForm) -> Response:
    written = Written.of_form(form)
    chosen = written["template_id"]
    if chosen.startswith(STARTER):
        written = Written(written.fields | {"template_id": ""})
    problems = written.problems()
    if not problems:
        columns = written.columns() | {"template_id": await _template_of(services, chosen)}
        created = await services.drafts.create(columns, by=DASHBOARD.by)
        log_action(session, "new")
        return RedirectResponse(f"{HOME}/mailouts/{created.id}/edit", 303)
    return await _new(services, session, form, problems)


async def _new(
    services: Services, session: Session, form: Form, problems: dict[str, str] | None = None
) -> Response:
    templates = await _templates(services)
    return show(
        services,
        session,
        "new.html",
        422 if problems else 200,
        written=Written.of_form(form),
        problems=problems or {},
        templates=templates,
        starters=_starters(templates),
        starter=STARTER,
    )


MAX_TEMPLATES = 200
"""Offered on the page; the API takes any."""
STARTER = "starter:"


async def _templates(services: Services) -> list[dict[str, Any]]:
    return await services.store.list_templates(MAX_TEMPLATES)


def _starters(templates: list[dict[str, Any]]) -> list[Starter]:
    """Those of which nothing was made yet."""
    names = {one["name"].casefold() for one in templates}
    return [starter for starter in starters() if starter.name.casefold() not in names]


async def _template_of(services: Services, chosen: str) -> str | None:
    """The id of the template that was chosen. One to begin with becomes a template of its own."""
    starter = find_starter(chosen.removeprefix(STARTER))
    if not chosen.startswith(STARTER) or starter is None:
        return chosen or None
    row = {name: value for name, value in starter.to_row().items() if name in COLUMNS}
    try:
        made = await services.templates.create(row, by=DASHBOARD.by)
    except TemplateExists:  # somebody else was as quick
        return str((await services.templates.find(starter.name))["id"])
    return str(made.template["id"])


@router.get("/{mailout_id}/edit")
async def edit(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, notice: str = ""
) -> Response:
    mailout = await find(services, mailout_id)
    if mailout["status"] not in EDITABLE:
        return back(mailout_id, "late")
    return await _editor(services, session, mailout, Written.of_mailout(mailout), notice=notice)


@router.post("/{mailout_id}/edit")
async def save(
    mailout_id: UUID, request: Request, services: ServicesDep, session: SignedIn, form: LargeForm
) -> Response:
    """Save what was typed: by the button, or by the page's script while it is being written."""
    by_script = request.headers.get("accept") == "application/json"
    written, version = Written.of_form(form), version_of(form)
    try:
        if problems := written.problems():
            if by_script:
                return JSONResponse({"problems": problems}, 422)
            mailout = await find(services, mailout_id)
            return await _editor(services, session, mailout, written, problems, version=version)
        columns = written.columns()
        await services.drafts.edit(mailout_id, columns, [version], by=DASHBOARD.by)
    except PreconditionFailed:
        if by_script:
            return JSONResponse({}, 412)
        return await _conflict(services, session, mailout_id, written)
    except MailoutNotEditable as refusal:
        if by_script:
            return JSONResponse({}, 409)
        return await _too_late(services, session, mailout_id, written, refusal)
    mailout = await find(services, mailout_id)
    if by_script:
        found = await _findings(services, mailout)
        html = rendered("mailouts/findings.html", mailout=mailout, findings=found)
        now = datetime.now(AROUND.get().zone)
        return JSONResponse({"version": mailout["version"], "findings": html, "at": f"{now:%H:%M}"})
    if "next" in form:
        return RedirectResponse(f"{HOME}/mailouts/{mailout_id}/audience", 303)
    return RedirectResponse(f"{HOME}/mailouts/{mailout_id}/edit?notice=saved", 303)


async def _findings(services: Services, mailout: dict[str, Any]) -> list[Shown]:
    """What stands in its way, and what of the text should be looked at."""
    found = await shown_findings(services, mailout)
    return [one for one in found if one.level == "fail" or one.place != "Audience"]


_NOTICES = {"saved": "Saved.", "merged": "Saved as you put it together."}


async def _editor(
    services: Services,
    session: Session,
    mailout: dict[str, Any],
    written: Written,
    problems: dict[str, str] | None = None,
    *,
    version: int | None = None,
    notice: str = "",
) -> Response:
    """version: the one that was read by whoever wrote this; None: the present one."""
    found = await _findings(services, mailout)
    settings = services.settings
    return show(
        services,
        session,
        "write.html",
        422 if problems else 200,
        mailout=mailout,
        version=mailout["version"] if version is None else version,
        written=written,
        problems=problems or {},
        labels=LABELS,
        formats=FORMATS,
        findings=found,
        templates=await _templates(services),
        fields=await services.store.some_field_names(),
        defaults={
            "from_name": settings.from_name or settings.org_name or "",
            "from_email": settings.ses_from_email or "",
            "reply_to": settings.reply_to_email or "",
        },
        regions=_regions(settings, written),
        notice=_NOTICES.get(notice),
    )


def _regions(settings: Settings, written: Written) -> list[str]:
    """What is offered; nothing where there is no choice."""
    if len(settings.ses_regions) < 2 and not written["region"]:
        return []
    kept = [written["region"]] if written["region"] else []
    return list(dict.fromkeys((*settings.region_names, *kept)))


async def _too_late(
    services: Services, session: Session, mailout_id: UUID, mine: Written, refusal: AppError
) -> Response:
    """It is being sent by now, or waits on a schedule: what was typed can still be copied."""
    return show(
        services,
        session,
        "too_late.html",
        refusal.status,
        mailout=await find(services, mailout_id),
        mine=mine,
        labels=LABELS,
    )


# Two who write at once


async def _conflict(
    services: Services, session: Session, mailout_id: UUID, mine: Written
) -> Response:
    """Both versions of each field in which they differ, to choose from."""
    mailout = await find(services, mailout_id)
    theirs = Written.of_mailout(mailout)
    apart = mine.apart(theirs)
    compared = {
        name: await asyncio.to_thread(pieces, mine[name], theirs[name])
        for name in apart
        if name in TOGETHER
    }
    return show(
        services,
        session,
        "conflict.html",
        412,
        mailout=mailout,
        mine=mine,
        theirs=theirs,
        apart=apart,
        together={name: both(found) for name, found in compared.items()},
        compared=compared,
        labels=LABELS,
        formats=FORMATS,
    )


@router.post("/{mailout_id}/merge")
async def merge(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, form: LargeForm
) -> Response:
    """Save what was chosen of two versions, if that is still the other one."""
    mine = Written.of_form(form, "mine.")
    merged = Written.of_form(form, "both.")
    theirs = Written.of_mailout(await find(services, mailout_id))
    chosen = dict(theirs.fields)
    for name in LABELS:
        match one(form, f"pick.{name}"):
            case "mine":
                chosen[name] = mine[name]
            case "both" if name in TOGETHER:
                chosen[name] = merged[name]
    result = Written(chosen)
    try:
        columns = result.columns()
        await services.drafts.edit(mailout_id, columns, [version_of(form)], by=DASHBOARD.by)
    except PreconditionFailed:
        return await _conflict(services, session, mailout_id, result)
    except MailoutNotEditable as refusal:
        return await _too_late(services, session, mailout_id, result, refusal)
    return RedirectResponse(f"{HOME}/mailouts/{mailout_id}/edit?notice=merged", 303)
