"""Looking at mailouts: the list, one of them, its recipients, its dry run."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, TypeAdapter

from app.api.answers.mailouts import DryRun, Mailout, MailoutRow, Recipient
from app.api.answers.shared import ListOf
from app.api.http.deps import Protected, Services, ServicesDep, Text, needs
from app.api.http.description import CSV, answers
from app.api.http.paging import Page, created_before, decode_cursor, encode_cursor, moment, page
from app.api.http.problems import problems
from app.api.http.responses import csv_answer
from app.domain.reports.lists import MailoutFilter
from app.domain.retention.dropped import require_details
from app.domain.states import MAILOUT_STATUSES, MailoutStatus, RecipientStatus
from app.errors import DetailsGone, InvalidRequest, MailoutNotFound, NotFound, Unauthorized
from app.services.drafts.drafts import etag
from app.services.lists.statement import Statement, reason
from app.services.starting.send_warnings import check_tested

router = APIRouter(tags=["mailouts"], route_class=Protected)


Status = Annotated[list[MailoutStatus] | None, Query(max_length=len(MAILOUT_STATUSES))]
Search = Annotated[Text | None, Query(min_length=1, max_length=300)]
Moment = Annotated[datetime | None, AfterValidator(moment)]


@router.get(
    "/mailouts",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, InvalidRequest) | answers(ListOf[MailoutRow]),
)
async def list_mailouts(
    services: ServicesDep,
    status: Status = None,
    q: Search = None,
    since: Moment = None,
    until: Moment = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Page:
    """Newest first, without their bodies. status: any of these. q: within the subject as it is
    written. since, until: when it was created, a day or a moment, in UTC unless it says otherwise;
    `until` itself is not within. subject_shown: the subject as somebody on the list would get it.
    """
    wanted = MailoutFilter()
    if status:
        wanted["statuses"] = list(status)
    if q:
        wanted["q"] = q
    if since:
        wanted["since"] = since.isoformat()
    if until:
        wanted["until"] = until.isoformat()
    rows = await services.store.list_mailouts(
        limit + 1, wanted=wanted, before=created_before(cursor)
    )
    return page(await services.subjects.add_to(rows), limit, "created_at", "id")


@router.get(
    "/mailouts/{mailout_id}",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, MailoutNotFound) | answers(Mailout, headers=("ETag",)),
)
async def show_mailout(
    mailout_id: UUID, services: ServicesDep, response: Response
) -> dict[str, Any]:
    """One mailout with its counts per recipient status. The ETag names what is written in it and
    its status, not the counts.

    events: of how many accepted mails SES has told a delivery, bounce or complaint (`heard_of`,
    `share`); silent: some were accepted five minutes ago, and nothing at all was told of them.
    tested: when a test mail was last asked for, and whether it showed what is sent. warnings:
    what speaks against sending it, until it is over. details_dropped_at: since when only its
    counts are known (LEDGER_RETENTION_DAYS). routes: by SES region or other provider, how many
    mails it accepted, and of how many recipients that is unknown. waves: of one with a schedule,
    when who is mailed; notes: what daylight saving does to it.
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
    responses=problems(Unauthorized, NotFound) | answers(DryRun),
)
async def show_dry_run(mailout_id: UUID, services: ServicesDep) -> dict[str, Any]:
    """The report of the latest dry run."""
    return await services.dry_runs.report(mailout_id)


_CURSOR = TypeAdapter(tuple[UUID])
"""After whom the page begins."""
RECIPIENTS_REACH = 20_000
"""Rows of the ledger that a page looks at, at most."""


@router.get(
    "/mailouts/{mailout_id}/recipients",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, MailoutNotFound, DetailsGone, InvalidRequest)
    | answers(ListOf[Recipient]),
)
async def list_recipients(
    mailout_id: UUID,
    services: ServicesDep,
    status: Annotated[list[RecipientStatus] | None, Query(max_length=20)] = None,
    q: Search = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Page:
    """Who gets it, and what became of each; `reason`: why, in a sentence. status: any of these. q:
    an address in any spelling, or a part of one. A page may be shorter than `limit`, even empty,
    and have a next one: where few fit, a call looks at some of them only."""
    after = decode_cursor(cursor, _CURSOR)
    require_details(await services.store.mailout_headline(mailout_id))
    rows, onward = await services.store.recipients_page(
        mailout_id,
        limit,
        reach=RECIPIENTS_REACH,
        statuses=status,
        q=q,
        after=after[0] if after else None,
    )
    return Page(
        items=[row | {"reason": reason(row)} for row in rows],
        next_cursor=encode_cursor(str(onward)) if onward else None,
    )


@router.get(
    "/mailouts/{mailout_id}/statement.csv",
    dependencies=[needs("read")],
    response_class=StreamingResponse,
    responses=problems(Unauthorized, MailoutNotFound, DetailsGone) | CSV,
)
async def show_statement(mailout_id: UUID, services: ServicesDep) -> StreamingResponse:
    """The closing statement: every recipient, what became of them, and why. An answer that breaks
    off isn't whole."""
    statement = Statement(services.store, mailout_id)
    return await csv_answer(statement.parts(), f"mailout-{mailout_id}.csv")
