"""Looking at mailouts: the list, one of them, its dry run."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.api.http.deps import Protected, Services, ServicesDep, needs
from app.api.http.paging import Page, created_before, page
from app.api.http.problems import problems
from app.domain.states import MAILOUT_STATUSES
from app.errors import InvalidRequest, MailoutNotFound, NotFound, Unauthorized
from app.services.drafts.drafts import etag
from app.services.starting.send_warnings import check_tested

router = APIRouter(tags=["mailouts"], route_class=Protected)


@router.get(
    "/mailouts", dependencies=[needs("read")], responses=problems(Unauthorized, InvalidRequest)
)
async def list_mailouts(
    services: ServicesDep,
    status: Annotated[str | None, Query(pattern=f"^({'|'.join(MAILOUT_STATUSES)})$")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Page:
    """Newest first."""
    rows = await services.store.list_mailouts(
        limit + 1, status=status, before=created_before(cursor)
    )
    return page(rows, limit, "created_at", "id")


@router.get(
    "/mailouts/{mailout_id}",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, MailoutNotFound),
)
async def show_mailout(
    mailout_id: UUID, services: ServicesDep, response: Response
) -> dict[str, Any]:
    """One mailout with its counts per recipient status. The ETag names what is written in it and
    its status, not the counts.

    tested: when a test mail was last asked for, and whether it showed what is sent. warnings:
    what speaks against sending it, until it is over. waves: of one with a schedule, when who is
    mailed; notes: what daylight saving does to it.
    """
    return await shown(services, mailout_id, response)


async def shown(services: Services, mailout_id: UUID, response: Response) -> dict[str, Any]:
    """A mailout as every route answers it, its ETag in the header. Raises MailoutNotFound."""
    found = await services.store.show_mailout(mailout_id)
    found |= await services.schedules.waves(found)
    response.headers["ETag"] = etag(found["version"])
    tested = found["tested"]
    over = found["status"] not in {"draft", "ready", "scheduled", "sending", "paused"}
    findings = [] if over else check_tested(tested and tested["current"])
    return found | {"warnings": [finding.sentences for finding in findings]}


@router.get(
    "/mailouts/{mailout_id}/dry-run",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, NotFound),
)
async def show_dry_run(mailout_id: UUID, services: ServicesDep) -> dict[str, Any]:
    """The report of the latest dry run."""
    return await services.dry_runs.report(mailout_id)
