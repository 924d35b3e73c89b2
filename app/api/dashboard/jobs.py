"""`/dashboard/jobs`: what is done in the background, for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse

from app.api import jobs as api
from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn
from app.api.dashboard.pages import page
from app.api.dashboard.session import log_action
from app.api.http.deps import Services, ServicesDep
from app.domain.access import DASHBOARD, Caller
from app.domain.jobs import JOB_STATES, JobState
from app.domain.reports.words import plural
from app.errors import NotFound, TransitionNotAllowed

LIVE_SECONDS, IDLE_SECONDS = 2, 10
"""How often the page asks for news: while a job is open, and otherwise."""
PAGE_SIZE = 20

KINDS = {
    "dry_run": "Dry run",
    "import": "Import",
    "undo_import": "Import taken back",
    "change_people": "Change of subscribers",
    "notion_row": "Look at a row in Notion",
    "notion_talk": "Comment in Notion",
    "standing": "Look at the sender’s standing",
    "notion_schema": "Changed properties in Notion",
}
"""What people call each kind of job."""

router = APIRouter(prefix=f"{HOME}/jobs", route_class=Page, include_in_schema=False)

_ACTIONS: dict[str, Callable[[UUID, Services, Caller], Awaitable[dict[str, Any]]]] = {
    "cancel": api.cancel,
    "retry": api.retry,
}
_NOTICES = {
    "cancel": "Cancelled. What it had done stays done.",
    "retry": "It is done again.",
    "late": "Nothing was changed: its state was no longer the one you saw.",
}


@router.get("")
async def show_jobs(
    services: ServicesDep,
    session: SignedIn,
    state: JobState | None = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    notice: str = "",
) -> Response:
    found = await api.list_jobs(services, state, PAGE_SIZE, cursor)
    open_jobs = sum(job["state"] in {"waiting", "running"} for job in found.items)
    return page(
        "jobs.html",
        org_name=services.settings.org_name,
        session=session,
        section="jobs",
        here=f"{HOME}/jobs",
        jobs=found.items,
        kinds=KINDS,
        chosen=state,
        states=JOB_STATES,
        older=cursor is not None,
        next=found.next_cursor,
        notice=_NOTICES.get(notice),
        live_seconds=LIVE_SECONDS if open_jobs else IDLE_SECONDS,
        spoken=f"{plural(open_jobs, 'job')} open",
    )


@router.post("/{job_id}/{name}")
async def act(
    job_id: UUID, name: str, services: ServicesDep, session: SignedIn, form: OwnForm
) -> Response:
    if name not in _ACTIONS:
        raise NotFound
    try:
        await _ACTIONS[name](job_id, services, DASHBOARD)
    except TransitionNotAllowed:
        name = "late"
    else:
        log_action(session, name, job_id=job_id)
    return RedirectResponse(f"{HOME}/jobs?notice={name}", 303)
