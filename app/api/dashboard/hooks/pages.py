"""`/dashboard/hooks`: outgoing webhooks, for people: the list, one of them, and what was sent."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field, TypeAdapter

from app.api.dashboard.access import HOME, Page, SignedIn
from app.api.dashboard.pages import page
from app.api.http.deps import Services, ServicesDep
from app.api.http.paging import decode_cursor, encode_cursor
from app.domain.hooks.words import SOURCES, delivery_words, event_words
from app.domain.reports.words import plural
from app.services.hooks.trying import delivery

HOOKS = f"{HOME}/hooks"
LIVE_SECONDS, IDLE_SECONDS = 2, 10
"""How often the page of one asks for news: while something waits, and otherwise."""
PAGE_SIZE = 20

router = APIRouter(prefix=HOOKS, route_class=Page, include_in_schema=False)

State = Literal["waiting", "done", "dead"]
STATES: dict[State, str] = {"waiting": "Waiting", "done": "Delivered", "dead": "Given up"}

NOTICES = {
    "changed": "Changed.",
    "on": "Switched on. What waited is sent now.",
    "off": "Switched off. Nothing is told until you switch it on again.",
    "deleted": "Deleted. Nothing is sent there any more.",
    "gone": "Nothing was changed: the webhook was deleted before.",
    "again": "It is sent again.",
    "none": "Nothing was changed: it was sent again already.",
}


@router.get("")
async def show_hooks(services: ServicesDep, session: SignedIn, notice: str = "") -> Response:
    hooks = await services.hooks.list_all()
    return page(
        "hooks/list.html",
        org_name=services.settings.org_name,
        session=session,
        section="access",
        hooks=[
            hook | {"names": [event_words(event) for event in hook["events"]]} for hook in hooks
        ],
        sources=SOURCES,
        notice=NOTICES.get(notice),
    )


_BEFORE = TypeAdapter(tuple[Annotated[int, Field(ge=1, lt=2**63)]])


@router.get("/{hook_id}")
async def show_hook(
    hook_id: UUID,
    services: ServicesDep,
    session: SignedIn,
    state: State | None = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    test: Annotated[int | None, Query(ge=1, lt=2**63 - 1)] = None,
    notice: str = "",
) -> Response:
    hook = await services.hooks.show(hook_id)
    before = decode_cursor(cursor, _BEFORE)
    rows = await services.hooks.deliveries(
        hook_id, state=state, limit=PAGE_SIZE + 1, before=before[0] if before else None
    )
    busy = hook["state"] == "active" and hook["waiting"]
    return page(
        "hooks/hook.html",
        org_name=services.settings.org_name,
        session=session,
        section="access",
        here=f"{HOOKS}/{hook_id}",
        hook=hook | {"names": [event_words(event) for event in hook["events"]]},
        tried=await _tried(services, hook_id, test),
        deliveries=[_told(row, off=hook["state"] != "active") for row in rows[:PAGE_SIZE]],
        states=STATES,
        chosen=state,
        older=cursor is not None,
        next=encode_cursor(rows[PAGE_SIZE - 1]["id"]) if len(rows) > PAGE_SIZE else None,
        notice=NOTICES.get(notice),
        live_seconds=LIVE_SECONDS if busy else IDLE_SECONDS,
        spoken=f"{plural(hook['waiting'], 'call')} waiting",
    )


async def _tried(services: Services, hook_id: UUID, test: int | None) -> dict[str, Any] | None:
    found = await delivery(services.hooks, hook_id, test) if test else None
    return _told(found) if found else None


def _told(row: dict[str, Any], *, off: bool = False) -> dict[str, Any]:
    """about: where its mailout or person is shown; None: an example, or somebody who is erased."""
    subject, _, name = row["type"].partition(".")
    place = "mailouts" if subject == "mailout" else "subscribers"
    is_test = row["data"].get("test") is True
    return row | {
        "words": event_words(row["type"]),
        "how": delivery_words(row, off=off),
        "is_test": is_test,
        "about": None if is_test or name == "erased" else f"{HOME}/{place}/{row['subject']}",
        "about_words": "the mailout" if subject == "mailout" else "the person",
    }
