"""`/dashboard`: the mailouts, those being sent first."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Response

from app.api.dashboard.access import HOME, Page, SignedIn
from app.api.dashboard.pages import page
from app.api.http import paging
from app.api.http.deps import ServicesDep
from app.domain.reports.words import plural
from app.domain.states import MAILOUT_STATUSES, MailoutStatus
from app.services.dashboard.views import ACTIVE, MailoutView

LIVE_SECONDS, IDLE_SECONDS = 2, 10
"""How often a page asks for news: while a mailout is being sent, and otherwise."""
MAX_SEARCH_CHARS = 200

router = APIRouter(prefix=HOME, route_class=Page, include_in_schema=False)


@router.get("")
async def show_mailouts(
    services: ServicesDep,
    session: SignedIn,
    status: MailoutStatus | None = None,
    q: Annotated[str, Query(max_length=MAX_SEARCH_CHARS)] = "",
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    notice: str = "",
) -> Response:
    q = q.replace("\0", "").strip()
    found = await services.dashboard.mailouts(status, q, paging.created_before(cursor))
    last = found.views[-1].mailout if found.more else None
    shown = [*found.pinned, *found.views]
    running = any(view.mailout["status"] in ACTIVE or _counting(view) for view in shown)

    def link(**changes: str | None) -> str:
        """To this list with other filters."""
        wanted = {"status": status, "q": q, **changes}
        given = {name: value for name, value in wanted.items() if value}
        return f"{HOME}?{urlencode(given)}" if given else HOME

    return page(
        "mailouts/list.html",
        org_name=services.settings.org_name,
        session=session,
        section="mailouts",
        here=link(cursor=cursor),
        pinned=found.pinned,
        views=found.views,
        counts=found.counts,
        total=sum(found.counts.values()),
        chosen=status,
        q=q,
        link=link,
        statuses=MAILOUT_STATUSES,
        active=ACTIVE,
        older=cursor is not None,
        next=link(cursor=paging.encode_cursor(last["created_at"], last["id"])) if last else None,
        fallback=await services.fallback.in_place(),
        notice=_NOTICES.get(notice),
        live_seconds=LIVE_SECONDS if running else IDLE_SECONDS,
        spoken=f"{plural(found.counts.get('sending', 0), 'mailout')} being sent",
    )


_NOTICES = {"deleted": "The draft is deleted."}


def _counting(view: MailoutView) -> bool:
    return view.outcomes is None and view.mailout["started_at"] is not None
