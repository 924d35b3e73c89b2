"""`/dashboard/audit`: who changed what, for people."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Response

from app.api import access as api
from app.api.dashboard.access import HOME, Page, SignedIn
from app.api.dashboard.around import AROUND
from app.api.dashboard.pages import page
from app.api.http.deps import ServicesDep
from app.domain.reports.acts import KINDS, act_words, caller_words, changes

PAGE_SIZE = 30

router = APIRouter(prefix=f"{HOME}/audit", route_class=Page, include_in_schema=False)

_Filter = Annotated[str, Query(max_length=300)]


@router.get("")
async def show_audit(
    services: ServicesDep,
    session: SignedIn,
    action: _Filter = "",
    by: _Filter = "",
    target: _Filter = "",
    since: _Filter = "",
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    chosen = {"action": action, "by": by, "target": target, "since": since}
    chosen = {name: value.replace("\0", "").strip() for name, value in chosen.items()}
    day, problem = _day(chosen["since"])
    found = await api.list_audit(
        services,
        target=chosen["target"] or None,
        action=chosen["action"] or None,
        by=chosen["by"] or None,
        since=day,
        limit=PAGE_SIZE,
        cursor=cursor,
    )
    filters = {name: value for name, value in chosen.items() if value}
    return page(
        "audit.html",
        422 if problem else 200,
        org_name=services.settings.org_name,
        session=session,
        section="access",
        entries=[
            entry
            | {
                "words": act_words(entry["action"]),
                "caller": caller_words(entry["by"]),
                "changes": list(changes(entry["before"], entry["after"])),
            }
            for entry in found.items
        ],
        kinds=KINDS,
        chosen=chosen,
        filters=filters,
        query=urlencode(filters),
        problem=problem,
        older=cursor is not None,
        next=found.next_cursor,
    )


def _day(text: str) -> tuple[datetime | None, str | None]:
    """A day's beginning, or what is wrong with it."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d") if text else None  # noqa: DTZ007 - of the pages' zone
        return day and day.replace(tzinfo=AROUND.get().zone), None
    except ValueError:
        return None, "Write the day as 2026-11-30; everything is shown."
