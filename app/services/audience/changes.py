"""The stop for a person before a mailout whose audience has changed a lot."""

from __future__ import annotations

from uuid import UUID

from app.domain.audience.diff import AudienceDiff
from app.errors import AudienceChanged
from app.store import Store

REACH = 100_000
"""People that are looked at, of the list and of the last mailout: more keeps a page waiting."""
FIRST_REACH = 2_500
"""People that are looked at first. Of a long list each is in a page of its own, and 100,000 of ten
million people are in half of the table."""


async def audience_diff(store: Store, mailout_id: UUID) -> AudienceDiff | None:
    """How the audience differs from that of the last sent mailout with the same rule; None: there
    was none. Exact up to REACH people; of more an estimate with its accuracy, by few where these
    show that little has changed."""
    found = await _look(store, mailout_id, FIRST_REACH)
    if found is None or not found.estimated:
        return found
    if found.is_surely_small and max(found.before, found.now) > REACH:
        return found
    return await _look(store, mailout_id, REACH)


async def _look(store: Store, mailout_id: UUID, reach: int) -> AudienceDiff | None:
    found = await store.audience_diff(mailout_id, reach)
    return None if found is None else AudienceDiff(**found)


async def require_confirmed(store: Store, mailout_id: UUID, status: str, count: int | None) -> None:
    """count: the number of recipients that the caller confirms, if it does.

    Raises AudienceChanged when the audience has changed by more than a third and that isn't
    confirmed.
    """
    found = await _look(store, mailout_id, FIRST_REACH)
    if found is None or found.is_surely_small:
        return
    if found.estimated:
        found = await _look(store, mailout_id, REACH)
    if found is None or (found.now == 0 and not found.estimated):
        return  # nobody: that is refused as such
    if not found.is_large or found.is_confirmed(count):
        return
    about = "about " if found.estimated else ""
    raise AudienceChanged(
        f"The audience has changed by more than a third since “{found.previous['subject'][:60]}”, "
        f"the last mailout with it: {about}{found.now:,} people instead of {found.before:,}, "
        f"{found.words}. Nothing was sent. If that is right, release it on its page, or send the "
        f'request again with "confirm_audience": {found.now}.',
        mailout_id=str(mailout_id),
        mailout_status=status,
        count=found.now,
        before=found.before,
        added=found.added,
        removed=found.removed,
        reasons=dict(found.reasons),
        previous=dict(found.previous),
    )
