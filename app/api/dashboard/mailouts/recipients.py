"""`/dashboard/mailouts/ID/recipients`: who got it, who didn't, and why, by name."""

from __future__ import annotations

from typing import Annotated, get_args
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter

from app.api.dashboard.access import HOME, Page, SignedIn
from app.api.dashboard.mailouts.steps import show
from app.api.http.deps import ServicesDep
from app.api.http.paging import decode_cursor, encode_cursor
from app.api.http.responses import csv_answer
from app.domain.states import RecipientStatus
from app.services.lists.statement import Statement, reason

PAGE_SIZE = 50
REACH = 20_000
"""Rows of the ledger that a page looks at, at most."""

_CURSOR = TypeAdapter(tuple[UUID])

router = APIRouter(prefix=f"{HOME}/mailouts", route_class=Page, include_in_schema=False)


@router.get("/{mailout_id}/recipients")
async def show_recipients(
    mailout_id: UUID,
    services: ServicesDep,
    session: SignedIn,
    status: RecipientStatus | None = None,
    q: Annotated[str, Query(max_length=320)] = "",
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    q = q.replace("\0", "").strip()
    view = await services.dashboard.mailout(mailout_id)
    after = decode_cursor(cursor, _CURSOR)
    rows, onward = await services.store.recipients_page(
        mailout_id,
        PAGE_SIZE,
        reach=REACH,
        statuses=[status] if status else None,
        q=q or None,
        after=after[0] if after else None,
    )
    base = f"{HOME}/mailouts/{mailout_id}"

    def link(**changes: str | None) -> str:
        """To this list with other filters."""
        wanted = {"status": status, "q": q, **changes}
        given = {name: value for name, value in wanted.items() if value}
        return f"{base}/recipients?{urlencode(given)}" if given else f"{base}/recipients"

    progress = view.outcomes.progress if view.outcomes else None
    counts = {one: progress[one] for one in get_args(RecipientStatus)} if progress else {}
    return show(
        services,
        session,
        "recipients.html",
        mailout=view.mailout,
        recipients=[row | {"reason": reason(row)} for row in rows],
        counts={one: count for one, count in counts.items() if count or one == status},
        total=sum(counts.values()),
        chosen=status,
        q=q,
        link=link,
        further=cursor is not None,
        next=onward and link(cursor=encode_cursor(str(onward))),
    )


@router.get("/{mailout_id}/statement.csv")
async def download(
    mailout_id: UUID, services: ServicesDep, _session: SignedIn
) -> StreamingResponse:
    """The closing statement, as `GET /mailouts/{id}/statement.csv` gives it."""
    statement = Statement(services.store, mailout_id)
    return await csv_answer(statement.parts(), f"mailout-{mailout_id}.csv")
