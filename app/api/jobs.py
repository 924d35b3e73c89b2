"""Background jobs: what they do, how far they are, and a person's word on them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from app.api.answers.people import Job
from app.api.answers.shared import ListOf
from app.api.http.deps import CallerDep, Protected, ServicesDep, needs
from app.api.http.description import answers
from app.api.http.paging import Page, created_before, page
from app.api.http.problems import problems
from app.domain.jobs import JOB_STATES, JobState
from app.errors import InvalidRequest, JobNotFound, TransitionNotAllowed, Unauthorized

router = APIRouter(tags=["jobs"], route_class=Protected)


@router.get(
    "/jobs",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, InvalidRequest) | answers(ListOf[Job]),
)
async def list_jobs(
    services: ServicesDep,
    state: Annotated[str | None, Query(pattern=f"^({'|'.join(JOB_STATES)})$")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Page:
    """Newest first. They are forgotten 30 days after their end."""
    rows = await services.jobs.list_jobs(limit + 1, state=state, before=created_before(cursor))
    return page(rows, limit, "created_at", "id")


@router.get(
    "/jobs/{job_id}",
    dependencies=[needs("read", "manage")],
    responses=problems(Unauthorized, JobNotFound) | answers(Job),
)
async def show_job(job_id: UUID, services: ServicesDep) -> dict[str, Any]:
    """One job: state, progress, result, and the error of its latest try that failed."""
    found = await services.jobs.show_job(job_id)
    if found is None:
        raise JobNotFound(f"There is no job {job_id}.")
    return found


_steering = problems(Unauthorized, JobNotFound, TransitionNotAllowed)


@router.post(
    "/jobs/{job_id}/cancel", dependencies=[needs("manage")], responses=_steering | answers(Job)
)
async def cancel(job_id: UUID, services: ServicesDep, caller: CallerDep) -> dict[str, Any]:
    """waiting or running → cancelled. What it has done until then stays done."""
    changed = await services.jobs.cancel_job(job_id, by=caller.by)
    return await _moved(job_id, services, changed, "can't be cancelled any more")


@router.post(
    "/jobs/{job_id}/retry", dependencies=[needs("manage")], responses=_steering | answers(Job)
)
async def retry(job_id: UUID, services: ServicesDep, caller: CallerDep) -> dict[str, Any]:
    """failed or cancelled → waiting, to be done again from where it was."""
    changed = await services.jobs.retry_job(job_id, by=caller.by)
    return await _moved(
        job_id, services, changed, "can't be done again now, or another does the same already"
    )


async def _moved(
    job_id: UUID, services: ServicesDep, changed: bool, refusal: str
) -> dict[str, Any]:
    job = await show_job(job_id, services)
    state: JobState = job["state"]
    if not changed:
        raise TransitionNotAllowed(f"Job {job_id} is {state}: it {refusal}.", job_state=state)
    return job
