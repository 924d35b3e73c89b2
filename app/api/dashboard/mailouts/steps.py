"""What the pages of a mailout that isn't sent yet have in common."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import Response
from fastapi.responses import RedirectResponse

from app.api.dashboard.access import HOME
from app.api.dashboard.pages import page
from app.api.dashboard.session import Session
from app.api.http.deps import Services

EDITABLE = frozenset({"draft", "ready"})
BEFORE = frozenset({"draft", "ready", "scheduled"})
"""The states before the first mail leaves."""

STEPS = (
    ("edit", "Write"),
    ("audience", "Audience"),
    ("test", "Test"),
    ("release", "Send"),
)
"""From a first draft to its release: the address of each page, and its name."""


async def find(services: Services, mailout_id: UUID) -> dict[str, Any]:
    """A mailout with all that is written in it, and its subject as a reader sees it."""
    [mailout] = await services.subjects.add_to([await services.store.show_mailout(mailout_id)])
    if mailout["status"] in BEFORE:
        services.preview.renderer.start()  # who looks at it soon has it rendered
    return mailout


async def notion_trouble(services: Services, mailout_id: UUID) -> dict[str, Any] | None:
    """Why the mailout's row in Notion doesn't say the latest, and `since` when; None: it does, or
    there is none."""
    if not services.settings.uses_notion:
        return None
    return await services.store.notion_write_trouble(mailout_id)


async def slack_trouble(services: Services, mailout_id: UUID) -> dict[str, Any] | None:
    """Why the owner's Slack wasn't told the latest of a mailout; None: it was, or is none."""
    if not services.settings.uses_slack:
        return None
    return await services.store.slack_trouble_of(mailout_id)


def show(
    services: Services, session: Session, template: str, status: int = 200, **context: Any
) -> Response:
    return page(
        f"mailouts/{template}",
        status,
        org_name=services.settings.org_name,
        session=session,
        section="mailouts",
        steps=STEPS,
        uses_notion=services.settings.uses_notion,
        **context,
    )


def back(mailout_id: UUID, notice: str) -> Response:
    """To the mailout's own page, which says what was done."""
    return RedirectResponse(f"{HOME}/mailouts/{mailout_id}?notice={notice}", 303)
