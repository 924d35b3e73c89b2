"""`/dashboard/imports`: importing a file in three steps, and earlier imports."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from app.api.dashboard.access import (
    HOME,
    OwnForm,
    Page,
    SignedIn,
    require_own_form,
    require_own_page,
)
from app.api.dashboard.pages import page
from app.api.dashboard.session import Session, log_action
from app.api.http.deps import Services, ServicesDep
from app.api.http.paging import created_before
from app.api.http.paging import page as in_pages
from app.api.imports.form import FileForm
from app.domain.reports.words import plural
from app.errors import InvalidRequest, TransitionNotAllowed
from app.services.imports.imports import EMPTY, MODES, Mode, Options, checked_tags

BY = "dashboard"
PAGE_SIZE = 20
LIVE_SECONDS, IDLE_SECONDS = 1, 10
LISTED = f"{HOME}/imports"
MAX_SELECTS = 200
"""Columns whose meaning can be chosen on the page; the command and the API take any."""

MEANINGS = {
    "email": "Email address",
    "name": "Name",
    "first_name": "First name",
    "last_name": "Last name",
    "tags": "Tags",
    "timezone": "Time zone",
    "created_at": "Date of signing up",
    "status": "Status",
    "opted_in": "Gets mail: yes or no",
    "opted_out": "Has left: yes or no",
    "left_at": "Date of leaving",
    "bounced_at": "Date of a bounce",
    "attributes": "Several fields (JSON)",
    "field": "A field",
    "ignore": "Leave it out",
}
MODE_WORDS = {
    "upsert": "add what the file says",
    "insert": "leave them as they are, but stop mailing those who left",
    "skip": "leave them as they are",
}
COUNTS = ("added", "updated", "lowered", "unchanged", "repeated", "refused")
COUNT_WORDS = {
    "added": "Added",
    "updated": "Updated",
    "lowered": "No longer mailed",
    "unchanged": "Unchanged",
    "repeated": "Twice in the file",
    "refused": "Can’t be used",
}
LEFT_WORDS = {
    "mailed": "got mail since",
    "changed": "was changed since",
    "left": "left or bounced since",
    "gone": "is no longer there",
}
_NOTICES = {
    "undo": "It is being taken back.",
    "late": "Nothing was changed: the import was no longer as you saw it.",
}

router = APIRouter(route_class=Page, include_in_schema=False)


@router.get(LISTED)
async def show_imports(
    services: ServicesDep,
    session: SignedIn,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    rows = await services.store.list_imports(PAGE_SIZE + 1, before=created_before(cursor))
    found = in_pages(rows, PAGE_SIZE, "created_at", "id")
    running = sum(one["state"] in {"running", "undoing"} for one in found.items)
    return page(
        "imports/list.html",
        org_name=services.settings.org_name,
        session=session,
        section="subscribers",
        here=LISTED,
        imports=found.items,
        older=cursor is not None,
        next=found.next_cursor,
        live_seconds=LIVE_SECONDS if running else IDLE_SECONDS,
        spoken=f"{plural(running, 'import')} under way",
    )


@router.get(f"{HOME}/subscribers/import")
async def choose_file(services: ServicesDep, session: SignedIn) -> Response:
    """Step 1."""
    return _step_one(services, session, {})


def _step_one(
    services: Services,
    session: Session,
    typed: dict[str, list[str]],
    problem: str | None = None,
) -> Response:
    return page(
        "imports/file.html",
        422 if problem else 200,
        org_name=services.settings.org_name,
        session=session,
        section="subscribers",
        modes=MODE_WORDS,
        mode=typed.get("mode", ["upsert"])[0],
        tags=typed.get("tags", [""])[0],
        problem=problem,
    )


@router.post(f"{HOME}/subscribers/import")
async def upload(request: Request, services: ServicesDep, session: SignedIn) -> Response:
    """The file is tried first: nothing changes before the person has seen what would."""
    require_own_page(request, services)
    form = FileForm(request.headers.get("content-type", ""), request.stream())
    await form.read_fields()
    require_own_form(session, form.fields)
    if not form.file_name:
        return _step_one(services, session, form.fields, "Choose a file first.")
    try:
        options = Options(
            mode=_mode(form.fields),
            dry_run=True,
            tags=checked_tags(form.fields.get("tags", [""])[0].split(",")),
        )
        started = await services.imports.upload(
            form.file(), options, by=BY, file_name=form.file_name
        )
    except InvalidRequest as refused:
        empty = refused.detail == EMPTY
        problem = "This file is empty: choose another one." if empty else refused.detail
        return _step_one(services, session, form.fields, problem)
    log_action(session, "import")
    return RedirectResponse(f"{LISTED}/{started['id']}", 303)


@router.get(f"{LISTED}/{{import_id}}")
async def show_import(
    import_id: UUID, services: ServicesDep, session: SignedIn, notice: str = ""
) -> Response:
    """Step 2, while it is a dry run: what columns mean, and who would be stored how. Step 3: how
    far it is, and the report."""
    found = await services.imports.show(import_id)
    moves = found["state"] in {"running", "undoing"}
    done = (found["progress"] or {}).get("done", 0)
    return page(
        "imports/import.html",
        org_name=services.settings.org_name,
        session=session,
        section="subscribers",
        here=f"{LISTED}/{import_id}",
        one=found,
        columns=_columns(found),
        meanings=MEANINGS,
        modes=MODE_WORDS,
        counts=COUNT_WORDS,
        left_words=LEFT_WORDS,
        notice=_NOTICES.get(notice),
        live_seconds=LIVE_SECONDS if moves else None,
        spoken=f"{plural(done, 'row')} done" if moves else "",
    )


@router.get(f"{LISTED}/{{import_id}}/rejected.csv")
async def rejected(import_id: UUID, services: ServicesDep, _session: SignedIn) -> Response:
    await services.imports.show(import_id)
    return StreamingResponse(
        services.imports.rejected(import_id),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="rejected-{import_id}.csv"'},
    )


@router.get(f"{LISTED}/{{import_id}}/undo")
async def ask_undo(import_id: UUID, services: ServicesDep, session: SignedIn) -> Response:
    return page(
        "imports/undo.html",
        org_name=services.settings.org_name,
        session=session,
        section="subscribers",
        one=await services.imports.show(import_id),
    )


@router.post(f"{LISTED}/{{import_id}}/undo")
async def undo(
    import_id: UUID, services: ServicesDep, session: SignedIn, _form: OwnForm
) -> Response:
    try:
        await services.imports.undo(import_id, by=BY)
    except TransitionNotAllowed:
        return RedirectResponse(f"{LISTED}/{import_id}?notice=late", 303)
    log_action(session, "undo_import")
    return RedirectResponse(f"{LISTED}/{import_id}?notice=undo", 303)


@router.post(f"{LISTED}/{{import_id}}/answer")
async def answer(
    import_id: UUID, services: ServicesDep, session: SignedIn, form: OwnForm
) -> Response:
    """The meanings that were chosen, tried again; or, with the button `import`, done for good."""
    found = await services.imports.show(import_id)
    for_good = "import" in form
    try:
        await services.imports.answer(
            import_id,
            by=BY,
            mapping={} if for_good else _chosen(found, form),
            mode=_mode(form) if "mode" in form else None,
            tags=checked_tags(form["tags"][0].split(",")) if "tags" in form else None,
            dry_run=not for_good,
        )
    except TransitionNotAllowed:
        return RedirectResponse(f"{LISTED}/{import_id}?notice=late", 303)
    log_action(session, "import" if for_good else "try_import", import_id=import_id)
    return RedirectResponse(f"{LISTED}/{import_id}", 303)


def _mode(form: dict[str, list[str]]) -> Mode:
    mode = form.get("mode", ["upsert"])[0]
    if mode not in MODES:
        raise InvalidRequest(f"mode: one of {', '.join(MODES)}.")
    return mode


def _columns(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Those that have a title and can be named; a column that a question is about has its own."""
    asked = {question["column"] for question in found["question"] or []}
    return [
        column
        for column in found["columns"][:MAX_SELECTS]
        if column["title"] and column["title"] not in asked and column["meaning"] in MEANINGS
    ]


def _chosen(found: dict[str, Any], form: dict[str, list[str]]) -> dict[str, str]:
    """{column: meaning} for every select that says something new."""
    chosen = {}
    for number, column in enumerate(_columns(found)):
        said = form.get(f"column{number}", [column["meaning"]])[0]
        if said != column["meaning"] and said in MEANINGS:
            chosen[column["title"]] = said
    for number, question in enumerate(found["question"] or []):
        [said] = form.get(f"question{number}", [""])
        for one in question["answers"]:
            if said == f"{one['column']}={one['meaning']}":
                chosen[one["column"]] = one["meaning"]
    return chosen
